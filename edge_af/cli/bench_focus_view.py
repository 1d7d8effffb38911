"""Tables and plots of a contest."""

from collections.abc import Callable, Sequence

import numpy as np
from rich.console import Console
from rich.table import Table
from rich.text import Text

from edge_af.bench.contest import Run
from edge_af.bench.fields import FieldClass
from edge_af.bench.standings import Standing, breakdown, share, standings, start_band

_COLUMNS: dict[str, Callable[[Standing], str]] = {
    "method": lambda one: one.method,
    "success %": lambda one: f"{100 * one.success:.1f}",
    "error um": lambda one: f"{one.median_error_um:.2f}",
    "p95 um": lambda one: f"{one.p95_error_um:.2f}",
    "frames": lambda one: f"{one.median_frames:g}",
    "moves": lambda one: f"{one.median_moves:g}",
    "travel um": lambda one: f"{one.median_travel_um:.0f}",
    "time s": lambda one: f"{one.median_time_s:.2f}",
    "wrong way %": lambda one: f"{100 * one.false_direction:.1f}",
    "limit hits": lambda one: str(one.limit_hits),
    "crashes": lambda one: str(one.crashes),
}
_WIDTH, _HEIGHT = 90, 22
_TABLE_WIDTH = 120


def print_standings(console: Console, runs: Sequence[Run]) -> None:
    """Print a line for each method, and below it success by what made a field hard."""
    console.width = max(console.width, _TABLE_WIDTH)  # a pipe has none; cut figures say nothing
    lines = standings(runs)
    fields = lines[0].fields if lines else 0
    console.print(Text(f"{fields} fields with something in them; medians", style="bold"))
    console.print(
        _table(list(_COLUMNS), [[show(one) for show in _COLUMNS.values()] for one in lines])
    )
    methods = [one.method for one in lines]
    for aspect, values in breakdown(runs).items():
        console.print()
        console.print(Text(f"Success in %, by {aspect.replace('_', ' ')}", style="bold"))
        rows = [
            [method, *(f"{100 * shares[method]:.1f}" for shares in values.values())]
            for method in methods
        ]
        console.print(_table(["method", *values], rows))


def _table(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> Table:
    table = Table(box=None)
    for index, head in enumerate(heads):
        table.add_column(head, justify="right" if index else "left", no_wrap=True)
    for row in rows:
        table.add_row(*row)
    return table


def plots(runs: Sequence[Run]) -> list[str]:
    """Return the plots as text, each method a letter; or how to get them."""
    full = [run for run in runs if run.field_class != FieldClass.EMPTY]
    methods = list(dict.fromkeys(run.method for run in full))
    errors, successes = {}, {}
    for method in methods:
        mine = [run for run in full if run.method == method]
        errors[method] = (
            [float(np.log10(max(run.time_s, 0.01))) for run in mine],
            [min(abs(run.error_um), 2.0) for run in mine],
        )
        bands = sorted({start_band(run) for run in mine}, key=lambda band: float(band.split()[0]))
        successes[method] = (
            [float(band.split()[0]) for band in bands],
            [100 * share([run for run in mine if start_band(run) == band]) for band in bands],
        )
    try:
        return [
            _plot("error at the end, um (2: or more)", "log10 of the time in s", errors),
            _plot("success, %", "start distance from, um", successes),
        ]
    except ImportError:
        return ["For plots: pip install 'plotext>=6,<7'"]


def _plot(title: str, x_label: str, series: dict[str, tuple[list[float], list[float]]]) -> str:
    import plotext  # type: ignore[import-untyped]

    figure = plotext.figure
    figure.clear()
    figure.theme("clear")
    figure.plot_size(_WIDTH, _HEIGHT)
    letters = dict(zip(series, "ABCDEFGHIJ", strict=False))
    figure.title(title)
    figure.label(x_label, "x")
    for method, (x, y) in series.items():
        figure.draw(figure.signal(x, y, marker=letters[method]))
    legend = ", ".join(f"{letter} {method}" for method, letter in letters.items())
    return f"{figure.build()}\n{legend}"
