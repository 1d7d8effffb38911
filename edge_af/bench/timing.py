"""Durations, summarised."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True, slots=True)
class Timing:
    """How long something took, in ms."""

    p50: float
    p95: float
    p99: float
    max: float

    @classmethod
    def of(cls, samples_s: Sequence[float]) -> "Timing":
        """Summarise one or more durations in s; percentiles are interpolated linearly."""
        p50, p95, p99, largest = np.percentile(samples_s, [50, 95, 99, 100]) * 1e3
        return cls(float(p50), float(p95), float(p99), float(largest))
