"""Options that commands of `edge-af-train` share."""

from enum import StrEnum
from typing import Annotated

import typer


class Labels(StrEnum):
    """Where labels come from: the sharpness peak of each stack, or what the files state."""

    PEAK = "peak"
    STATED = "stated"


class By(StrEnum):
    """What stays whole on one side of a split."""

    FIELD = "field"
    SLIDE = "slide"


Seed = Annotated[int, typer.Option(min=0, help="The same seed gives the same again.")]
Tiles = Annotated[int, typer.Option(min=1, max=10_000_000, help="How many tiles.")]
