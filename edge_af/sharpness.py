"""How sharp a frame is, the classical way."""

import numpy as np
from numpy.typing import NDArray

_BLACK_LEVEL, _WHITE_LEVEL = 3.0, 252.0
"""Mean levels beyond which a frame is black or white all over: the lamp is off, or far too bright.
What is left of it then, noise, would be sharp beside so low a level."""


def tenengrad(pixels: NDArray[np.uint8]) -> float:
    """Return the mean squared gradient of the green channel of an H x W x 3 frame.

    Sobel's derivatives, relative to the mean level, so that exposure does not count (Tenenbaum
    1970; Krotkov 1987). Green alone: each colour has a focus of its own, and a grey level mixes
    them. 0 for a frame that is black or white all over, and for no other from a camera.
    """
    green = pixels[:, :, 1].astype(np.float32)
    level = float(green.mean())
    if not _BLACK_LEVEL < level < _WHITE_LEVEL:
        return 0.0
    across = green[:, 2:] - green[:, :-2]
    across = across[:-2] + 2 * across[1:-1] + across[2:]
    down = green[2:] - green[:-2]
    down = down[:, :-2] + 2 * down[:, 1:-1] + down[:, 2:]
    return float(np.mean(across * across + down * down)) / level**2
