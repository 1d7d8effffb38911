"""A whole calibration: pass by pass until the axis is told right, then field by field."""

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Protocol

from edge_af.calibration import Calibration, CalibrationError, Measured
from edge_af.routines.calibrate import Findings, ToldWrong

FIELDS = 3
"""Fields that a calibration looks at. A field's own bias limits what the model says of the scale,
by 1.5 % with a thin specimen and more with a thick one; the mean of three halves that."""

_PASSES = 6
_WIDEST = 20.0
"""By what factor the told step may be off before a calibration gives up."""


@dataclass(frozen=True, slots=True)
class Axis:
    """What an axis is told: the two of its settings that calibration finds out."""

    step_um: float
    reversed: bool

    def corrected(self, scale: float) -> "Axis":
        """Return what it should be told if it goes `scale` true um per um counted now."""
        return Axis(self.step_um * abs(scale), self.reversed != (scale < 0))


class Measures(Protocol):
    """What an instrument is to a calibration."""

    def calibrate(self, *, known: bool) -> Findings | ToldWrong:
        """Measure the axis on the field in view; see `edge_af.instrument`."""
        ...


Opener = Callable[[Axis], AbstractContextManager[Measures]]
"""Makes an `edge_af.instrument.Instrument`, not entered yet, whose axis is told this.

Its stage is guarded with backlash_um = 0 and untrusted: each pass stays in the guard's window for
such, about where it begins.
"""

NextField = Callable[[int], None]
"""Called between fields with the number of the next, from 1; returns once it is in view."""


@dataclass(frozen=True, slots=True)
class Calibrated:
    """The result, and what each field said, with the axis that it was said of."""

    calibration: Calibration
    fields: tuple[tuple[Axis, Findings], ...]
    passes: int


def calibrate(open_with: Opener, axis: Axis, next_field: NextField, fields: int) -> Calibrated:
    """Measure an instrument, whose axis was told `axis` so far, on several fields.

    Raises CalibrationError if it cannot be measured, and whatever the instrument raises. It is
    open only while it measures.
    """
    told, found, passes = axis, list[tuple[Axis, Findings]](), 0
    for number in range(fields):
        if number:
            next_field(number)
        for _ in range(_PASSES):
            passes += 1
            with open_with(told) as instrument:
                answer = instrument.calibrate(known=bool(found))
            if isinstance(answer, Findings):
                found.append((told, answer))
                break
            told = _retold(told, answer, axis)
        else:
            raise CalibrationError(
                f"after {_PASSES} tries the stage still does not go as it is told; is it loose, "
                "or the specimen moving?"
            )
    return Calibrated(_together(found), tuple(found), passes)


def _retold(told: Axis, answer: ToldWrong, configured: Axis) -> Axis:
    better = told.corrected(answer.scale)
    if not 1 / _WIDEST <= better.step_um / configured.step_um <= _WIDEST:
        raise CalibrationError(
            f"a step would be {better.step_um:.3g} um, and {configured.step_um:.3g} um is "
            "configured: the stage does not move, the model sees nothing of it, or step_um is far "
            "off; check the motor, then step_um"
        )
    return better


def _together(found: Sequence[tuple[Axis, Findings]]) -> Calibration:
    steps = [
        findings.scale.scaled(axis.step_um)
        for axis, findings in found
        if findings.scale is not None
    ]
    offsets = [
        findings.focus_offset_um for _, findings in found if findings.focus_offset_um is not None
    ]
    settled = [findings.settle_s for _, findings in found if findings.settle_s is not None]
    return Calibration(
        reversed=found[-1][0].reversed if steps else None,
        step_um=Measured.mean(steps) if steps else None,
        backlash_um=Measured.mean([findings.backlash_um for _, findings in found]),
        settle_s=Measured.mean(settled),
        focus_offset_um=Measured.mean(offsets) if offsets else None,
        method="model" if steps else "sharpness",
        made_at=datetime.now(UTC),
    )
