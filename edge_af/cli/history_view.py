"""How the history is shown."""

import csv
import io
import sys
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path

from rich.text import Text

from edge_af.cli.figures import print_json, reader_console
from edge_af.files import write_atomically
from edge_af.journal_file import COLUMNS, Entry, as_row

_PLOT_WIDTH = 64
_PLOT_HEIGHT = 12


def print_as_json(entries: Sequence[Entry]) -> None:
    """Print the entries as one JSON document."""
    print_json({"entries": [as_row(entry) for entry in entries]})


def write_csv(entries: Sequence[Entry], path: Path) -> None:
    """Write the entries to a file, whole or not at all, or to standard output for `-`."""
    text = io.StringIO(newline="")
    rows = csv.DictWriter(text, COLUMNS, lineterminator="\n")
    rows.writeheader()
    rows.writerows(as_row(entry) for entry in entries)
    if str(path) == "-":
        sys.stdout.write(text.getvalue())
    else:
        write_atomically(path, text.getvalue().encode())


def print_table(entries: Sequence[Entry]) -> None:
    """Print a line for each entry, times in local time."""
    console = reader_console()
    head = ("time", "kind", "outcome", "start um", "end um", "method", "frames", "moves", "time s")
    console.print(Text(_line(*head, "note"), style="bold"), soft_wrap=True)
    for entry in entries:
        line = _line(
            f"{entry.at.astimezone():%Y-%m-%d %H:%M:%S}",
            entry.kind,
            entry.outcome,
            _figure(entry.start_um),
            _figure(entry.end_um),
            entry.method or "",
            "" if entry.frames is None else str(entry.frames),
            "" if entry.moves is None else str(entry.moves),
            _figure(entry.time_s),
            entry.note,
        )
        console.print(Text(line), soft_wrap=True)


def _line(*cells: str) -> str:
    widths = ("19", "9", "10", ">9", ">9", "11", ">6", ">5", ">7", "")
    line = "  ".join(f"{cell:{width}}" for cell, width in zip(cells, widths, strict=True))
    return "".join(one if one.isprintable() else " " for one in line).rstrip()


def _figure(value: float | None) -> str:
    return "" if value is None else f"{value:.2f}"


def print_plot(entries: Sequence[Entry]) -> None:
    """Print where entries ended, over time: `*`, or `x` where no focus was found."""
    console = reader_console()
    for line in plot_lines(entries):
        console.print(Text(line), soft_wrap=True)


def plot_lines(entries: Sequence[Entry]) -> list[str]:
    """Return the lines of the plot; plain characters, for any terminal."""
    points = [
        (entry.at.timestamp(), entry.end_um, entry.outcome)
        for entry in entries
        if entry.end_um is not None
    ]
    if not points:
        return ["nothing to plot"]
    first_s, last_s = min(at for at, _, _ in points), max(at for at, _, _ in points)
    low_um, high_um = min(um for _, um, _ in points), max(um for _, um, _ in points)
    grid = [[" "] * _PLOT_WIDTH for _ in range(_PLOT_HEIGHT)]
    for at, um, outcome in points:
        column = _cell(at, first_s, last_s, _PLOT_WIDTH)
        row = _cell(um, high_um, low_um, _PLOT_HEIGHT)
        if grid[row][column] != "x":
            grid[row][column] = "x" if outcome in ("abstained", "failed") else "*"
    marks = {0: f"{high_um:.2f}", _PLOT_HEIGHT - 1: f"{low_um:.2f}"}
    lines = [f"{marks.get(row, ''):>10} |{''.join(cells)}" for row, cells in enumerate(grid)]
    begin, end = (f"{datetime.fromtimestamp(at):%Y-%m-%d %H:%M}" for at in (first_s, last_s))
    return [
        f"{'um':>10}",
        *(line.rstrip() for line in lines),
        f"{'':10} +{'-' * _PLOT_WIDTH}",
        f"{'':12}{begin}{end:>{_PLOT_WIDTH - len(begin)}}",
    ]


def _cell(value: float, first: float, last: float, cells: int) -> int:
    return round((value - first) / (last - first) * (cells - 1)) if last != first else 0
