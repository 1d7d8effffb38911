"""`edge-af bench start`."""

import sys
from dataclasses import asdict
from typing import Annotated

import typer

from edge_af.cli.options import Json, within

_SHOWN = 8


def start(
    runs: Annotated[
        int, typer.Option(callback=within(1, 10_000, "runs"), help="How often each is started.")
    ] = 10,
    as_json: Json = False,
) -> None:
    """Time how long edge-af takes to start: its help, and its service until that is ready.

    The help beside Python that does nothing, in turns; the service on a virtual microscope, until
    it tells systemd that it is ready; and what the packages that it imports take of that.
    """
    from rich.progress import Progress

    from edge_af.bench.start import measured
    from edge_af.cli.figures import print_figures, print_json, reader_console

    console = reader_console(stderr=True, quiet=not sys.stderr.isatty())
    with Progress(console=console, transient=True) as progress:
        figures = asdict(measured(progress.track(range(runs), description="starts")))
    if as_json:
        print_json({"runs": runs, **figures})
        return
    imports = figures.pop("imports_ms")
    median = {name.removesuffix("_ms"): timing["p50"] for name, timing in figures.items()}
    shown = reader_console()
    print_figures(shown, f"Median of {runs}, ms", median)
    slowest = list(imports.items())[:_SHOWN]
    rest = sum(list(imports.values())[_SHOWN:])
    print_figures(shown, "Of one service's imports, ms", dict([*slowest, ("all others", rest)]))
