"""`edge-af history`."""

import re
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from edge_af.cli.options import ConfigFile, Json, within
from edge_af.errors import EdgeAfError, UserError
from edge_af.journal_kinds import EntryKind

if TYPE_CHECKING:
    from edge_af.journal_file import Entry

_AGO_S = {"m": 60, "h": 3600, "d": 86_400, "w": 604_800}
_FOR_A_READER = 20
_ALL = 10_000_000


def _moment(text: str) -> datetime:
    ago = re.fullmatch(r"(\d{1,6})([mhdw])", text)
    try:
        if ago:
            return datetime.now(UTC) - timedelta(seconds=int(ago[1]) * _AGO_S[ago[2]])
        return datetime.fromisoformat(text).astimezone(UTC)  # local time unless it says otherwise
    except (ValueError, OverflowError):
        raise typer.BadParameter(
            f"{text!r} is no time: give a date such as 2026-01-31 or 2026-01-31T18:30, or an age "
            "such as 90m, 12h, 7d or 2w"
        ) from None


def history(
    config: ConfigFile = None,
    since: Annotated[
        datetime | None,
        typer.Option(
            parser=_moment, metavar="TIME", help="From a date and time on, or an age: 12h, 7d."
        ),
    ] = None,
    kind: Annotated[EntryKind | None, typer.Option(help="Only entries of one kind.")] = None,
    limit: Annotated[
        int | None,
        typer.Option(
            callback=within(1, _ALL),
            help=f"Only so many, the latest. A table has {_FOR_A_READER}, all else has all.",
        ),
    ] = None,
    csv: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE", help="Write CSV in place of a table: a file, or - for the output."
        ),
    ] = None,
    plot: Annotated[
        bool, typer.Option("--plot", help="Plot where the focus was found, over time.")
    ] = False,
    as_json: Json = False,
) -> int:
    """Show what the instrument did, the latest last; the service need not run for it."""
    from edge_af.cli import history_view

    if (csv is not None) + plot + as_json > 1:
        raise UserError("--csv, --plot and --json are three ways to show it: give one of them")
    table = csv is None and not plot and not as_json
    if plot and kind is None:
        kind = "focus"
    entries = _entries(config, since, limit or (_FOR_A_READER if table else _ALL), kind)
    if as_json:
        history_view.print_as_json(entries)
    elif csv is not None:
        history_view.write_csv(entries, csv)
    elif plot:
        history_view.print_plot(entries)
    else:
        history_view.print_table(entries)
    return 0


def _entries(
    config_file: Path | None, since: datetime | None, limit: int, kind: EntryKind | None
) -> "list[Entry]":
    import sqlite3

    from edge_af.config import DEFAULT_PATH, read_config
    from edge_af.journal_file import FILE_NAME, DamagedError, read_entries

    path = read_config(config_file or DEFAULT_PATH).state_folder / FILE_NAME
    try:
        return read_entries(path, since, limit, kind)
    except FileNotFoundError:
        print(
            f"edge-af: note: there is no {path} yet; the service, `edge-af run`, keeps it",
            file=sys.stderr,
        )
        return []
    except PermissionError as error:
        raise UserError(
            f"cannot read {path}: {error.strerror}; read it with sudo, or as a member of its group"
        ) from error
    except DamagedError as error:
        raise EdgeAfError(
            f"{path} cannot be used: {error}; the service puts it aside when it next writes"
        ) from error
    except sqlite3.Error as error:
        raise EdgeAfError(f"cannot read {path}: {error}; try again") from error
