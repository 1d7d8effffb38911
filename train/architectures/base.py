"""What every architecture says of itself."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import keras

from train.looks import Pixels, Spectrum

Shape = tuple[int, int, int]


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
