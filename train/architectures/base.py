"""What every architecture says of itself."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import keras

Shape = tuple[int, int, int]


@dataclass(frozen=True, slots=True)
class Pixels:
    """The network looks at RGB tiles of any size: tile_px x tile_px x 3, 0 to 255."""


@dataclass(frozen=True, slots=True)
class Spectrum:
    """The network looks at polar spectra: rings x sectors x channels, 0 to 255.

    Ring edges ascend, in cycles per tile; `edge_af.spectrum` says what the channels are.
    """

    ring_edges: tuple[float, ...]
    sectors: int


@dataclass(frozen=True, slots=True)
class Architecture:
    """A network by name, what it looks at, and how it is built.

    `build(shape, classes, weights)` returns a network from `shape` to `classes` logits; `weights`
    is a file to start its base from, None to start from random numbers, and always None unless
    `takes_weights`. `batch` is how many tiles a step learns from where nobody says otherwise.
    """

    name: str
    input: Pixels | Spectrum
    batch: int
    build: Callable[[Shape, int, Path | None], keras.Model]
    takes_weights: bool = False
