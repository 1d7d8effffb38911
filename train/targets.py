"""What a network is to say of each tile of a manifest."""

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from edge_af.scale import DefocusScale
from hw.virtual.specimen import CONTENT_FLOOR
from train.manifest import Row

TARGET_SPREAD_UM = 0.2
"""A tile's thickness and tilt make its label uncertain by about this much; so is its target."""


def soft_targets(scale: DefocusScale, rows: Sequence[Row]) -> NDArray[np.float32]:
    """Return n x classes: a Gaussian about each tile's defocus, cut into the scale's bins.

    The outer bins take what lies beyond them. A tile known to hold nothing is anyone's guess:
    its target is uniform over the range, which is how a network learns to say so.
    """
    bins_um = np.asarray(scale.bins_um)
    outer = scale.range
    upper_um = np.where(bins_um[:, 1] == outer.high_um, np.inf, bins_um[:, 1])
    lower_um = np.where(bins_um[:, 0] == outer.low_um, -np.inf, bins_um[:, 0])
    erf = np.vectorize(math.erf, otypes=[np.float64])
    wide_um = TARGET_SPREAD_UM * math.sqrt(2)
    z_um = np.array([[row.z_um] for row in rows])
    targets = 0.5 * (erf((upper_um - z_um) / wide_um) - erf((lower_um - z_um) / wide_um))
    width_um = bins_um[:, 1] - bins_um[:, 0]
    nothing = np.array([row.content < CONTENT_FLOOR for row in rows])
    targets[nothing] = width_um / width_um.sum()
    return np.asarray(targets, np.float32)


def hard_targets(scale: DefocusScale, rows: Sequence[Row]) -> NDArray[np.float32]:
    """Return n x classes: 1 for each tile's class and 0 for all others."""
    classes = [scale.index_of(row.z_um) for row in rows]
    return np.eye(len(scale.bins_um), dtype=np.float32)[classes]
