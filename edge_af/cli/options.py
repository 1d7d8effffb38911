"""Options that commands share, and the limits of numbers."""

from collections.abc import Callable
from pathlib import Path
from typing import Annotated, TypeVar

import typer

_Number = TypeVar("_Number", int | None, float | None)


def within(low: float, high: float, unit: str = "") -> Callable[[_Number], _Number]:
    """Return a check that refuses numbers outside low..high; Typer's own lets NaN pass."""

    def check(value: _Number) -> _Number:
        if value is not None and not low <= value <= high:
            raise typer.BadParameter(f"{value:,} is not from {low:,} to {high:,} {unit}".rstrip())
        return value

    return check


Json = Annotated[
    bool,
    typer.Option("--json", help="Print one JSON document on standard output, and nothing else."),
]
Model = Annotated[
    Path | None,
    typer.Option("--model", metavar="FILE", help="Model to use in place of the one that ships."),
]
NoModel = Annotated[bool, typer.Option("--no-model", help="Use no model: sweep.")]
ConfigFile = Annotated[
    Path | None,
    typer.Option(
        "--config",
        metavar="FILE",
        help="Settings of the instrument, in place of /etc/edge-af/config.toml.",
    ),
]
UmPerPx = Annotated[
    float | None,
    typer.Option(
        "--um-per-px",
        callback=within(0.005, 20, "um/px"),
        help="Pixel size of the recorded frames, in um, where the files do not state it.",
    ),
]
