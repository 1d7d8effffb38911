"""A stepper motor behind a STEP/DIR/ENABLE driver: A4988, DRV8825, or TMC2209 without UART."""

import math
from collections.abc import Callable
from typing import Literal, Self

from pydantic import Field, model_validator

from hw.clock import Clock
from hw.end_stop import EndStop, EndStopSettings
from hw.gpio_stage import GpioSettings, GpioStage, Timer, daemon_timer
from hw.pacing import Speed
from hw.pins import Pins, Pulses, open_pins
from hw.stage import StageFault
from hw.step_chips import CHIPS, ChipName


class StepDirSettings(GpioSettings):
    """One axis on a STEP/DIR driver; pins by BCM number, steps are microsteps."""

    kind: Literal["step_dir"] = "step_dir"
    """A stepper motor on GPIO lines, by a driver with STEP and DIR."""
    chip: ChipName = Field(examples=["TMC2209"])
    """The chip on the driver."""
    microsteps: int = 16
    """As the driver's mode pins are wired; `step_um` is the way of one of them."""
    step_pin: int = Field(ge=0, le=27, examples=[13])
    """GPIO number of STEP."""
    direction_pin: int = Field(ge=0, le=27, examples=[19])
    """GPIO number of DIR."""
    forward_level: Literal["low", "high"] = "high"
    """The level of the direction pin at which the count goes up."""
    enable_pin: int | None = Field(None, ge=0, le=27, examples=[5])
    """Without one the driver is always on, and nothing releases the motor."""
    enable_level: Literal["low", "high"] = "low"
    """The level of the enable pin at which the motor has current."""
    end_stop: EndStopSettings | None = None
    """A switch at one end of the axis, to find the position by."""

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        pins = [self.step_pin, self.direction_pin]
        pins += [] if self.enable_pin is None else [self.enable_pin]
        pins += [] if self.end_stop is None else [self.end_stop.pin]
        if len(set(pins)) < len(pins):
            raise ValueError(f"each signal needs a pin of its own, got GPIO {pins}")
        allowed = CHIPS[self.chip].microsteps
        if self.microsteps not in allowed:
            raise ValueError(
                f"the {self.chip} makes {', '.join(map(str, allowed))} microsteps a step, not "
                f"{self.microsteps}"
            )
        if self.enable_pin is None and self.release == "when idle":
            raise ValueError('release = "when idle" needs an enable_pin')
        return self


class StepDir(GpioStage):
    """A stage on a STEP/DIR driver. `step_dir` makes the one that fits the settings.

    A move that meets an end stop ends at once in StageFault, for the count was wrong.
    """

    def __init__(
        self,
        settings: StepDirSettings,
        clock: Clock,
        pins: Pins | None = None,
        timer: Callable[[float, Callable[[], None]], Timer] = daemon_timer,
    ) -> None:
        """Prepare the stage; `pins` are those of this board if none are given."""
        pins = open_pins(settings.pins, clock) if pins is None else pins
        end = settings.end_stop
        self._end_stop = None if end is None else EndStop(end, pins, clock)
        # Which way the motor turns to get there.
        self._towards = 0
        if end is not None:
            self._towards = -1 if (end.end == "low") != settings.reversed else 1
        motor = StepDirMotor(settings, clock, pins, self._end_stop)
        super().__init__(settings, clock, pins, motor, timer)

    def _must_halt(self) -> bool:
        end_stop = self._end_stop
        if end_stop is not None and self._direction == self._towards and end_stop.pressed():
            raise StageFault(
                f"the axis met its end stop at a count of {self.position_um:g} um, and the end "
                f"stop is at {end_stop.settings.position_um:g} um; home the stage"
            )
        return super()._must_halt()


