"""Where a drifting focus is, from looks now and then: a Kalman filter.

It knows a place, its speed, and how far off the looks are that come of one specimen: by how thick
it is, what they say is wrong by the same for all of them. Place and speed are those of a constant
speed with a random walk (Bar-Shalom, Li and Kirubarajan, Estimation with Applications to Tracking
and Navigation, 6.3). A grid, as `edge_af.belief` has it, would not do: a product of many looks from
one place sharpens towards the middle of a class.
"""

import math

import numpy as np
from numpy.typing import NDArray

_SPEED_UM_PER_S = 0.02
"""Standard deviation of the drift before anything is known of it: 70 um an hour."""

_SPEED_WALK = 4e-4
"""Of the change of speed in 1 s, um/s: 0.01 um/s in ten minutes, as of a room that is heated."""

_WANDER_UM = 0.02
"""Of what comes and goes in 1 s without drift: play, vibration."""

_BIAS_WALK_UM = 0.004
"""Of the change of the bias in 1 s: 0.1 um in ten minutes, as the field is moved or dries."""

_ANYWHERE_UM = 1e3
_STRANGE = 2.0
"""A look this many standard deviations off counts less, by as much as it is further off; a second
one after it, off the same way, says that the focus is elsewhere."""

_MOVED = 3.0
"""In standard deviations: so far off, a witness says more of a move than of a drift."""

_SEEN = np.array([1.0, 0.0, 1.0])
"""What a look shows of place, speed and bias."""

_FOUND = np.array([1.0, 0.0, 0.0])


class DriftFilter:
    """What is believed of the focus, on the stage axis, and of its drift."""

    def __init__(self, bias_um: float = 0.0) -> None:
        """Expect looks of one specimen to be off by `bias_um` in common, 1 sigma."""
        self._state: NDArray[np.float64] = np.zeros(3)
        self._covariance: NDArray[np.float64] = np.diag(
            [_ANYWHERE_UM**2, _SPEED_UM_PER_S**2, bias_um**2]
        )
        self._bias_um = bias_um
        self._time_s: float | None = None
        self._strange_way = 0

    @property
    def focus_um(self) -> float:
        """Where the focus is most likely."""
        return float(self._state[0])

    @property
    def strange(self) -> bool:
        """Whether the latest look did not fit those before."""
        return self._strange_way != 0

    @property
    def sigma_um(self) -> float:
        """Its standard deviation."""
        return math.sqrt(float(self._covariance[0, 0]))

    @property
    def drift_um_per_s(self) -> float:
        """How fast the focus moves."""
        return float(self._state[1])

    def displaced(self) -> None:
        """Forget the place, for something has moved; neither the drift nor the bias."""
        kept = np.diag(self._covariance)
        self._covariance = np.diag([_ANYWHERE_UM**2, kept[1], kept[2]])

    def replaced(self, bias_um: float) -> None:
        """Forget place and bias, for it is another specimen; `bias_um` is what to expect of it."""
        self._bias_um = bias_um
        self._state[2] = 0.0
        self._covariance = np.diag(
            [_ANYWHERE_UM**2, float(self._covariance[1, 1]), self._bias_um**2]
        )

    def until(self, now_s: float) -> None:
        """Let time pass: what is believed of the focus drifts on, and grows less sure."""
        self._age(now_s)

    def look(self, now_s: float, focus_um: float, sigma_um: float) -> bool:
        """Take in that the focus seemed to be at `focus_um`; `sigma_um` is without the bias.

        False if it is surely elsewhere than before: what was known of it is forgotten.
        """
        self._age(now_s)
        off_um = focus_um - float(_SEEN @ self._state)
        expected = float(_SEEN @ self._covariance @ _SEEN) + sigma_um**2
        excess = off_um**2 / (_STRANGE**2 * expected)
        way = 0 if excess <= 1 else 1 if off_um > 0 else -1
        moved = way != 0 and way == self._strange_way
        if moved:
            self.replaced(self._bias_um)
            off_um = focus_um - float(_SEEN @ self._state)
            excess, way = 1.0, 0
        self._strange_way = way
        self._take(_SEEN, off_um, sigma_um**2 * max(excess, 1.0))
        return not moved

    def found(self, now_s: float, focus_um: float, sigma_um: float) -> None:
        """Take in that the focus is at `focus_um`, by a witness that has not the looks' bias.

        Far from where it was believed, it has not drifted there: something has moved.
        """
        self._age(now_s)
        if abs(focus_um - self.focus_um) > _MOVED * math.hypot(self.sigma_um, sigma_um):
            self.displaced()
        self._take(_FOUND, focus_um - self.focus_um, sigma_um**2)

    def beyond(self, here_um: float, reach_um: float) -> float:
        """Return the probability that the focus lies more than `reach_um` from `here_um`.

        On the likelier side of it: not to know where it is, is no reason to move.
        """
        nearer_um = reach_um - abs(here_um - self.focus_um)
        return math.erfc(nearer_um / (self.sigma_um * math.sqrt(2))) / 2

    def _take(self, shows: NDArray[np.float64], off_um: float, variance: float) -> None:
        gain = self._covariance @ shows
        seen = float(shows @ gain) + variance
        self._state = self._state + gain / seen * off_um
        self._covariance = self._covariance - np.outer(gain, gain) / seen

    def _age(self, now_s: float) -> None:
        passed_s = 0.0 if self._time_s is None else max(0.0, now_s - self._time_s)
        self._time_s = now_s
        step = np.eye(3)
        step[0, 1] = passed_s
        walk = np.zeros((3, 3))
        walk[:2, :2] = _SPEED_WALK**2 * np.array(
            [[passed_s**3 / 3, passed_s**2 / 2], [passed_s**2 / 2, passed_s]]
        )
        walk[0, 0] += _WANDER_UM**2 * passed_s
        walk[2, 2] = _BIAS_WALK_UM**2 * passed_s
        self._state = step @ self._state
        self._covariance = step @ self._covariance @ step.T + walk
        # However long nobody looked: a stand drifts no faster than it can, and looks are off by no
        # more than with another specimen.
        self._covariance[1, 1] = min(self._covariance[1, 1], _SPEED_UM_PER_S**2)
        self._covariance[2, 2] = min(self._covariance[2, 2], self._bias_um**2)
