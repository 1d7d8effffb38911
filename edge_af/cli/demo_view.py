"""The demo's table: a line for each field as it ends, and below them what is under way."""

from collections.abc import Mapping
from typing import Self

from rich.console import Console
from rich.text import Text

from edge_af.cli.figures import print_figures
from edge_af.demo import FieldResult
from edge_af.routines.ports import Outcome

_COLUMNS = {
    "start um": 8,
    "end um": 7,
    "error um": 8,
    "frames": 6,
    "moves": 5,
    "time s": 6,
    "method": 11,
    "outcome": 9,
    "field": 0,
}
_TEXT = {"method", "outcome", "field"}


class DemoView:
    """Lines that stay, so that a pipe shows them too; a terminal gets a status line as well."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._status = console.status("")
        self._done = 0
        self._focused = 0

    def __enter__(self) -> Self:
        self._line(list(_COLUMNS), "bold")
        self._update()
        self._status.start()
        return self

    def add(self, result: FieldResult) -> None:
        """Show how a field went."""
        self._done += 1
        self._focused += result.success
        self._line(
            [
                f"{result.start_um:+.2f}",
                f"{result.end_um:+.2f}",
                f"{result.error_um:+.2f}",
                str(result.frames),
                str(result.moves),
                f"{result.time_s:.2f}",
                result.method,
                "crashed" if result.crashed else result.outcome,
                result.field,
            ],
            _style(result),
        )
        self._update()

    def __exit__(self, *error: object) -> None:
        self._status.stop()

    def summarise(self, figures: Mapping[str, object]) -> None:
        """Show the figures of the whole run."""
        print_figures(self._console, "Summary", figures)

    def _line(self, cells: list[str], style: str) -> None:
        aligned = [
            cell.ljust(width) if name in _TEXT else cell.rjust(width)
            for (name, width), cell in zip(_COLUMNS.items(), cells, strict=True)
        ]
        self._console.print(Text(" ".join(aligned), style=style), soft_wrap=True)

    def _update(self) -> None:
        self._status.update(
            f"field {self._done + 1} under way; of {self._done}, {self._focused} well focused; "
            "Ctrl-C ends"
        )


def _style(result: FieldResult) -> str:
    if result.success:
        return "green"
    if result.crashed or result.limit_hit or result.outcome == Outcome.FOCUSED:
        return "red"
    return "dim" if result.empty else "yellow"
