"""What stages on GPIO lines have in common: counting, stopping, and the current of the motor."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Literal, Protocol, Self

from pydantic import Field

from hw.axis import AxisSettings
from hw.clock import Clock
from hw.pacing import Speed, Stepper, run
from hw.pins import Backend, Pins
from hw.real_time import before_all_others
from hw.stage import Range, StageFault, StageStopped


class GpioSettings(AxisSettings):
    """What every motor on GPIO lines is told."""

    pins: Backend = "lgpio"
    """The library to reach the lines by; RPi.GPIO means rpi-lgpio on a Pi 5."""
    top_speed_steps_per_s: float = Field(1000.0, gt=0, le=20_000)
    """How fast the motor may turn."""
    acceleration_steps_per_s2: float = Field(10_000.0, gt=0, le=1e7)
    """How fast its speed may change; less if it loses steps."""
    jerk_steps_per_s3: float | None = Field(None, gt=0, le=1e10, examples=[1e6])
    """Bound of the change in acceleration, for an S-curve; without it the speed is a trapezoid."""
    on_stop: Literal["at once", "decelerate"] = "at once"
    """Whether a stop sends no further step, or those that slow the motor down."""
    release: Literal["at exit", "when idle", "never"] = "at exit"
    """When the current is taken off the motor."""
    idle_s: float = Field(10.0, gt=0, le=86_400)
    """How long after a move the motor is idle, where it is released then."""
    keeps_place: bool = False
    """Whether the axis stays where it is without current, so that its position stays trusted."""

    @property
    def speed(self) -> Speed:
        """How fast the motor may turn."""
        return Speed(
            self.top_speed_steps_per_s, self.acceleration_steps_per_s2, self.jerk_steps_per_s3
        )


class Motor(Stepper, Protocol):
    """A motor on GPIO lines; every method raises PinError."""

    def claim(self) -> None:
        """Claim its lines, once they are open, with no current."""
        ...

    def switch(self, on: bool) -> None:
        """Switch the current; on return the motor takes steps."""
        ...

    def turn(self, direction: int) -> None:
        """Prepare for steps in that direction, 1 or -1."""
        ...

    def finish(self) -> None:
        """Wait until the last step sent has been made."""
        ...


class Timer(Protocol):
    """What threading.Timer makes."""

    def start(self) -> None:
        """Begin to wait."""
        ...

    def cancel(self) -> None:
        """Do nothing in the end."""
        ...


def daemon_timer(after_s: float, action: Callable[[], None]) -> Timer:
    """Return a timer, not started, that does not keep the process alive."""
    timer = threading.Timer(after_s, action)
    timer.daemon = True
    return timer


class GpioStage:
    """A stage whose steps are sent, and counted, by this process; it starts at 0 um."""

    def __init__(
        self,
        settings: GpioSettings,
        clock: Clock,
        pins: Pins,
        motor: Motor,
        timer: Callable[[float, Callable[[], None]], Timer] = daemon_timer,
    ) -> None:
        """Drive `motor`, whose lines are `pins`; `timer` is what releases an idle motor."""
        self._axis = settings
        self._clock = clock
        self._pins = pins
        self._motor = motor
        self._timer = timer
        self._steps = 0
        self._direction = 1
        self._settled_at_s = clock.now_s()
        self._stopped = False  # no Event: a signal handler may stop while it is being cleared
        self._doubt: str | None = None
        # Guards what follows. Held for moments only, never during a move.
        self._state = threading.RLock()
        self._connected = False
        self._moving = False
        self._energised = False
        self._idle: Timer | None = None

    @property
    def step_um(self) -> float:
        """Smallest move, in um."""
        return self._axis.step_um

    @property
    def travel(self) -> Range:
        """Positions that the mechanics can reach, as set."""
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
        and StageFault if the stage is not connected or its lines fail.
        """
        with self._one_move():
            steps = self._axis.steps_at(target_um) - self._steps
            decelerate = self._axis.on_stop == "decelerate"
            if steps:
                self._send(steps, self._axis.speed, self._must_halt, decelerate=decelerate)
                self._raise_if_stopped(f"on the way to {target_um:g} um")

    def stop(self) -> None:
        """Send no further step of the move under way, or slow it down. Callable from any thread."""
        self._stopped = True

    def take_doubt(self) -> str | None:
        """Return, once, why the axis may not stand where it was left: it was without current."""
        doubt, self._doubt = self._doubt, None
        return doubt

    def _must_halt(self) -> bool:
        """Tell whether the next step must not be made. A subclass may raise StageFault."""
        return self._stopped or not self._connected

    def _send(
        self, steps: int, speed: Speed, halted: Callable[[], bool], *, decelerate: bool = False
    ) -> None:
        if not self._energised:
            self._energised = True
            self._motor.switch(True)
        self._direction = 1 if steps > 0 else -1
        self._motor.turn(self._direction)
        try:
            with before_all_others():
                run(
                    self._motor,
                    abs(steps),
                    speed,
                    self._clock,
                    halted,
                    self._count,
                    decelerate=decelerate,
                )
        finally:
            self._motor.finish()

    def _count(self, begun_s: float) -> None:
        self._steps += self._direction
        self._settled_at_s = begun_s + self._axis.settle_s

    def _raise_if_stopped(self, where: str) -> None:
        if self._stopped or not self._connected:
            raise StageStopped(f"stopped at {self.position_um:g} um {where}")

    @contextmanager
    def _one_move(self) -> Iterator[None]:
        with self._state:
            if not self._connected:
                raise StageFault("the stage is not connected; enter it with `with` first")
            if self._moving:
                raise StageFault("another move is under way; wait for its end, or stop it")
            self._stopped = False
            self._moving = True
            self._cancel_idle()
        try:
            yield
        finally:
            with self._state:
                self._moving = False
                if not self._connected:  # exit came in mid-move, and left this to us
                    self._let_go()
                elif self._energised and self._axis.release == "when idle":
                    self._idle = self._timer(self._axis.idle_s, self._release_when_idle)
                    self._idle.start()

    def _cancel_idle(self) -> None:
        if self._idle is not None:
            self._idle.cancel()
            self._idle = None

    def _release_when_idle(self) -> None:
        with self._state:
            if self._idle is None:  # a move began while this waited for the lock
                return
            self._idle = None
            self._release(f"its motor was released after {self._axis.idle_s:g} s without a move")

    def _release(self, why: str) -> None:
        self._energised = False
        if not self._axis.keeps_place:
            self._doubt = why
        with suppress(StageFault):  # lines that fail leave the doubt, and the next move tells
            self._motor.switch(False)

    def _let_go(self) -> None:
        try:
            if self._energised and self._axis.release != "never":
                self._release("its motor was released when the stage was disconnected")
            elif self._energised:
                self._energised = False
                if not self._axis.keeps_place:
                    self._doubt = "its lines were given up when the stage was disconnected"
        finally:
            self._pins.__exit__(None, None, None)

    def __enter__(self) -> Self:
        with self._state:
            self._pins.__enter__()
            try:
                self._motor.claim()
            except BaseException:
                self._pins.__exit__(None, None, None)
                raise
            self._connected = True
        return self

    def __exit__(self, *error: object) -> None:
        with self._state:
            self._stopped = True
            was_connected, self._connected = self._connected, False
            self._cancel_idle()
            if was_connected and not self._moving:
                self._let_go()
