"""`edge-af bench latency`."""

import platform
import sys
from dataclasses import asdict
from typing import Annotated, Any

import typer

from edge_af.cli.options import Json, Model, within


def latency(
    model: Model = None,
    threads: Annotated[
        int, typer.Option(callback=within(1, 64, "threads"), help="Threads that run the network.")
    ] = 1,
    runs: Annotated[
        int, typer.Option(callback=within(1, 1_000_000, "runs"), help="Frames to time.")
    ] = 100,
    warm_up: Annotated[
        int,
        typer.Option(callback=within(0, 10_000, "runs"), help="Frames before those, not timed."),
    ] = 10,
    as_json: Json = False,
) -> None:
    """Time how long a model takes to look at one frame on this machine."""
    from rich.progress import Progress

    from edge_af.bench.latency import load, look_latency
    from edge_af.cli.figures import print_json, reader_console
    from edge_af.cli.models import quiet_runtime

    with quiet_runtime():
        classifier, load_ms = load(model, threads)
    console = reader_console(stderr=True, quiet=not sys.stderr.isatty())
    with Progress(console=console, transient=True) as progress:
        steps = progress.track(range(warm_up + runs), description="frames")
        measured = look_latency(classifier, steps, warm_up)
    document = {
        "model": classifier.card.name,
        "machine": platform.machine(),
        "threads": threads,
        "load_ms": load_ms,
        **asdict(measured),
    }
    if as_json:
        print_json(document)
    else:
        _print(document)


def _print(document: dict[str, Any]) -> None:
    from rich.table import Table

    from edge_af.cli.figures import print_figures, reader_console

    console = reader_console()
    timings = {name: value for name, value in document.items() if isinstance(value, dict)}
    figures = {name: value for name, value in document.items() if name not in timings}
    print_figures(console, "Latency of one look", figures)
    table = Table(*("ms", "median", "p95", "p99", "max"), box=None)
    for column in table.columns[1:]:
        column.justify = "right"
    for name, timing in timings.items():
        cells = (f"{value:.2f}" for value in timing.values())
        table.add_row(name.removesuffix("_ms").replace("_", " "), *cells)
    console.print(table)
