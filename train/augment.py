"""More tiles out of those there are."""

import numpy as np
from numpy.typing import NDArray

from edge_af.spectrum import IMAGINARY, MIDDLE


def turned(x: NDArray[np.float32], sectors: NDArray[np.int64]) -> NDArray[np.float32]:
    """Return spectra (n, rings, sectors, channels) turned by a number of sectors each (n,)."""
    count = x.shape[2]
    source = np.arange(count)[None, :] - sectors[:, None]
    rolled = np.take_along_axis(x, (source % count)[:, None, :, None], axis=2)
    past_half_turn = (source < 0)[:, None, :, None]
    imaginary = rolled[..., IMAGINARY]
    rolled[..., IMAGINARY] = np.where(past_half_turn, 2 * MIDDLE - imaginary, imaginary)
    return rolled
