"""One field's part in a calibration: scale, backlash, settle time and where it is sharpest."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from edge_af.calibration import CalibrationError, Measured
from edge_af.routines.backlash import RELIABLE_UM, Floats, Loop, fit_loop, play
from edge_af.routines.eye import Eye, Reading, columns
from edge_af.routines.ports import Desk, Observer
from edge_af.routines.settling import watch
from edge_af.routines.sharp_gap import sharp_gap
from edge_af.routines.survey import approach, came_into_sight, survey
from edge_af.routines.sweep import middle_um
from hw.camera import Camera
from hw.clock import Clock

RIGHT_ENOUGH = (0.75, 1.33)
"""True um per counted um with which the loop, some 25 um long, stays inside the guard's window."""

_START_UM = 3.0
"""How near to focus a pass must have begun, for the same reason."""

_NOTHING_MOVED = 0.3
"""What the scale is next taken to be if nothing was seen to move."""

_PITCH_UM = 1.2
_FINE_UM = 0.6
_FINE_WITHIN_UM = 3.0
_LONGEST_UM = 30.0
_BLIND_LOOKS = 4
_PLAUSIBLE = (0.5, 2.0)

_THIN_BIAS = 0.02
_THICK_BIAS = 0.025
"""By how much, relative, one field makes the model misjudge the scale. The standard deviation is
0.014 over rendered smears and 0.03 over rendered sections; what lies on the slide is not known, so
these lie in between."""

_FLANK_UM = (-4.0, -3.0)
"""Where the settle time is watched: a picture changes most with defocus on the flanks of focus."""


@dataclass(frozen=True, slots=True)
class Bench:
    """All that a calibration works with. The desk's stage is guarded with a backlash of 0."""

    desk: Desk
    camera: Camera
    clock: Clock


@dataclass(frozen=True, slots=True)
class ToldWrong:
    """The axis must be told better before it can be measured, and the guard with it.

    `scale` is true um per counted um as far as it is known, negative if the axis runs against its
    count; 1 if it was measured too far from focus to tell. The stage is now nearer to it.
    """

    scale: float


@dataclass(frozen=True, slots=True)
class Findings:
    """What one field says.

    `scale` is true um per counted um; `backlash_um` is true, or counted um if `scale` is None.
    `readings` are those it was found from, `axis_um` (n,) where the axis then stood, as counted
    after a run upwards. `settle_s` is None where the axis was known already.
    """

    scale: Measured | None
    backlash_um: Measured
    settle_s: Measured | None
    focus_offset_um: Measured | None
    thick: bool
    readings: tuple[Reading, ...]
    axis_um: tuple[float, ...]


def calibrate(bench: Bench, observer: Observer | None, known: bool) -> Findings | ToldWrong:
    """Measure the axis on the field in view, by the model, or without one by sharpness.

    `known` says that direction and scale were measured before, on another field. Leaves the stage
    near focus. Raises CalibrationError if the field does not allow it, and HardwareError as camera
    and stage do.
    """
    if bench.desk.stage.slack_um > 0:
        raise CalibrationError(
            "the stage is guarded with a backlash, so that it arrives from one side only; open it "
            "with backlash_um = 0 to calibrate"
        )
    if observer is None:
        return _by_sharpness(bench, known)
    eye = Eye(bench.desk, observer)
    scale = 1.0 if known else survey(eye)
    if scale is not None:
        approach(eye, scale)
    if all(reading.blind for reading in eye.readings):
        raise CalibrationError(
            "the model makes nothing of this field, at no height within reach; focus by hand to "
            "within 8 um, on a field with plenty of detail"
        )
    if scale is None:
        return ToldWrong(1.0 if came_into_sight(eye.readings) else _NOTHING_MOVED)
    began = eye.readings[0]
    near = not began.blind and abs(began.defocus_um) <= _START_UM
    if not (near and RIGHT_ENOUGH[0] <= scale <= RIGHT_ENOUGH[1]):
        return ToldWrong(scale)
    return _by_model(bench, observer, known)


