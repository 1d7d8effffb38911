"""What a stage on a GRBL board must be told."""

from typing import Literal, Self

from pydantic import Field, model_validator

from hw.axis import AxisSettings
from hw.grbl_protocol import BoardAxis


class GrblSettings(AxisSettings):
    """A stage on an axis of a GRBL board, whose own settings ($100 to $132) are left as they are.

    `step_um` is what one step of that motor moves the axis, whatever the board takes for a mm.
    """

    kind: Literal["grbl"]
    """A board with GRBL 1.1 on a serial line."""
    port: str = Field(examples=["/dev/ttyUSB0"])
    """Path, such as /dev/serial/by-id/..., or USB identity `VID:PID` in hex."""
    baud: int = Field(115200, gt=0)
    """Speed of the serial line."""
    axis: Literal["x", "y", "z"] = "z"
    """The board's axis that the motor is on."""
    rate_um_per_s: float = Field(200.0, gt=0)
    """Top speed; the board's own maximum holds too, and so does its acceleration."""
    keeps_place: bool = False
    """Whether the axis stays where it is without current, which a board whose $1 is not 255 takes
    off after each move; a release then raises no doubt."""
    homing: bool = False
    """Whether `$H` may run the axis to its end stop; see `hw.grbl_homing`."""
    boot_s: float = Field(3.0, ge=0, le=30)
    """How long after opening the port the board's banner may take."""
    timeout_s: float = Field(2.0, gt=0, le=30)
    """How long a reply may take."""

    @model_validator(mode="after")
    def _rate_makes_steps(self) -> Self:
        if self.rate_um_per_s < self.step_um:
            raise ValueError(
                f"rate_um_per_s = {self.rate_um_per_s:g} is less than one step of "
                f"{self.step_um:g} um a second; raise it"
            )
        return self

    def feed_mm_per_min(self, axis: BoardAxis) -> float:
        """Return the feed that makes `rate_um_per_s`, in the board's mm."""
        return 60 * self.rate_um_per_s / self.step_um / axis.steps_per_mm

    def patience_s(self, axis: BoardAxis, steps: int) -> float:
        """Return how long a move of so many steps, and the reply to it, may take at most."""
        return 2 * axis.duration_s(steps, self.feed_mm_per_min(axis)) + self.timeout_s

    def longest_move_s(self, axis: BoardAxis) -> float:
        """Return how long a move over all of the travel may take at most."""
        travel = self.travel
        return self.patience_s(axis, round((travel.high_um - travel.low_um) / self.step_um))
