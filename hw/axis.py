"""What a motor axis must be told about its mechanics; every driver counts with it."""

from typing import Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from hw.stage import Range


class AxisSettings(BaseModel):
    """One motor axis. Raises pydantic.ValidationError for an unknown name or a bad value."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    step_um: float = Field(gt=0, le=100, examples=[0.03125])
    """How far one motor step, or microstep, moves the axis."""
    reversed: bool = False
    """Whether forward steps of the motor move the axis down."""
    travel_low_um: float = -1000.0
    """The lowest position that the mechanics can reach, as counted."""
    travel_high_um: float = 1000.0
    """The highest."""
    settle_s: float = Field(0.1, ge=0, le=10)
    """How long after the last step the axis is at rest."""

    @model_validator(mode="after")
    def _travel_has_length(self) -> Self:
        if not self.travel_low_um < self.travel_high_um:
            raise ValueError(
                f"travel_low_um = {self.travel_low_um:g} must be below travel_high_um = "
                f"{self.travel_high_um:g}"
            )
        return self

    @property
    def travel(self) -> Range:
        """What the mechanics can reach."""
        return Range(self.travel_low_um, self.travel_high_um)

    def steps_at(self, position_um: float) -> int:
        """Return the motor's step count that is nearest to a position of the axis."""
        steps = round(position_um / self.step_um)
        return -steps if self.reversed else steps

    def position_um(self, steps: int) -> float:
        """Return where the axis is at a step count of the motor."""
        return (-steps if self.reversed else steps) * self.step_um
