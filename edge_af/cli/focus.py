"""`edge-af focus`."""

import sys
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from edge_af.cli.options import Json, Model, NoModel, UmPerPx, within


def focus(
    replay: Annotated[
        Path, typer.Option(metavar="FOLDER", help="The recorded stack, or several fields of them.")
    ],
    start_um: Annotated[
        float,
        typer.Option(
            callback=within(-100_000, 100_000, "um"),
            help="Where the stage starts, in um as recorded; the nearest slice is taken.",
        ),
    ],
    field: Annotated[
        str | None,
        typer.Option(metavar="NAME", help="Which field; else the one recorded nearest the start."),
    ] = None,
    um_per_px: UmPerPx = None,
    model: Model = None,
    no_model: NoModel = False,
    as_json: Json = False,
) -> int:
    """Focus once, on a recorded stack.

    Exit code 0: in focus. Exit code 1: no focus was found, and the stage is back at the start.
    """
    from edge_af.cli.figures import print_figures, print_json, reader_console
    from edge_af.cli.models import chosen_model
    from edge_af.cli.replays import pick_stack, read_replay
    from edge_af.demo import replay_field
    from edge_af.routines.ports import Outcome
    from edge_af.settings import FocusSettings

    used = chosen_model(model, no_model)
    recorded = read_replay(replay, um_per_px, used.card if used else None)
    stack = pick_stack(recorded.stacks, field, start_um)
    result = replay_field(used, stack, start_um, FocusSettings.checked())
    if as_json:
        print_json(asdict(result))
    else:
        shown = {name: value for name, value in asdict(result).items() if value != ""}
        print_figures(reader_console(), f"{replay}", shown)
    if field is None and len(recorded.stacks) > 1:
        print(
            f"edge-af: note: of {len(recorded.stacks)} fields took {stack.field!r}; --field takes "
            "another",
            file=sys.stderr,
        )
    if recorded.note:
        print(f"edge-af: {recorded.note}", file=sys.stderr)
    return 0 if result.outcome == Outcome.FOCUSED else 1