def _by_model(bench: Bench, observer: Observer, known: bool) -> Findings:
    stage = bench.desk.stage
    _leg(Eye(bench.desk, observer), -1, fine=False)
    eye = Eye(bench.desk, observer)
    eye.look()
    _leg(eye, 1, fine=True)
    _leg(eye, -1, fine=True)
    counted_um, times_s, defocus_um, sharpness = columns(eye.readings)
    loop = fit_loop(counted_um, times_s, defocus_um)
    _require_plausible(loop)
    axis_um = play(counted_um, loop.gap_um.value)
    offset_um = _sharpest_um(loop.defocus_um(axis_um, times_s), sharpness, loop, len(counted_um))
    bias = _THICK_BIAS if loop.thick else _THIN_BIAS
    scale = loop.scale.times(Measured(value=1.0, uncertainty=bias))
    places_um = [loop.zero_um + um / scale.value for um in _FLANK_UM]
    settle_s = None if known else _watch(bench, places_um)
    stage.move_to_um(stage.reachable.clip(loop.zero_um))
    return Findings(
        scale,
        loop.gap_um.times(scale),
        settle_s,
        offset_um,
        loop.thick,
        tuple(eye.readings),
        tuple(axis_um.tolist()),
    )


def _by_sharpness(bench: Bench, known: bool) -> Findings:
    eye = Eye(bench.desk, None)
    gap = sharp_gap(eye)
    stage = bench.desk.stage
    stage.move_to_um(stage.reachable.clip(gap.below_um))
    places_um = [gap.peak_um + um for um in _FLANK_UM]
    settle_s = None if known else _watch(bench, places_um)
    stage.move_to_um(stage.reachable.clip(gap.peak_um))
    counted_um = columns(gap.readings)[0]
    return Findings(
        None,
        gap.gap_um,
        settle_s,
        None,
        False,
        gap.readings,
        tuple(play(counted_um, gap.gap_um.value).tolist()),
    )


def _leg(eye: Eye, way: int, *, fine: bool) -> None:
    """Run one way, looking, to the end of the reliable range on that side.

    `fine` looks more often near focus, where a peak of sharpness is to be seen.
    """
    stage = eye.desk.stage
    start_um, pitch_um, blind = stage.position_um, _PITCH_UM, 0
    ahead_um = [0.0]
    while abs(stage.position_um - start_um) < _LONGEST_UM:
        reading = eye.look_at(stage.position_um + way * max(pitch_um, stage.step_um))
        if reading is None:
            break
        if reading.blind:
            blind += 1
            if blind >= _BLIND_LOOKS and ahead_um[-1] > RELIABLE_UM / 2:
                break
            continue
        blind = 0
        ahead_um.append(way * reading.defocus_um)
        if ahead_um[-1] > RELIABLE_UM and ahead_um[-2] > RELIABLE_UM / 2:
            break
        near = abs(reading.defocus_um) < _FINE_WITHIN_UM
        pitch_um = _FINE_UM if fine and near else _PITCH_UM


def _require_plausible(loop: Loop) -> None:
    low, high = _PLAUSIBLE
    if not low <= loop.scale.value <= high:
        raise CalibrationError(
            f"the readings of this field contradict each other: {loop.scale.value:.2f} um per um, "
            "after about 1 was found before; choose a field with more in it"
        )


def _sharpest_um(defocus_um: Floats, sharpness: Floats, loop: Loop, count: int) -> Measured:
    """Return the centroid of the sharpness peak over the model's defocus."""
    order = np.argsort(defocus_um)
    grid_um = np.arange(-RELIABLE_UM, RELIABLE_UM, _FINE_UM / 4)
    curve = np.interp(grid_um, defocus_um[order], sharpness[order])
    value = middle_um(dict(zip(grid_um.tolist(), curve.tolist(), strict=True)))
    sigma_um = np.hypot(_FINE_UM / np.sqrt(12), loop.scatter_um * np.sqrt(3 / count))
    return Measured(value=value, uncertainty=float(sigma_um))


def _watch(bench: Bench, places_um: Sequence[float]) -> Measured:
    stage, timeout_s = bench.desk.stage, bench.desk.settings.frame_timeout_s
    targets_um = [stage.reachable.clip(place_um) for place_um in places_um]
    return watch(bench.camera, stage, bench.clock, targets_um, timeout_s)
