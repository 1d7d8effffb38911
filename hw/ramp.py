"""Step timing: when each pulse of a move is due."""

import numpy as np
from numpy.typing import NDArray


def step_times_s(
    steps: int,
    top_speed_steps_per_s: float,
    acceleration_steps_per_s2: float,
    jerk_steps_per_s3: float | None = None,
) -> NDArray[np.float64]:
    """Return when each step of a move from rest to rest is due, in s after its start.

    Shape (steps,), float64, rising. The speed follows a trapezoid, or a triangle where the move is
    too short to reach top speed; with a jerk given, the acceleration follows trapezoids too, and
    the speed an S-curve. Step k is due when the motion under that speed has covered k steps: the
    closed form, by x = a t^2 / 2, x = v t and x = j t^3 / 6. Raises ValueError if `steps` is
    negative, or a rate is not positive.
    """
    if steps < 0:
        raise ValueError(f"a move has 0 steps or more, got {steps}; pass its length, not its sign")
    jerk = np.inf if jerk_steps_per_s3 is None else jerk_steps_per_s3
    if not (top_speed_steps_per_s > 0 and acceleration_steps_per_s2 > 0 and jerk > 0):
        raise ValueError(
            "top speed, acceleration and jerk must be above 0, got "
            f"{top_speed_steps_per_s} steps/s, {acceleration_steps_per_s2} steps/s^2 and "
            f"{jerk_steps_per_s3} steps/s^3"
        )
    if steps == 0:
        return np.empty(0)
    ramp = _Ramp(top_speed_steps_per_s, acceleration_steps_per_s2, jerk)
    if ramp.steps > steps / 2:
        rate = _rate_after(steps / 2, acceleration_steps_per_s2, jerk)
        ramp = _Ramp(rate, acceleration_steps_per_s2, jerk)
    ramp_steps = min(ramp.steps, steps / 2)
    end_s = 2 * ramp.duration_s + (steps - 2 * ramp_steps) / ramp.rate

    done = np.arange(1, steps + 1, dtype=np.float64)
    left = steps - done
    rising_s = ramp.times_s(np.minimum(done, ramp_steps))
    level_s = ramp.duration_s + (done - ramp_steps) / ramp.rate
    falling_s = end_s - ramp.times_s(np.minimum(left, ramp_steps))
    return np.where(done <= ramp_steps, rising_s, np.where(left >= ramp_steps, level_s, falling_s))


def stopping_waits_s(
    wait_s: float, steps: int, acceleration_steps_per_s2: float
) -> NDArray[np.float64]:
    """Return the waits before each further step that a motor needs to come to rest.

    Shape (up to `steps`,), float64, rising: the end of a ramp down at the given acceleration, from
    the speed at which a step comes every `wait_s`. Empty if that is slow enough to halt at once.
    """
    # Before the step that leaves k to go: sqrt(2 / a) (sqrt(k + 1) - sqrt(k)), at least wait_s for
    # sqrt(k + 1) + sqrt(k) <= q, which is k <= ((q - 1 / q) / 2)^2.
    start_s = np.sqrt(2 / acceleration_steps_per_s2)
    q = start_s / wait_s
    count = 0 if q < 1 else int(((q - 1 / q) / 2) ** 2) + 1
    left = np.arange(min(count, steps) - 1, -1, -1, dtype=np.float64)
    return np.asarray(start_s * (np.sqrt(left + 1) - np.sqrt(left)))


class _Ramp:
    """From rest to `rate`, in steps/s: acceleration rises to its peak, stays, falls to nothing."""

    def __init__(self, rate: float, acceleration: float, jerk: float) -> None:
        self.rate = rate
        self._jerk = jerk
        self._peak = min(acceleration, np.sqrt(rate * jerk))
        self._jerk_s = self._peak / jerk  # how long it rises, and falls; 0 without a bound
        self.duration_s = rate / self._peak + self._jerk_s
        self.steps = rate * self.duration_s / 2  # by symmetry about the middle

    def times_s(self, done: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return when `done` steps, 0 to `steps`, are covered."""
        if not np.isfinite(self._jerk):
            return np.asarray(np.sqrt(2 * done / self._peak))
        jerk, jerk_s, peak = self._jerk, self._jerk_s, self._peak
        first_steps = jerk * jerk_s**3 / 6
        first_s = np.cbrt(6 * done / jerk)
        # Constant acceleration, after speed j T^2 / 2 was reached.
        entry_speed = jerk * jerk_s**2 / 2
        beyond = np.maximum(done - first_steps, 0)
        middle_s = jerk_s + (np.sqrt(entry_speed**2 + 2 * peak * beyond) - entry_speed) / peak
        # The last part seen from its end: v t - j t^3 / 6 = left, by sin 3u = 3 sin u - 4 sin^3 u.
        left = np.maximum(self.steps - done, 0)
        scale_s = 2 * np.sqrt(2 * self.rate / jerk)
        angle = np.arcsin(np.minimum(3 * left / (scale_s * self.rate), 1)) / 3
        last_s = self.duration_s - scale_s * np.sin(angle)
        last_steps = self.rate * jerk_s - first_steps
        return np.where(
            done <= first_steps, first_s, np.where(left >= last_steps, middle_s, last_s)
        )


def _rate_after(steps: float, acceleration: float, jerk: float) -> float:
    """Return the speed at the end of a ramp of that length."""
    if steps < acceleration**3 / jerk**2:  # the acceleration never gets to its bound
        return float((steps * np.sqrt(jerk)) ** (2 / 3))
    lost = acceleration**2 / jerk
    return float((np.sqrt(lost**2 + 8 * acceleration * steps) - lost) / 2)
