"""Multinomial logistic regression with an L2 penalty.

Minimised by accelerated gradient steps under the fixed curvature of Böhning (Annals of the
Institute of Statistical Mathematics 44, 1992), which bounds that of the loss everywhere: no step
need be searched for. Nesterov's momentum restarts when it points uphill (O'Donoghue and Candès
2015).
"""

import math
from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from edge_af.temperature import softmax

_ENOUGH = 1e-5
"""Gain in nats a tile that a step promises, below which it is not taken. Held-out errors do not
change from ten times that on."""

_MOST_STEPS = 500

_LEAST_SPREAD = 0.1
"""An input that hardly varies is scaled as if it varied by this share of the others' mean."""


def weight_path(
    inputs: NDArray[np.float64], targets: NDArray[np.float64], strengths: Sequence[float]
) -> Iterator[NDArray[np.float64]]:
    """Yield the weights, float64 (m + 1, k), bias last, for each penalty in turn.

    `inputs` is (n, m), `targets` (n, k), whose rows sum to 1. A strength s adds s / 2 times the
    squared weights of the standardised inputs to the summed cross-entropy, so that the penalty
    counts for less the more there is to fit. Each fit starts from the one before: falling
    strengths are quickest.
    """
    mean, spread = inputs.mean(axis=0), inputs.std(axis=0)
    spread = np.maximum(spread, max(_LEAST_SPREAD * float(spread.mean()), 1e-9))
    x = np.column_stack([(inputs - mean) / spread, np.ones(len(inputs))])
    weights = np.zeros((x.shape[1], targets.shape[1]))
    for strength in strengths:
        weights = _minimised(x, targets, strength / len(x), weights)
        unscaled = weights[:-1] / spread[:, None]
        yield np.vstack([unscaled, weights[-1] - mean @ unscaled])


def _minimised(
    x: NDArray[np.float64],
    targets: NDArray[np.float64],
    strength_each: float,
    start: NDArray[np.float64],
) -> NDArray[np.float64]:
    penalty = np.full((x.shape[1], 1), strength_each)
    penalty[-1] = 0  # the bias is free
    inverse = np.linalg.inv(x.T @ x / (2 * len(x)) + np.diagflat(penalty))
    weights = ahead = start
    momentum = 1.0
    for _ in range(_MOST_STEPS):
        gradient = x.T @ (softmax(x @ ahead) - targets) / len(x) + penalty * ahead
        step = inverse @ gradient
        reached = ahead - step
        if float((gradient * step).sum()) < _ENOUGH:
            return reached
        if float((gradient * (reached - weights)).sum()) > 0:
            momentum = 1.0
        following = (1 + math.sqrt(1 + 4 * momentum**2)) / 2
        ahead = reached + (momentum - 1) / following * (reached - weights)
        weights, momentum = reached, following
    return weights
