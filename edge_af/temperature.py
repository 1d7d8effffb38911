"""Softmax, and the temperature at which its answers mean what they say (Guo et al. 2017)."""

import numpy as np
from numpy.typing import NDArray

_TEMPERATURES = np.exp(np.linspace(np.log(0.4), np.log(4.0), 93))


def softmax(logits: NDArray[np.floating], temperature: float = 1.0) -> NDArray[np.float64]:
    """Return the probabilities (n, k) of `logits` (n, k)."""
    scaled = np.asarray(logits, np.float64) / temperature
    scaled -= scaled.max(axis=1, keepdims=True)
    weights = np.exp(scaled)
    return np.asarray(weights / weights.sum(axis=1, keepdims=True))


def fit_temperature(logits: NDArray[np.floating], targets: NDArray[np.floating]) -> float:
    """Return the temperature with the lowest cross-entropy of `targets` (n, k), from 0.4 to 4.

    The rows of `targets` sum to 1; those of a known class are 1 there and 0 elsewhere.
    """

    def loss(temperature: float) -> float:
        return _cross_entropy(softmax(logits, temperature), targets)

    return float(min(_TEMPERATURES, key=loss))


def _cross_entropy(probabilities: NDArray[np.float64], targets: NDArray[np.floating]) -> float:
    """Return the mean cross-entropy of `targets` under `probabilities`, both (n, k), in nats."""
    logs = np.log(np.maximum(probabilities, 1e-12))
    return float(-(targets * logs).sum(axis=1).mean())
