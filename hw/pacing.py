"""The loop that sends the steps of a move, each at its time, and can be stopped between any two."""

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from hw.clock import Clock
from hw.ramp import step_times_s, stopping_waits_s


@dataclass(frozen=True, slots=True)
class Speed:
    """How fast a motor may turn, in steps/s, steps/s^2 and steps/s^3."""

    top_steps_per_s: float
    acceleration_steps_per_s2: float
    jerk_steps_per_s3: float | None = None

    def waits_s(self, steps: int) -> "deque[float]":
        """Return the wait before each step of a move from rest to rest."""
        waits_s: deque[float] = deque()
        before_s = 0.0
        for due_s in step_times_s(
            steps, self.top_steps_per_s, self.acceleration_steps_per_s2, self.jerk_steps_per_s3
        ).tolist():
            waits_s.append(due_s - before_s)
            before_s = due_s
        return waits_s


class Stepper(Protocol):
    """A motor that takes single steps."""

    @property
    def lead_s(self) -> float:
        """How far ahead of its time a step may be sent."""
        ...

    def set_off(self, rest_s: float) -> float:
        """Begin a run whose first step is due after `rest_s`; return when that time began."""
        ...

    def step(self, at_s: float, wait_s: float, next_s: float) -> float:
        """Send a step for `at_s`, `wait_s` after the one before; return when it began.

        The next one is due `next_s` later; 0 after the last.
        """
        ...


def run(
    motor: Stepper,
    steps: int,
    speed: Speed,
    clock: Clock,
    halted: Callable[[], bool],
    sent: Callable[[float], None],
    *,
    decelerate: bool = False,
) -> None:
    """Send `steps` steps, 1 or more, from rest to rest; tell `sent` when each began.

    Once `halted`, no further one is sent, or with `decelerate` as many as it takes to slow down
    within the acceleration. Waits run from the step before, so that after a late step the motor is
    not rushed; one that stood still for a step period too long sets off from rest again.
    """
    waits_s = speed.waits_s(steps)
    due_s = motor.set_off(waits_s[0]) + waits_s[0]
    at_rest, stopping = True, False
    while waits_s:
        wait_s = waits_s.popleft()
        clock.wait_until_s(due_s - min(motor.lead_s, wait_s))
        if not stopping and halted():
            if at_rest or not decelerate:
                return
            acceleration = speed.acceleration_steps_per_s2
            waits_s = deque(stopping_waits_s(wait_s, len(waits_s), acceleration).tolist())
            stopping = True
        next_s = waits_s[0] if waits_s else 0.0
        begun_s = motor.step(due_s, wait_s, next_s)
        sent(begun_s)
        at_rest = begun_s - due_s > wait_s
        if at_rest and waits_s:
            if stopping:
                return
            waits_s = speed.waits_s(len(waits_s))
            begun_s, next_s = motor.set_off(waits_s[0]), waits_s[0]
        due_s = begun_s + next_s
