"""`edge-af bench latency`."""

import sys
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from edge_af.cli.options import Json, within

if TYPE_CHECKING:
    from edge_af.bench.latency import Contender


def latency(
    model: Annotated[
        list[Path] | None,
        typer.Option(
            "--model",
            metavar="FILE",
            help="Model to time in place of the one that ships; give it several times to compare. "
            "Of a .tflite without a card the network alone is timed.",
        ),
    ] = None,
    runtime: Annotated[
        list[str] | None,
        typer.Option(
            "--runtime",
            metavar="NAME",
            help="litert, tflite-runtime, openvino or onnxruntime, if installed; several compare. "
            "Whole looks are timed with the one that edge-af itself takes.",
        ),
    ] = None,
    threads: Annotated[
        list[int] | None,
        typer.Option(
            callback=lambda several: [within(1, 64, "threads")(one) for one in several or []],
            help="Threads that run the network; several compare.  [default: 1]",
        ),
    ] = None,
    tiles: Annotated[
        int,
        typer.Option(callback=within(1, 12, "tiles"), help="Tiles to look at in each frame."),
    ] = 12,
    runs: Annotated[
        int, typer.Option(callback=within(1, 1_000_000, "runs"), help="Frames to time.")
    ] = 100,
    warm_up: Annotated[
        int,
        typer.Option(callback=within(0, 10_000, "runs"), help="Frames before those, not timed."),
    ] = 10,
    compare: Annotated[
        Path | None,
        typer.Option("--compare", metavar="OLD.json", help="Compare with an earlier --json."),
    ] = None,
    plot: Annotated[bool, typer.Option("--plot", help="Plot the total of each frame.")] = False,
    as_json: Json = False,
) -> None:
    """Time how long this machine takes from a frame to a decision, stage by stage.

    Beside the whole look stand, from the same run, what the model needs by design (its input
    transform and the network: `model`) and the network alone in a tight loop, for one tile (`bare
    invoke`). Several models, runtimes and thread counts take turns frame by frame.
    """
    from edge_af.bench.engines import fastest_installed
    from edge_af.bench.latency import Contender, measured, results
    from edge_af.bench.machine import health, machine, resident_mb
    from edge_af.cli.bench_latency_view import old_contenders, plot_totals, print_latency
    from edge_af.cli.figures import print_json, reader_console
    from edge_af.cli.models import quiet_runtime
    from edge_af.doctor.system import System
    from edge_af.shipped import SHIPPED_MODEL

    old = None if compare is None else old_contenders(compare)
    system = System()
    before = health(system)
    with quiet_runtime():
        contenders = [
            Contender(path, name, count, tiles)
            for path in model or [SHIPPED_MODEL]
            for name in runtime or [fastest_installed()]
            for count in threads or [1]
        ]
    _measure(contenders, runs, warm_up, measured)
    with quiet_runtime():
        figures = [asdict(one) for one in results(contenders)]
    flat: dict[str, Any] = dict(figures[0])
    flat |= {f"{name}_ms": timing for name, timing in (flat.pop("stages") or {}).items()}
    document = {
        **flat,
        "tiles": tiles,
        "runs": runs,
        "warm_up": warm_up,
        "resident_mb": resident_mb(),
        "machine": asdict(machine(system)),
        "before": asdict(before),
        "after": asdict(health(system)),
        "contenders": figures,
    }
    if as_json:
        print_json(document)
    else:
        print_latency(reader_console(), document, old)
    if plot:
        print(plot_totals(contenders), file=sys.stderr if as_json else sys.stdout)


def _measure(contenders: list["Contender"], runs: int, warm_up: int, measured: Any) -> None:
    from rich.progress import Progress

    from edge_af.cli.figures import reader_console

    console = reader_console(stderr=True, quiet=not sys.stderr.isatty())
    with Progress(console=console, transient=True) as progress:
        steps = progress.track(range(warm_up + runs), description="frames")
        measured(contenders, steps, warm_up)