class HomingStepDir(StepDir):
    """A stage on a STEP/DIR driver with an end stop, by which it finds out where it stands."""

    def home(self, within_um: float) -> None:
        """Run to the end stop, at most `within_um` away; the count is then that of the end stop.

        Looks for it, backs off, and presses it again slowly. Raises StageStopped on `stop`, and
        StageFault if it is not found, or stays pressed after backing off.
        """
        end_stop = self._end_stop
        if end_stop is None:
            raise StageFault("homing needs an end stop; set up end_stop")
        end = end_stop.settings
        acceleration = self._axis.acceleration_steps_per_s2
        seek = Speed(end.speed_steps_per_s, acceleration)
        approach = Speed(end.approach_steps_per_s, acceleration)
        back_off = math.ceil(end.back_off_um / self.step_um)
        # Not farther than the axis is long, whatever is allowed.
        within_um = min(within_um, self.travel.high_um - self.travel.low_um)
        with self._one_move():
            if not self._press(end_stop, math.floor(within_um / self.step_um), seek):
                raise StageFault(
                    f"the end stop on GPIO {end.pin} was not found within {within_um:g} um; check "
                    "its wiring, `end` and `reversed`, or allow a longer run"
                )
            self._send(-self._towards * back_off, seek, self._must_halt)
            self._raise_if_stopped("in homing")
            if end_stop.pressed():
                raise StageFault(
                    f"the end stop on GPIO {end.pin} is still pressed {end.back_off_um:g} um away "
                    "from where it was; check its wiring, or raise back_off_um"
                )
            if not self._press(end_stop, 2 * back_off, approach):
                raise StageFault(
                    f"the end stop on GPIO {end.pin} was found once, but not again within twice "
                    f"the back_off_um of {end.back_off_um:g} um; check that it is fixed"
                )
            self._steps = self._axis.steps_at(end.position_um)

    def _press(self, end_stop: EndStop, steps: int, speed: Speed) -> bool:
        """Run towards the end stop until it is pressed; False if it is not within `steps`."""
        pressed = end_stop.pressed()

        def halted() -> bool:
            nonlocal pressed
            pressed = end_stop.pressed()
            return pressed or super(StepDir, self)._must_halt()

        if not pressed and steps:
            self._send(self._towards * steps, speed, halted)
        self._raise_if_stopped("in homing")
        return pressed or end_stop.pressed()


def step_dir(
    settings: StepDirSettings,
    clock: Clock,
    pins: Pins | None = None,
    timer: Callable[[float, Callable[[], None]], Timer] = daemon_timer,
) -> StepDir:
    """Return the stage that fits the settings: one with an end stop can home."""
    kind = StepDir if settings.end_stop is None else HomingStepDir
    return kind(settings, clock, pins, timer)


class StepDirMotor:
    """The signals of the driver, each as long as the chip asks."""

    def __init__(
        self, settings: StepDirSettings, clock: Clock, pins: Pins, end_stop: EndStop | None
    ) -> None:
        self._settings = settings
        self._end_stop = end_stop
        self._timing = CHIPS[settings.chip]
        self._clock = clock
        self._pins = pins
        self._pulses: Pulses | None = None
        self._forward: bool | None = None

    @property
    def lead_s(self) -> float:
        """As far ahead as the pins take pulses."""
        return self._player.lead_s

    def claim(self) -> None:
        """Claim the lines, disabled."""
        self._forward = None
        self._pins.claim_outputs({self._settings.direction_pin: False})
        if self._settings.enable_pin is not None:
            self._pins.claim_outputs({self._settings.enable_pin: not self._on})
        self._pins.claim_outputs({self._settings.step_pin: False})
        self._pulses = self._pins.pulses(self._settings.step_pin)
        if self._end_stop is not None:
            self._end_stop.claim()

    def switch(self, on: bool) -> None:
        """Enable the driver, and wait until it is awake; or disable it."""
        if self._settings.enable_pin is None:
            return
        self._pins.write({self._settings.enable_pin: self._on if on else not self._on})
        if on:
            self._wait(self._timing.wake_s)

    def turn(self, direction: int) -> None:
        """Set DIR, in time for the next step; the last is over, so that its hold is past."""
        forward = direction > 0
        if forward != self._forward:
            level = forward == (self._settings.forward_level == "high")
            self._pins.write({self._settings.direction_pin: level})
            self._forward = forward
            self._wait(self._timing.direction_setup_s)

    def set_off(self, rest_s: float) -> float:
        """Begin a run."""
        return self._player.rest(rest_s)

    def step(self, at_s: float, wait_s: float, next_s: float) -> float:
        """Send one pulse, long enough for the chip and for a player that may be late."""
        high_s = max(self._timing.high_s, min(self._player.jitter_s, wait_s / 2))
        return self._player.pulse(at_s, high_s, self._timing.low_s, next_s)

    def finish(self) -> None:
        """Wait for the end of the last pulse."""
        self._player.finish()

    def _wait(self, wait_s: float) -> None:
        self._clock.wait_until_s(self._clock.now_s() + wait_s)

    @property
    def _player(self) -> Pulses:
        assert self._pulses is not None, "claim first"
        return self._pulses

    @property
    def _on(self) -> bool:
        return self._settings.enable_level == "high"
