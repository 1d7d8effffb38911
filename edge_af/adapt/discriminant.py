"""Linear discriminant analysis along the focus axis: a head from a few stacks, in closed form.

Fisher's discriminant (Annals of Eugenics 7, 1936) for Gaussian inputs that scatter alike in every
class has linear logits. What the classes share is used twice: the mean input at a defocus is
a straight line through slices near it (Cleveland 1979), and the scatter about it is taken from all
slices together. So three stacks say more of 41 classes than a logistic regression makes of them,
which assumes nothing of its inputs (docs/decisions/adapting.md).
"""

import numpy as np
from numpy.typing import NDArray

from edge_af.scale import DefocusScale

_SHRUNK = 0.5
"""Share of the scatter's off-diagonal that is dropped: three fields show little of how the inputs
of others scatter together. On four instruments, errors on other fields fell up to here."""

_LEAST_SPREAD = 0.1
"""An input that hardly varies is taken to scatter by this share of the others' mean."""


def discriminant(
    inputs: NDArray[np.float64],
    defocus_um: NDArray[np.float64],
    scale: DefocusScale,
    bandwidth_um: float,
) -> NDArray[np.float64]:
    """Return a head's weights, float64 (m + 1, k), bias last, from inputs (n, m) at `defocus_um`.

    `bandwidth_um` is the standard deviation of the weights along z. Every class should have
    inputs within a few of it.
    """
    middle = inputs.mean(axis=0)
    centred = inputs - middle
    # A tenth of the average's width changes nothing, and keeps the places few.
    apart_um = bandwidth_um / 10
    nearby, place = np.unique(np.round(defocus_um / apart_um), return_inverse=True)
    scatter = centred - _smoothed(nearby * apart_um, defocus_um, centred, bandwidth_um)[place]
    covariance = scatter.T @ scatter / len(scatter)
    variance = np.diag(covariance)
    floor = _LEAST_SPREAD * np.sqrt(variance).mean()
    covariance = (1 - _SHRUNK) * covariance + np.diag(
        _SHRUNK * variance + np.maximum(0.0, floor**2 - variance)
    )
    means = _smoothed(scale.centres_um, defocus_um, centred, bandwidth_um)
    weights = np.linalg.solve(covariance, means.T)
    bins_um = np.asarray(scale.bins_um)
    bias = np.log(bins_um[:, 1] - bins_um[:, 0]) - 0.5 * (means * weights.T).sum(axis=1)
    return np.vstack([weights, bias - middle @ weights])


def _smoothed(
    at_um: NDArray[np.float64],
    defocus_um: NDArray[np.float64],
    inputs: NDArray[np.float64],
    bandwidth_um: float,
) -> NDArray[np.float64]:
    """Return the mean input (len(at_um), m) at each place, by a line through those near it.

    A plain average would lean inwards at the ends of the range.
    """
    apart_um = defocus_um - at_um[:, None]
    square = (apart_um / bandwidth_um) ** 2
    # Less the nearest: a place far from all would otherwise divide nothing by nothing.
    share = np.exp(-0.5 * (square - square.min(axis=1, keepdims=True)))
    share /= share.sum(axis=1, keepdims=True)
    middle_um = (share * apart_um).sum(axis=1, keepdims=True)
    lever_um = apart_um - middle_um
    variance = (share * lever_um**2).sum(axis=1, keepdims=True)
    # Places seen once have no slope.
    slope = np.divide(middle_um, variance, out=np.zeros_like(variance), where=variance > 1e-6)
    return np.asarray((share * (1 - slope * lever_um)) @ inputs)
