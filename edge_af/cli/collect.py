"""`edge-af collect`."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from edge_af.cli.options import ConfigFile, Json, within

if TYPE_CHECKING:
    from contextlib import AbstractContextManager

    from edge_af.instrument import Instrument
    from edge_af.routines.collect import StackPlan


def collect(
    out: Annotated[
        Path,
        typer.Option("-o", "--out", metavar="FILE", help="What to write: a name.ome.tif."),
    ],
    config: ConfigFile = None,
    virtual: Annotated[
        bool, typer.Option("--virtual", help="Collect from a virtual microscope instead.")
    ] = False,
    seed: Annotated[
        int,
        typer.Option(callback=within(0, 2**32 - 1), help="Another seed gives another field."),
    ] = 0,
    range_um: Annotated[
        float,
        typer.Option(
            callback=within(0.1, 1000, "um"), help="How far from focus to go, to either side."
        ),
    ] = 13.0,
    step_um: Annotated[
        float,
        typer.Option(callback=within(0.01, 100, "um"), help="Distance between two slices."),
    ] = 0.5,
    frames: Annotated[
        int, typer.Option(callback=within(1, 100, "frames"), help="Frames to take of each slice.")
    ] = 1,
    as_json: Json = False,
) -> int:
    """Take a focal stack about the focus, and keep it as an OME-TIFF.

    z is counted from the sharpest place. Exit code 1: no focus was found, nothing was written, and
    the stage is back at its start.
    """
    from rich.progress import Progress

    from edge_af.cli.figures import print_figures, print_json, reader_console
    from edge_af.routines.collect import StackPlan
    from edge_af.stack_writer import StackWriter

    plan = StackPlan(range_um, step_um, frames)
    opened, about = _virtual(plan, seed) if virtual else _configured(config)
    console = reader_console(stderr=True, quiet=not sys.stderr.isatty())
    with (
        Progress(console=console, transient=True) as progress,
        StackWriter(out, slices=plan.most_frames, about=about) as writer,
        opened as instrument,
    ):
        task = progress.add_task("")
        taken = instrument.collect(
            plan,
            writer,
            lambda what, done, total: progress.update(
                task, description=what, completed=done, total=total
            ),
        )
    figures: dict[str, object] = {
        "file": str(out) if writer.written else None,
        "found": taken.attempt.found,
        "reason": taken.attempt.reason,
        "slices": len(taken.places_um),
        "frames": frames * len(taken.places_um),
    }
    if taken.attempt.found:
        figures |= {
            "focus_um": taken.focus_um,
            "lowest_z_um": taken.places_um[0] - taken.focus_um,
            "highest_z_um": taken.places_um[-1] - taken.focus_um,
        }
    if as_json:
        print_json(figures)
    else:
        shown = {name: value for name, value in figures.items() if value not in ("", None)}
        print_figures(reader_console(), f"{out}", shown)
    return 0 if taken.attempt.found else 1


_Opened = tuple["AbstractContextManager[Instrument]", dict[str, str]]
"""What to collect with, and what the stack shall say of it."""


def _configured(config_file: Path | None) -> _Opened:
    from edge_af.cli.instruments import configured, connected
    from edge_af.hardware import parts

    config = configured(config_file)
    name = "virtual" if config.camera is None else config.camera.kind
    return connected(parts(config), None), {"camera": name}


def _virtual(plan: "StackPlan", seed: int) -> _Opened:
    from edge_af.demo_collect import virtual_instrument
    from edge_af.settings import FocusSettings

    reach_um = FocusSettings.checked().sweep_reach_um
    settings = FocusSettings.checked(travel_budget_um=plan.path_um(reach_um))
    room_um = reach_um + plan.range_um
    return virtual_instrument(seed, room_um, settings), {"instrument": f"virtual, seed {seed}"}
