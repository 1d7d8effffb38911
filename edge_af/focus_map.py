"""Where the next field's focus is to be expected: a plane through those of earlier fields.

A slide lies tilted and drifts. The fit is linear regression with a Gaussian prior on the tilt
(Bishop, Pattern Recognition and Machine Learning, 3.3), so that one field, or several in a row,
say what they can and no more; fields that disagree count less (Huber 1964, by reweighting).
"""

import math
from collections import deque
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

MOST_FIELDS = 50

_TILT = 0.003
"""Standard deviation of a slide's tilt, in um per um: 3 um a millimetre is a badly seated one."""

_ANYWHERE_UM = 1e4
_SCATTER_UM = 0.5
"""How far a field's focus lies off the plane: coverslips are wavy, sections thick."""

_DRIFT_UM_PER_S = 0.002
_HUBER = 1.5
_ROUNDS = 20

_ANOTHER_SLIDE_UM = 5.0
_ANOTHER_SLIDE_FIELDS = 3
"""So many fields in a row that lie so far off the plane: it is not that slide any more."""


@dataclass(frozen=True, slots=True)
class Expected:
    """Where a field's focus is expected, as a stage position, and its standard deviation."""

    focus_um: float
    sigma_um: float


@dataclass(frozen=True, slots=True)
class _Field:
    x_um: float
    y_um: float
    focus_um: float
    at_s: float


class FocusMap:
    """The plane focus_um = a x_um + b y_um + c of the latest fields."""

    def __init__(self) -> None:
        self._fields: deque[_Field] = deque(maxlen=MOST_FIELDS)
        self._strange = 0

    def __len__(self) -> int:
        return len(self._fields)

    def clear(self) -> None:
        """Forget all fields: the count of the stage, or the slide, is another."""
        self._fields.clear()
        self._strange = 0

    def add(self, x_um: float, y_um: float, focus_um: float, at_s: float) -> None:
        """Learn where a field at (x_um, y_um) was in focus, and when."""
        expected = self.expect(x_um, y_um, at_s)
        apart_um = 0.0 if expected is None else abs(focus_um - expected.focus_um)
        far = expected is not None and apart_um > _ANOTHER_SLIDE_UM + 3 * expected.sigma_um
        self._strange = self._strange + 1 if far else 0
        self._fields.append(_Field(x_um, y_um, focus_um, at_s))
        if self._strange >= _ANOTHER_SLIDE_FIELDS:
            latest = list(self._fields)[-_ANOTHER_SLIDE_FIELDS:]
            self.clear()
            self._fields.extend(latest)

    def expect(self, x_um: float, y_um: float, now_s: float) -> Expected | None:
        """Return where the field at (x_um, y_um) should be in focus; None before the first."""
        if not self._fields:
            return None
        latest = self._fields[-1]
        places = np.array([(f.x_um - latest.x_um, f.y_um - latest.y_um, 1) for f in self._fields])
        focus_um = np.array([f.focus_um for f in self._fields])
        # Tilt and height are told from the mean height, lest the prior pull it to 0.
        middle_um = float(np.median(focus_um))
        age_s = now_s - np.array([f.at_s for f in self._fields])
        variance = _SCATTER_UM**2 + (_DRIFT_UM_PER_S * age_s) ** 2
        plane, covariance = _fit(places, focus_um - middle_um, variance)
        here = np.array([x_um - latest.x_um, y_um - latest.y_um, 1])
        sigma_um = math.sqrt(float(here @ covariance @ here) + _SCATTER_UM**2)
        return Expected(middle_um + float(here @ plane), sigma_um)


def _fit(
    places: NDArray[np.float64], height_um: NDArray[np.float64], variance: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the plane (a, b, c) of heights (n,) at places (n, 3), and its covariance (3, 3)."""
    prior = np.diag([_TILT**-2, _TILT**-2, _ANYWHERE_UM**-2])
    doubt = np.ones(len(height_um))
    for _ in range(_ROUNDS):
        weights = doubt / variance
        precision = prior + places.T @ (weights[:, None] * places)
        covariance: NDArray[np.float64] = np.linalg.inv(precision).astype(np.float64)
        plane = covariance @ (places.T @ (weights * height_um))
        off = np.abs(height_um - places @ plane) / np.sqrt(variance)
        doubt = np.minimum(1.0, _HUBER / np.maximum(off, 1e-9))
    return plane, covariance
