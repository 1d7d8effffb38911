"""Step timing: when each pulse of a move is due."""

import numpy as np
from numpy.typing import NDArray


def step_times_s(
    steps: int, top_speed_steps_per_s: float, acceleration_steps_per_s2: float
) -> NDArray[np.float64]:
    """Return when each step of a move from rest to rest is due, in s after its start.

    Shape (steps,), float64, rising. The speed follows a trapezoid, or a triangle where the move is
    too short to reach top speed; step k is due when the motion under that speed has covered k
    steps, so the times are the closed form of x = a t^2 / 2 and x = v t. Raises ValueError if
    `steps` is negative, or a rate is not positive.
    """
    if steps < 0:
        raise ValueError(f"a move has 0 steps or more, got {steps}; pass its length, not its sign")
    if not (top_speed_steps_per_s > 0 and acceleration_steps_per_s2 > 0):
        raise ValueError(
            "top speed and acceleration must be above 0, got "
            f"{top_speed_steps_per_s} steps/s and {acceleration_steps_per_s2} steps/s^2"
        )
    acceleration = acceleration_steps_per_s2
    ramp_steps = min(top_speed_steps_per_s**2 / (2 * acceleration), steps / 2)
    speed = np.sqrt(2 * acceleration * ramp_steps)  # reached, in steps/s
    ramp_s = speed / acceleration
    cruise_s = (steps - 2 * ramp_steps) / speed if steps else 0.0
    end_s = 2 * ramp_s + cruise_s

    done = np.arange(1, steps + 1, dtype=np.float64)
    left = steps - done
    rising_s = np.sqrt(2 * done / acceleration)
    level_s = ramp_s + (done - ramp_steps) / max(speed, np.finfo(np.float64).tiny)
    falling_s = end_s - np.sqrt(2 * left / acceleration)
    return np.where(done <= ramp_steps, rising_s, np.where(left >= ramp_steps, level_s, falling_s))
