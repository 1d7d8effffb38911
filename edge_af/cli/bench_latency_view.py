"""Tables and plot of latencies, and an earlier run to compare with."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from edge_af.cli.figures import print_figures
from edge_af.errors import UserError

if TYPE_CHECKING:
    from edge_af.bench.latency import Contender

_WHOLE = ("total_ms", "model_ms", "bare_invoke_ms")
_KEY = ("model", "runtime", "threads")
_WIDTH, _HEIGHT = 90, 18


def old_contenders(path: Path) -> dict[tuple[object, ...], Mapping[str, Any]]:
    """Read what an earlier run printed as JSON. Raises UserError if it is not that."""
    try:
        document = json.loads(path.read_bytes())
        return {tuple(one[key] for key in _KEY): one for one in document["contenders"]}
    except FileNotFoundError as error:
        raise UserError(f"{path}: no such file") from error
    except OSError as error:
        raise UserError(f"{path}: {error.strerror}") from error
    except (ValueError, KeyError, TypeError) as error:
        raise UserError(f"{path}: not what `edge-af bench latency --json` prints") from error


def print_latency(
    console: Console,
    document: Mapping[str, Any],
    old: Mapping[tuple[object, ...], Mapping[str, Any]] | None,
) -> None:
    """Print the machine, and for each contender its figures and its stages."""
    named = ("tiles", "runs", "warm_up", "resident_mb")
    machine = {name: value for name, value in document["machine"].items() if value is not None}
    health = {
        f"{name} {when}": value
        for when in ("before", "after")
        for name, value in document[when].items()
        if value is not None
    }
    figures = {name: document[name] for name in named if document[name] is not None}
    print_figures(console, "This machine, this run", {**machine, **health, **figures})
    for one in document["contenders"]:
        console.print()
        before = old.get(tuple(one[key] for key in _KEY)) if old is not None else None
        _print_contender(console, one, before)
        if old is not None and before is None:
            console.print(Text("  not in the earlier run"))


def _print_contender(
    console: Console, one: Mapping[str, Any], before: Mapping[str, Any] | None
) -> None:
    threads = "1 thread" if one["threads"] == 1 else f"{one['threads']} threads"
    title = f"{one['model']}, {one['runtime']}, {threads}"
    figures = {
        name: one[name]
        for name in ("load_ms", "first_look_ms", "jitter_ms", "ratio", "macs", "ceiling_share")
        if one[name] is not None
    }
    print_figures(console, title, figures)
    table = Table(box=None)
    table.add_column("ms")
    heads = ["p50", "p95", "p99", "max", *(["was p50", "now / was"] if before else [])]
    for head in heads:
        table.add_column(head, justify="right")
    was = _timings(before) if before else {}
    for name, timing in _timings(one).items():
        cells = [f"{value:.3f}" for value in timing.values()]
        if before:
            old_ms = was[name]["p50"] if name in was else None
            cells += ["", ""] if not old_ms else [f"{old_ms:.3f}", f"{timing['p50'] / old_ms:.2f}"]
        table.add_row(name, *cells)
    console.print(table)


def _timings(one: Mapping[str, Any]) -> dict[str, Mapping[str, float]]:
    whole = {name: one[name] for name in _WHOLE if one[name] is not None}
    named = {name.removesuffix("_ms").replace("_", " "): timing for name, timing in whole.items()}
    return {**(one["stages"] or {}), **named}


def plot_totals(contenders: Sequence["Contender"]) -> str:
    """Return a plot of each look's total against its number; or how to get one."""
    try:
        import plotext  # type: ignore[import-untyped]
    except ImportError:
        return "For a plot: pip install 'plotext>=6,<7'"
    figure = plotext.figure
    figure.clear()
    figure.theme("clear")
    figure.plot_size(_WIDTH, _HEIGHT)
    figure.title("total of each look, ms")
    figure.label("frame", "x")
    for letter, contender in zip("ABCDEFGHIJ", contenders, strict=False):
        totals_ms = contender.totals_ms
        if totals_ms:
            figure.draw(figure.signal(list(range(len(totals_ms))), totals_ms, marker=letter))
    return str(figure.build())
