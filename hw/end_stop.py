"""An end stop: a switch at one end of the axis, read without its bouncing."""

from typing import Final, Literal

from pydantic import BaseModel, ConfigDict, Field

from hw.clock import Clock
from hw.pins import Pins, Pull

_LOOKS: Final = 4


class EndStopSettings(BaseModel):
    """A switch, and how the axis finds it. Raises pydantic.ValidationError for a bad value."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    pin: int = Field(ge=0, le=27, examples=[4])
    """GPIO number of the switch."""
    end: Literal["low", "high"] = "low"
    """At which end of the axis it is."""
    position_um: float = Field(examples=[-1000.0])
    """Where the axis stands when it is pressed."""
    pressed_level: Literal["low", "high"] = "low"
    """The level of its pin when it is pressed."""
    pull: Pull = "up"
    """The Pi's own resistor on that pin."""
    debounce_s: float = Field(0.005, ge=0, le=0.1)
    """How long it must be seen pressed; a shorter signal is a bounce, or noise."""
    speed_steps_per_s: float = Field(gt=0, le=20_000, examples=[1000.0])
    """At which the switch is looked for; the motor must be able to stop from it at once."""
    approach_steps_per_s: float = Field(gt=0, le=20_000, examples=[200.0])
    """At which it is pressed once more, slowly, to set the count."""
    back_off_um: float = Field(gt=0, examples=[20.0])
    """How far from the switch that run begins; more than its hysteresis, and the backlash."""


class EndStop:
    """The switch, as wired."""

    def __init__(self, settings: EndStopSettings, pins: Pins, clock: Clock) -> None:
        self.settings = settings
        self._pins = pins
        self._clock = clock

    def claim(self) -> None:
        """Make its pin an input."""
        self._pins.claim_input(self.settings.pin, self.settings.pull)

    def pressed(self) -> bool:
        """Tell whether it is pressed, and stays so for the debounce time; at once if it is not."""
        seen_s = self._clock.now_s()
        for look in range(_LOOKS + 1):
            self._clock.wait_until_s(seen_s + self.settings.debounce_s * look / _LOOKS)
            if self._pins.read(self.settings.pin) != (self.settings.pressed_level == "high"):
                return False
        return True
