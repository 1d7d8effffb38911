"""More tiles out of those there are."""

import numpy as np
from numpy.typing import NDArray

from edge_af.spectrum import IMAGINARY, MIDDLE


def turned(x: NDArray[np.float32], sectors: int) -> NDArray[np.float32]:
    """Return spectra (n, rings, sectors, channels) turned by a number of sectors.

    A spectrum covers half a turn; what is turned past its end comes in again conjugated.
    """
    result = np.roll(x, sectors, axis=2)
    conjugated = result[:, :, :sectors, IMAGINARY]
    np.subtract(np.float32(2 * MIDDLE), conjugated, out=conjugated)
    return result
