"""More tiles out of those there are."""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from edge_af.spectrum import IMAGINARY, MIDDLE
from train.looks import Pixels, Spectrum
from train.recipes.base import Augmentation

Augment = Callable[[NDArray[np.uint8], np.random.Generator], NDArray[np.float32]]
"""From the features of a batch, and what draws, to those that the network learns from."""

_ZOOM = 0.05
_TURN_DEG = 25.0


def augment_for(looks_at: Pixels | Spectrum, augmentation: Augmentation) -> Augment:
    """Return how a recipe makes more of what a network looks at."""
    if augmentation is Augmentation.NONE:
        return unchanged
    if isinstance(looks_at, Spectrum):
        return turned_at_random
    return distorted if augmentation is Augmentation.PAPER else flipped


def unchanged(x: NDArray[np.uint8], _rng: np.random.Generator) -> NDArray[np.float32]:
    """Return the features as they are."""
    return x.astype(np.float32)


def turned(x: NDArray[np.float32], sectors: int) -> NDArray[np.float32]:
    """Return spectra (n, rings, sectors, channels) turned by a number of sectors.

    A spectrum covers half a turn; what is turned past its end comes in again conjugated.
    """
    result = np.roll(x, sectors, axis=2)
    conjugated = result[:, :, :sectors, IMAGINARY]
    np.subtract(np.float32(2 * MIDDLE), conjugated, out=conjugated)
    return result


def mirrored(x: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return spectra (n, rings, sectors, channels) of the same tiles upside down."""
    return x[:, :, ::-1]


def turned_at_random(x: NDArray[np.uint8], rng: np.random.Generator) -> NDArray[np.float32]:
    """Turn about half of the tiles, and mirror about half.

    A turned tile is what an instrument with its coma in another direction would have seen.
    """
    result = x.astype(np.float32)
    sectors = x.shape[2]
    turns = rng.integers(sectors, size=len(x)) * rng.integers(2, size=len(x))
    for turn in range(1, sectors):
        chosen = turns == turn
        result[chosen] = turned(result[chosen], turn)
    upside_down = rng.random(len(x)) < 0.5
    result[upside_down] = mirrored(result[upside_down])
    return result


def flipped(x: NDArray[np.uint8], rng: np.random.Generator) -> NDArray[np.float32]:
    """Flip and turn each tile (n, side, side, 3) into one of the eight ways it can lie."""
    result = np.empty(x.shape, np.float32)
    for tile, into in zip(x, result, strict=True):
        turns, mirror = int(rng.integers(4)), rng.integers(2)
        turned_tile = np.rot90(tile, turns)
        into[:] = turned_tile[:, ::-1] if mirror else turned_tile
    return result


def distorted(x: NDArray[np.uint8], rng: np.random.Generator) -> NDArray[np.float32]:
    """Flip, zoom and turn each tile (n, side, side, 3) as the paper did, the edges carried on."""
    side = x.shape[1]
    margin = side // 4  # a turn by 25 degrees brings the corners in by a fifth of the side
    result = np.empty(x.shape, np.float32)
    for tile, into in zip(x, result, strict=True):
        mirrored = tile[:, ::-1] if rng.integers(2) else tile
        angle, zoom = rng.uniform(-1, 1, 2) * (np.deg2rad(_TURN_DEG), _ZOOM)
        wide = np.pad(mirrored, ((margin, margin), (margin, margin), (0, 0)), mode="edge")
        cos, sin = np.cos(angle) / (1 + zoom), np.sin(angle) / (1 + zoom)
        half = side / 2
        centre = half + margin
        # Where in `wide` each place of the result is taken from (Pillow, Image.transform).
        across = (cos, -sin, centre - half * (cos - sin))
        down = (sin, cos, centre - half * (sin + cos))
        picture = Image.fromarray(wide).transform(
            (side, side), Image.Transform.AFFINE, (*across, *down), Image.Resampling.BILINEAR
        )
        into[:] = np.asarray(picture)
    return result
