"""`edge-af adapt`."""

import os
import sys
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from edge_af.cli.options import Json, Model, UmPerPx
from edge_af.errors import UserError

if TYPE_CHECKING:
    from edge_af.adapt.fit import Adapted

_NOT_BETTER = 1


def adapt(
    stacks: Annotated[
        list[Path] | None,
        typer.Argument(
            metavar="STACKS", help="Focal stacks of two places or more: OME-TIFFs or folders."
        ),
    ] = None,
    model: Model = None,
    um_per_px: UmPerPx = None,
    output: Annotated[
        Path | None,
        typer.Option(
            "-o", "--output", metavar="HEAD", help="Where the head is kept; else by the model."
        ),
    ] = None,
    revert: Annotated[
        bool, typer.Option("--revert", help="Remove the head: the model's own one is used again.")
    ] = False,
    as_json: Json = False,
) -> int:
    """Fit the model's last layer to this instrument, from stacks that edge-af collect took.

    The new head is kept if it beats the model's own on fields that were held out of the fit. Exit
    code 1: it does not, and nothing was changed.
    """
    from edge_af.head import head_beside
    from edge_af.shipped import read_model

    used = read_model(model)
    path = output or head_beside(used.path)
    if revert:
        if stacks:
            raise UserError("--revert takes no stacks: leave one of them out")
        return _revert(path, as_json)
    if not stacks:
        raise UserError("give the stacks to fit to, two or more, or --revert")
    if not os.access(path.parent, os.W_OK):  # told before the minute that the fit takes
        raise UserError(
            f"cannot write into {path.parent}: give -o FILE in a folder of yours, "
            "and name it as head in the settings"
        )

    from rich.console import Console

    from edge_af.adapt.fields import read_fields
    from edge_af.adapt.fit import adapt as fit
    from edge_af.cli.figures import print_json
    from edge_af.cli.models import quiet_runtime

    fields = read_fields(stacks, um_per_px)
    console = Console(stderr=True, quiet=not sys.stderr.isatty())
    with console.status("") as status, quiet_runtime():
        adapted = fit(used, fields, status.update)
    if adapted.overall.better:
        adapted.head.write(path)
    if as_json:
        print_json(_document(adapted, path))
    else:
        _print(adapted, path)
    return 0 if adapted.overall.better else _NOT_BETTER


def _revert(path: Path, as_json: bool) -> int:
    from edge_af.cli.figures import print_json

    there = path.exists()
    try:
        path.unlink(missing_ok=True)
    except OSError as error:
        raise UserError(f"cannot remove {path}: {error.strerror}") from error
    if as_json:
        print_json({"head": str(path), "removed": there})
    elif there:
        print(f"{path} is removed: the model's own head is used again")
    else:
        print(f"there is no {path}: the model's own head is in use")
    return 0


def _document(adapted: "Adapted", path: Path) -> dict[str, object]:
    return {
        "better": adapted.overall.better,
        "head": str(path) if adapted.overall.better else None,
        "fields": [asdict(one) for one in adapted.fields],
        "overall": asdict(adapted.overall),
        "card": adapted.head.card.model_dump(mode="json", exclude={"sha256"}),
    }


def _print(adapted: "Adapted", path: Path) -> None:
    from rich.table import Table

    from edge_af.cli.figures import reader_console

    console = reader_console()
    table = Table(*("held-out field", "tiles", "median error um", "", "wrong side", ""), box=None)
    for column in table.columns[1:]:
        column.justify = "right"
    table.add_row("", "", "before", "after", "before", "after", style="dim")
    for one in (*adapted.fields, adapted.overall):
        table.add_row(
            one.field,
            str(one.tiles),
            f"{one.before.median_error_um:.2f}",
            f"{one.after.median_error_um:.2f}",
            f"{one.before.wrong_side:.1%}",
            f"{one.after.wrong_side:.1%}",
        )
    console.print(table)
    if adapted.overall.better:
        print(f"The new head is better: kept as {path}")
    else:
        print("The model's own head is as good or better: nothing was changed")
