"""What calibration finds out about an instrument, and how sure it is."""

import math
from collections.abc import Sequence
from typing import Literal, Self

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field

from edge_af.errors import EdgeAfError

Method = Literal["model", "sharpness"]


class CalibrationError(EdgeAfError):
    """Nothing could be measured; the message says why, and what to change before another try."""


class Measured(BaseModel):
    """A value and its standard uncertainty (1 sigma), in the same unit."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    value: float
    uncertainty: float = Field(ge=0)

    def times(self, factor: "Measured") -> "Measured":
        """Return the product with an independent factor; first-order propagation."""
        return Measured(
            value=self.value * factor.value,
            uncertainty=math.hypot(
                self.uncertainty * factor.value, self.value * factor.uncertainty
            ),
        )

    def scaled(self, factor: float) -> "Measured":
        """Return the product with an exact factor."""
        return Measured(value=self.value * factor, uncertainty=self.uncertainty * abs(factor))

    @classmethod
    def mean(cls, several: Sequence["Measured"]) -> Self:
        """Return the mean, each weighted by its certainty.

        Its uncertainty is the larger of what theirs come to and what their scatter about it comes
        to (as in the averages of the Particle Data Group, where chi^2 exceeds its expectation).
        Raises ValueError if there is none, or one of several claims to be exact.
        """
        if not several:
            raise ValueError("there is nothing to take the mean of")
        if len(several) == 1:
            return cls(value=several[0].value, uncertainty=several[0].uncertainty)
        if any(one.uncertainty == 0 for one in several):
            raise ValueError("an exact value cannot be weighed against others")
        weights = [one.uncertainty**-2 for one in several]
        total = math.fsum(weights)
        value = math.fsum(w * one.value for w, one in zip(weights, several, strict=True)) / total
        chi2 = math.fsum(
            w * (one.value - value) ** 2 for w, one in zip(weights, several, strict=True)
        )
        excess = max(1.0, chi2 / (len(several) - 1))
        return cls(value=value, uncertainty=math.sqrt(excess / total))


class Calibration(BaseModel):
    """An instrument's axis as measured. All values are absolute, none relative to the settings.

    `reversed` and `step_um` are for the axis' settings, `backlash_um` for the guard, `settle_s` for
    the axis. `focus_offset_um` is the defocus, by the model, of the place that is sharpest. None is
    what sharpness alone cannot tell; `backlash_um` is then in um as `step_um` is configured.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    reversed: bool | None
    step_um: Measured | None
    backlash_um: Measured
    settle_s: Measured
    focus_offset_um: Measured | None
    method: Method
    made_at: AwareDatetime
