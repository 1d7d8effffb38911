"""What a stage on a Sangaboard must be told."""

from typing import Final, Literal

from pydantic import Field

from hw.axis import AxisSettings

MIN_STEP_DELAY_US: Final = 50
"""Far below what any motor on this board can follow: no one means less."""


class SangaboardSettings(AxisSettings):
    """A stage on one axis of a Sangaboard."""

    kind: Literal["sangaboard"]
    """A Sangaboard on a serial line."""
    port: str = Field(examples=["/dev/ttyACM0"])
    """Path, such as /dev/serial/by-id/..., or USB identity `VID:PID` in hex."""
    axis: Literal["x", "y", "z"] = "z"
    """The board's axis that the motor is on."""
    step_delay_us: int | None = Field(None, ge=MIN_STEP_DELAY_US, le=1_000_000, examples=[1000])
    """Time between two steps at top speed, which the board keeps for good; left as it is if not
    given."""
    release: Literal["at exit", "when idle", "never"] = "at exit"
    """When the current is taken off the motors; the board can only do that for all axes."""
    idle_s: float = Field(10.0, gt=0, le=86_400)
    """How long after a move the motors are idle, where they are released then."""
    keeps_place: bool = False
    """Whether the axis stays where it is without current, so that its position stays trusted."""
