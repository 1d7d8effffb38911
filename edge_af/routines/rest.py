"""How long to leave alone what did not last: longer each time."""

import math

_LEAST_S = 10.0
_MOST_S = 600.0


class Rest:
    """The rest between two attempts, doubled by each until one has brought the focus for good."""

    def __init__(self) -> None:
        self._over_s = -math.inf
        self._next_s = _LEAST_S

    def left_s(self, now_s: float) -> float:
        """Return how long no attempt should be made yet; 0 if one may."""
        return max(self._over_s - now_s, 0.0)

    def begin(self, now_s: float) -> None:
        """Rest from now on, for an attempt is being made."""
        self._over_s = now_s + self._next_s
        self._next_s = min(2 * self._next_s, _MOST_S)

    def ease(self) -> None:
        """Rest as shortly as at first from the next attempt on: all is well."""
        self._next_s = _LEAST_S
