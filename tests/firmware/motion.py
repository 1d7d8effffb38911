"""Steps of a motor under constant acceleration, with the feed hold that a board can order."""

import math
from dataclasses import dataclass

SLICE_S = 0.00025


@dataclass
class Motion:
    """One run from rest to rest, advanced in slices of time."""

    length: int
    """Steps to do; more than 0."""
    direction: int
    top_speed_steps_per_s: float
    acceleration_steps_per_s2: float
    done: int = 0
    holding: bool = False
    _progress: float = 0.0
    _speed: float = 0.0

    @property
    def at_rest(self) -> bool:
        return self.done >= self.length or (self.holding and self._speed <= 0)

    def advance(self, duration_s: float) -> int:
        """Let time pass; return how many steps were made in it."""
        before = self.done
        while duration_s > 0 and not self.at_rest:
            slice_s = min(SLICE_S, duration_s)
            duration_s -= slice_s
            self._pass(slice_s)
        return self.done - before

    def _pass(self, slice_s: float) -> None:
        change = self.acceleration_steps_per_s2 * slice_s
        if self.holding:
            self._speed = max(self._speed - change, 0.0)
        else:
            left = max(self.length - self._progress, 0.0)
            brake = math.sqrt(2 * self.acceleration_steps_per_s2 * left)
            self._speed = min(self._speed + change, brake, self.top_speed_steps_per_s)
            self._speed = max(self._speed, change)  # the last step must come
        self._progress += self._speed * slice_s
        self.done = min(int(self._progress + 1e-9), self.length)
