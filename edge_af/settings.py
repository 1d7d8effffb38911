"""What a user may set; every value is checked, and unknown names are refused."""

from typing import Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from edge_af.errors import UserError

_SWEEP_PATH = 6.0
"""Length of a sweep's path in reaches: down 1, up 2, back to a peak 2, home again 1."""
_SWEEP_TURNS = 6
"""Five times it comes from above, and runs past its goal and back to take up the backlash; and once
it looks further up by a gap of the gears that may be open at the start, and comes back."""
_FINE_PATH = 18.0
"""Length of its fine pass, and of two goes at the peak, in depths of field."""


class FocusSettings(BaseModel):
    """How a focus command behaves. Make it with `checked` to get a UserError for a bad value."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    tolerance_um: float = Field(0.25, gt=0, le=5)
    """In focus is within this of it. A quarter to a third of the depth of field."""
    certainty: float = Field(0.93, ge=0.5, lt=1)
    """Probability of lying within half a depth of field of where the frames put the focus, from
    which on no other is asked for."""
    depth_of_field_um: float = Field(0.8, gt=0, le=50)
    """lambda n / NA^2 with the camera's share: 0.8 um for 20x/0.75."""
    most_moves: int = Field(5, ge=1, le=20)
    """Moves that a single shot may take, corrections included."""
    sweep_reach_um: float = Field(16.0, gt=0, le=5000)
    """How far to either side a sweep looks."""
    travel_budget_um: float = Field(300.0, gt=0, le=50_000)
    """Path that one command may travel, all moves together."""
    model_zero_um: float = Field(0.0, ge=-5, le=5)
    """Defocus that the model reads where the picture is sharpest; `edge-af calibrate` measures it.
    A model with an adapted head has learnt where that is, and is taken at its word."""
    frame_timeout_s: float = Field(2.0, gt=0, le=60)
    """How long a frame may take to come."""

    @model_validator(mode="after")
    def _budget_covers_a_sweep(self) -> Self:
        needed_um = _SWEEP_PATH * self.sweep_reach_um
        if self.travel_budget_um < needed_um:
            raise ValueError(
                f"travel_budget_um = {self.travel_budget_um:g} is too little for sweep_reach_um = "
                f"{self.sweep_reach_um:g}: a sweep may travel {needed_um:g} um; allow that, or "
                "look less far"
            )
        return self

    def within_budget(self, budget_um: float, backlash_um: float) -> Self:
        """Return the settings with no more travel than `budget_um`, and sweeps that fit in it."""
        budget_um = min(budget_um, self.travel_budget_um)
        fixed_um = _SWEEP_TURNS * 2 * backlash_um + _FINE_PATH * self.depth_of_field_um
        room_um = max(budget_um - fixed_um, self.depth_of_field_um)
        reach_um = min(self.sweep_reach_um, room_um / _SWEEP_PATH)
        return self.model_copy(update={"travel_budget_um": budget_um, "sweep_reach_um": reach_um})

    @classmethod
    def checked(cls, **values: float) -> Self:
        """Return the settings, or raise UserError that names the value and its limit."""
        try:
            return cls(**values)
        except ValidationError as error:
            fault = error.errors(include_url=False)[0]
            message = fault["msg"].removeprefix("Value error, ")
            if fault["loc"]:
                name = ".".join(str(part) for part in fault["loc"])
                message = f"{name} = {fault['input']}: {message[0].lower()}{message[1:]}"
            raise UserError(message) from error


class TrackSettings(BaseModel):
    """How the focus is held against drift."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    every_s: float = Field(2.0, ge=0.05, le=3600)
    """Time from one look to the next."""
    dead_band_um: float = Field(0.05, gt=0, le=50)
    """Nothing is corrected that may be nearer to focus than this. With what it takes to be sure,
    corrections begin at about twice as much."""
    certainty: float = Field(0.8, ge=0.5, lt=1)
    """How sure it must be that the focus lies beyond the dead band before it corrects."""
    rest_s: float = Field(5.0, ge=0, le=3600)
    """Least time between two corrections."""
    jump_um: float = Field(2.0, gt=0, le=1000)
    """From here on it is no drift but another specimen: a single shot takes the place of a
    correction."""
    check_every_s: float = Field(600.0, ge=0, le=1e6)
    """Time from one check by sharpness to the next. A new specimen gets one too, and one that the
    model cannot read gets one whenever its focus may have drifted. A check takes a second, and goes
    2.5 depths of field to either side. 0: never; the model is then taken at its word."""
    path_um_per_h: float = Field(1500.0, gt=0, le=1e6)
    """Path that the motor may travel in any one hour, overshoots against the backlash included."""

    @model_validator(mode="after")
    def _jumps_are_wider_than_the_dead_band(self) -> Self:
        if not self.jump_um > self.dead_band_um:
            raise ValueError(
                f"jump_um = {self.jump_um:g} must be above dead_band_um = {self.dead_band_um:g}"
            )
        return self


class HistorySettings(BaseModel):
    """How much is kept of what was done, and how often the SD card is written to."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    keep_days: int = Field(365, ge=1, le=36_500)
    """Older entries are dropped."""
    keep_rows: int = Field(100_000, ge=100, le=10_000_000)
    """Of more entries the oldest are dropped; so many take about 15 MB."""
    commit_s: float = Field(60.0, ge=1, le=3600)
    """How long an entry may wait for others before it is written; faults do not wait."""
