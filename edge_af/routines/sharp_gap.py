"""Backlash by sharpness alone: how far the peak lies lower on the way down than on the way up."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from edge_af.calibration import CalibrationError, Measured
from edge_af.routines.eye import Eye, Reading
from edge_af.routines.sweep import COARSE, FINE, PROMINENCE, Curve, middle_um
from hw.stage import Range

_RISEN = 0.8
_FALLEN = 0.25
"""Shares of the peak's rise between which a run must pass, up and down again."""

_FALLEN_LOOKS = 2
_BEFORE = 4.0
"""How far before the peak a fine run begins, in depths of field."""


@dataclass(frozen=True, slots=True)
class SharpGap:
    """`gap_um` and where the peak lies on a run upwards, in counted um; `below_um` is under it."""

    gap_um: Measured
    peak_um: float
    below_um: float
    readings: tuple[Reading, ...]


def sharp_gap(eye: Eye) -> SharpGap:
    """Run over the focus up, down and up again, and compare where it is sharpest.

    The two runs upwards lie before and after that down, so that a steady drift cancels. Raises
    CalibrationError if nothing within reach is sharper than the rest, and HardwareError.
    """
    stage, settings = eye.desk.stage, eye.desk.settings
    start_um, depth_um = stage.position_um, settings.depth_of_field_um
    low_um, high_um = (
        stage.reachable.clip(start_um + way * settings.sweep_reach_um) for way in (-1, 1)
    )
    stage.move_to_um(low_um)
    coarse = [eye.look()]
    while stage.position_um < high_um:
        reading = eye.look_at(min(stage.position_um + COARSE * depth_um, high_um))
        if reading is None:
            break
        coarse.append(reading)
    floor, rise, peak_um = _peak(coarse, Range(low_um, high_um))
    below_um = stage.reachable.clip(peak_um - _BEFORE * depth_um)
    runs: list[list[Reading]] = []
    # The first run down, all the way, makes sure that the gap is on the far side of it.
    stage.move_to_um(low_um)
    stage.move_to_um(below_um)
    for way in (1, -1, 1):
        runs.append(_over_peak(eye, way, FINE * depth_um, floor, rise))
    middles_um = [middle_um(_curve(run)) for run in runs]
    up_um = (middles_um[0] + middles_um[2]) / 2
    pitch_um = FINE * depth_um
    drift_um = abs(middles_um[2] - middles_um[0]) / 2
    sigma_um = np.hypot(pitch_um * np.sqrt(1.5 / 12), drift_um / 2)
    gap_um = max(up_um - middles_um[1], 0.0)
    return SharpGap(
        Measured(value=gap_um, uncertainty=float(sigma_um)),
        middles_um[2],
        below_um - gap_um,
        tuple(reading for run in runs[1:] for reading in run),
    )


def _peak(coarse: Sequence[Reading], span: Range) -> tuple[float, float, float]:
    """Return the lowest sharpness, the rise of the peak above it, and where that is."""
    best = max(coarse, key=lambda one: one.sharpness)
    values = [one.sharpness for one in coarse]
    if len(coarse) < 3 or best.sharpness <= (1 + PROMINENCE) * float(np.median(values)):
        raise CalibrationError(
            f"no place from {span.low_um:.1f} um to {span.high_um:.1f} um was sharper than the "
            "others; focus by hand to within a few um, on a field with plenty of detail"
        )
    if best in (coarse[0], coarse[-1]):
        raise CalibrationError(
            f"sharpness still rose at {best.counted_um:.1f} um, where the search ends; focus by "
            "hand to within a few um and try again"
        )
    return min(values), best.sharpness - min(values), best.counted_um


def _over_peak(eye: Eye, way: int, pitch_um: float, floor: float, rise: float) -> list[Reading]:
    """Run one way until the peak has come and gone."""
    stage = eye.desk.stage
    run, risen, fallen = [eye.look()], False, 0
    while fallen < _FALLEN_LOOKS:
        reading = eye.look_at(stage.position_um + way * max(pitch_um, stage.step_um))
        if reading is None:
            raise CalibrationError(
                "the stage may go no further, and the sharpness peak was not passed; focus by "
                "hand to within a few um and try again"
            )
        run.append(reading)
        share = (reading.sharpness - floor) / rise
        risen = risen or share >= _RISEN
        fallen = fallen + 1 if risen and share <= _FALLEN else 0
    return run


def _curve(run: Sequence[Reading]) -> Curve:
    return {one.counted_um: one.sharpness for one in run}
