"""What a head is to say of a tile whose defocus is known."""

import math

import numpy as np
from numpy.typing import NDArray

from edge_af.scale import DefocusScale


def soft_targets(
    scale: DefocusScale, defocus_um: NDArray[np.float64], spread_um: float
) -> NDArray[np.float64]:
    """Return (n, k): a Gaussian of `spread_um` about each defocus, cut into the scale's bins.

    The outer bins take what lies beyond them.
    """
    bins_um = np.asarray(scale.bins_um)
    outer = scale.range
    upper = np.where(bins_um[:, 1] == outer.high_um, np.inf, bins_um[:, 1])
    lower = np.where(bins_um[:, 0] == outer.low_um, -np.inf, bins_um[:, 0])
    erf = np.vectorize(math.erf, otypes=[np.float64])
    width_um = spread_um * math.sqrt(2)
    z_um = defocus_um[:, None]
    return np.asarray(0.5 * (erf((upper - z_um) / width_um) - erf((lower - z_um) / width_um)))
