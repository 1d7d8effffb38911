"""`edge-af bench focus`."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from edge_af.cli.options import Json, Model, within

if TYPE_CHECKING:
    from edge_af.bench.contest import Run


def focus(
    fields: Annotated[
        int,
        typer.Option(
            callback=within(1, 100_000, "fields"),
            help="Fields with something in them; a tenth as many empty ones come on top.",
        ),
    ] = 40,
    seed: Annotated[
        int, typer.Option(callback=within(0, 2**32 - 1), help="Another seed gives other fields.")
    ] = 0,
    method: Annotated[
        list[str] | None,
        typer.Option(
            "--method",
            metavar="NAME",
            help="Run this one alone; give it several times for several. All if not given.",
        ),
    ] = None,
    workers: Annotated[
        int,
        typer.Option(callback=within(1, 256, "processes"), help="Processes that share the fields."),
    ] = 1,
    model: Model = None,
    plot: Annotated[
        bool, typer.Option("--plot", help="Plot errors against time, success against distance.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Focus virtual fields with our methods and with others, and compare.

    All methods get the same fields, from the same starts within 12 um of focus, with the same gears
    and the same clock. The others are the classical ones, each written from its public description.
    Time is the simulated time of camera and motor, computing left out. A field takes some 15 s of a
    core for all methods.
    """
    from edge_af.bench.standings import document
    from edge_af.cli.bench_focus_view import plots, print_standings
    from edge_af.cli.figures import print_json, reader_console
    from edge_af.cli.models import tried_model

    methods = _known(method)
    tried_model(model)
    runs = _contest(fields, seed, methods, model, workers)
    if as_json:
        print_json({"fields": fields, "seed": seed, **document(runs)})
    else:
        print_standings(reader_console(), runs)
    if plot:
        print("\n".join(plots(runs)), file=sys.stderr if as_json else sys.stdout)


def _known(names: list[str] | None) -> list[str]:
    from edge_af.bench.contest import METHODS
    from edge_af.errors import UserError

    for name in names or ():
        if name not in METHODS:
            raise UserError(f"--method {name}: no such method; there are {', '.join(METHODS)}")
    return list(dict.fromkeys(names or METHODS))


def _contest(
    fields: int, seed: int, methods: list[str], model: Path | None, workers: int
) -> list["Run"]:
    from rich.progress import Progress

    from edge_af.bench.contest import contest, drawn_fields
    from edge_af.cli.figures import reader_console

    drawn = drawn_fields(seed, fields)
    console = reader_console(stderr=True, quiet=not sys.stderr.isatty())
    with Progress(console=console, transient=True) as progress:
        done = progress.track(
            contest(drawn, methods, model, workers), len(drawn), description="fields"
        )
        runs = [run for field_runs in done for run in field_runs]
    place = {name: index for index, name in enumerate(methods)}
    return sorted(runs, key=lambda run: (place[run.method], run.field))
