"""`edge-af replay`."""

import sys
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from edge_af.cli.options import Json, Model
from edge_af.errors import UserError

if TYPE_CHECKING:
    from edge_af.model_file import ModelFile
    from edge_af.recording import Recording
    from edge_af.run_difference import Row
    from edge_af.settings import FocusSettings


def replay(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="What --record wrote.")],
    model: Model = None,
    changed: Annotated[
        list[str] | None,
        typer.Option(
            "--set", metavar="NAME=VALUE", help="Decide with another setting, certainty=0.9 say."
        ),
    ] = None,
    as_json: Json = False,
) -> int:
    """Run the decisions of a recorded run again on its frames, and show what they do otherwise.

    The model is the one that ships, where the run had one. Exit code 0: every move and the outcome
    are the same. Exit code 1: the runs part, at the last event shown.
    """
    from edge_af.cli.figures import print_json
    from edge_af.play import play, recorded_model
    from edge_af.recording import Recording
    from edge_af.run_difference import Verdict, rows, verdict

    recording = Recording(file)
    was = recorded_model(recording)
    used, note = _model(model, was)
    runs = [rows(run) for run in play(recording, used, _settings(recording, changed or []))]
    worst = verdict([row for run in runs for row in run])
    if as_json:
        document = {
            "file": str(file),
            "verdict": worst,
            "complete": recording.note is None,
            "versions": recording.header.get("versions"),
            "model": {
                "recorded": was and {key: was[key] for key in ("name", "sha256")},
                "replayed": used and {"name": used.card.name, "sha256": used.card.sha256},
            },
            "runs": [[asdict(row) for row in run] for run in runs],
        }
        print_json(document)
    else:
        for run in runs:
            _print(run)
        print(f"{file}: {worst}")
    for said in (note, recording.note):
        if said:
            print(f"edge-af: note: {said}", file=sys.stderr)
    return int(worst is Verdict.PARTED)


def _model(path: Path | None, was: dict[str, str] | None) -> "tuple[ModelFile | None, str | None]":
    """Return the model to decide with, and what the user should know of it."""
    from edge_af.cli.models import tried_model

    if path is None and was is None:
        return None, None
    used = tried_model(path)
    if was is None:
        return used, "the run had no model"
    if was["sha256"] != used.card.sha256:
        return used, (
            f"the run had another model, {was['name']} (sha256 {was['sha256'][:12]}); give it with "
            "--model FILE for the same decisions"
        )
    return used, None


def _settings(recording: "Recording", changed: list[str]) -> "FocusSettings":
    from edge_af.play import recorded_settings
    from edge_af.settings import FocusSettings

    values = recorded_settings(recording).model_dump()
    for text in changed:
        name, _, value = text.partition("=")
        if name not in values:
            raise UserError(f"--set {text}: there is no setting {name!r}; {', '.join(values)}")
        values[name] = value
    return FocusSettings.checked(**values)


def _print(run: "list[Row]") -> None:
    from rich.table import Table

    from edge_af.cli.figures import reader_console
    from edge_af.run_difference import Verdict

    styles = {Verdict.IDENTICAL: "", Verdict.SAME_DECISIONS: "yellow", Verdict.PARTED: "red"}
    table = Table(*("", "event", "recorded", "replayed", ""), box=None)
    for number, row in enumerate(run, 1):
        table.add_row(
            str(number),
            row.event,
            row.recorded,
            row.replayed,
            row.verdict,
            style=styles[row.verdict],
        )
    reader_console().print(table)
