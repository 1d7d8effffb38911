"""A unipolar motor with four coils, each on a line of its own: 28BYJ-48 behind a ULN2003."""

from collections.abc import Callable
from typing import Final, Literal, Self

from pydantic import Field, model_validator

from hw.clock import Clock
from hw.gpio_stage import GpioSettings, GpioStage, Timer, daemon_timer
from hw.pins import Pins, open_pins

# Which coils carry current, in the order in which the motor is wired. Half steps go by 8 to a
# cycle; full steps, with two coils each, have more torque than with one.
_SEQUENCES: Final = {
    "half": ("1000", "1100", "0100", "0110", "0010", "0011", "0001", "1001"),
    "full": ("1100", "0110", "0011", "1001"),
}
_ALIGN_S: Final = 0.02  # for the rotor to come to rest where the coils hold it


class FourPhaseSettings(GpioSettings):
    """One axis on four coils; pins by BCM number.

    A 28BYJ-48 has about 4096 half steps a turn, and starts at 500 to 900 half steps/s.
    """

    kind: Literal["four_phase"] = "four_phase"
    """A motor with four phases on GPIO lines, such as a 28BYJ-48 with ULN2003."""
    coil_pins: tuple[int, int, int, int] = Field(examples=[[17, 27, 22, 23]])
    """IN1 to IN4 of the driver, in the order in which the coils follow each other."""
    steps: Literal["half", "full"] = "half"
    """`step_um` is the way of one of these."""
    top_speed_steps_per_s: float = Field(500.0, gt=0, le=2000)
    acceleration_steps_per_s2: float = Field(2000.0, gt=0, le=1e6)
    release: Literal["at exit", "when idle", "never"] = "when idle"

    @model_validator(mode="after")
    def _pins_are_four(self) -> Self:
        pins = self.coil_pins
        if len(set(pins)) < len(pins) or not all(0 <= pin <= 27 for pin in pins):
            raise ValueError(f"coil_pins must be four GPIO numbers from 0 to 27, got {pins}")
        return self


class FourPhase(GpioStage):
    """A stage on a four-phase motor. Its lines drop at exit, whatever `release` says."""

    def __init__(
        self,
        settings: FourPhaseSettings,
        clock: Clock,
        pins: Pins | None = None,
        timer: Callable[[float, Callable[[], None]], Timer] = daemon_timer,
    ) -> None:
        """Prepare the stage; `pins` are those of this board if none are given."""
        pins = open_pins(settings.pins, clock) if pins is None else pins
        super().__init__(settings, clock, pins, _Coils(settings, clock, pins), timer)


class _Coils:
    """The four lines. Where the sequence stands is kept while they are off."""

    lead_s = 0.0

    def __init__(self, settings: FourPhaseSettings, clock: Clock, pins: Pins) -> None:
        self._coil_pins = settings.coil_pins
        self._sequence = _SEQUENCES[settings.steps]
        self._place = 0
        self._direction = 1
        self._clock = clock
        self._pins = pins

    def claim(self) -> None:
        """Claim the lines, all off."""
        self._pins.claim_outputs(dict.fromkeys(self._coil_pins, False))

    def switch(self, on: bool) -> None:
        """Hold the rotor where the sequence stands, or let it go."""
        if on:
            self._pins.write(self._levels())
            self._clock.wait_until_s(self._clock.now_s() + _ALIGN_S)
        else:
            self._pins.write(dict.fromkeys(self._coil_pins, False))

    def turn(self, direction: int) -> None:
        """Remember the direction."""
        self._direction = direction

    def set_off(self, rest_s: float) -> float:  # noqa: ARG002 - the caller waits
        """Return the time."""
        return self._clock.now_s()

    def step(self, at_s: float, wait_s: float, next_s: float) -> float:  # noqa: ARG002
        """Go on to the next pattern of the sequence."""
        begun_s = self._clock.now_s()
        self._place = (self._place + self._direction) % len(self._sequence)
        self._pins.write(self._levels())
        return begun_s

    def finish(self) -> None:
        """Nothing is left to be made."""

    def _levels(self) -> dict[int, bool]:
        pattern = self._sequence[self._place]
        return {pin: on == "1" for pin, on in zip(self._coil_pins, pattern, strict=True)}
