"""Options that commands of `edge-af-train` share."""

from typing import Annotated

import typer

Seed = Annotated[int, typer.Option(min=0, help="The same seed gives the same again.")]
Tiles = Annotated[int, typer.Option(min=1, max=10_000_000, help="How many tiles.")]
