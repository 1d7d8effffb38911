"""A stage driver whose motor is virtual."""

import threading
from typing import Literal, Self

import numpy as np

from hw.axis import AxisSettings
from hw.clock import Clock
from hw.ramp import step_times_s
from hw.stage import Range, StageFault, StageStopped
from hw.virtual.mechanics import Mechanics


class VirtualStage:
    """Sends steps to `Mechanics` as a step/direction driver sends them to a motor.

    It counts the steps that it sends, from where the motor stood when it was made, and knows
    nothing of what becomes of them: positions follow from what it was told of the axis, which may
    be wrong. It checks no limit: that is the guard's work.
    """

    def __init__(
        self, mechanics: Mechanics, clock: Clock, axis: AxisSettings | None = None
    ) -> None:
        """Drive `mechanics`; without `axis` it is told the truth about them."""
        self._mechanics = mechanics
        self._settings = mechanics.settings
        self._axis = axis or _true_axis(mechanics)
        self._clock = clock
        motor_steps = round(mechanics.motor_um / self._settings.step_um)
        self._steps = -motor_steps if self._settings.reversed else motor_steps
        self._settled_at_s = clock.now_s()
        self._stop = threading.Event()
        self._connected = False

    @property
    def step_um(self) -> float:
        """Smallest move, in um."""
        return self._axis.step_um

    @property
    def travel(self) -> Range:
        """Positions that, by what it was told, touch neither hard stop."""
        return self._axis.travel

    @property
    def position_um(self) -> float:
        """Position counted from the steps sent, in um."""
        return self._axis.position_um(self._steps)

    @property
    def settled_at_s(self) -> float:
        """Time of the last step plus the settle time."""
        return self._settled_at_s

    def move_to_um(self, target_um: float) -> None:
        """Move to the step nearest to `target_um`; return at the last step.

        A stop that came before the move is forgotten. Raises StageStopped if one comes meanwhile,
        and StageFault if the stage is not connected.
        """
        if not self._connected:
            raise StageFault("the virtual stage is not connected; enter it with `with` first")
        self._stop.clear()
        steps = self._axis.steps_at(target_um) - self._steps
        direction: Literal[-1, 1] = 1 if steps > 0 else -1
        due_s = step_times_s(
            abs(steps),
            self._settings.top_speed_steps_per_s,
            self._settings.acceleration_steps_per_s2,
        )
        stepped_s = self._clock.now_s()
        # Waits run from the step before: after a late one the motor must not be rushed to catch up.
        for wait_s in np.diff(due_s, prepend=0.0).tolist():
            self._clock.wait_until_s(stepped_s + wait_s)
            if self._stop.is_set() or not self._connected:
                raise StageStopped(
                    f"stopped at {self.position_um:g} um on the way to {target_um:g} um"
                )
            stepped_s = self._clock.now_s()
            self._mechanics.step(direction, stepped_s)
            self._steps += direction
            self._settled_at_s = stepped_s + self._axis.settle_s

    def stop(self) -> None:
        """Send no further step of the move under way. Callable from any thread."""
        self._stop.set()

    def take_doubt(self) -> None:
        """Nothing happens to a virtual stage between moves."""

    def __enter__(self) -> Self:
        self._connected = True
        return self

    def __exit__(self, *error: object) -> None:
        self._connected = False
        self.stop()


def _true_axis(mechanics: Mechanics) -> AxisSettings:
    settings = mechanics.settings
    return AxisSettings(
        step_um=settings.step_um,
        reversed=settings.reversed,
        travel_low_um=settings.travel.low_um,
        travel_high_um=settings.travel.high_um,
        settle_s=settings.settle_s,
    )
