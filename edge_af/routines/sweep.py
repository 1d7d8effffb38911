"""The classical way: step through a bounded range, take the sharpest place, check it."""

from typing import Protocol

import numpy as np

from edge_af.routines.ports import Attempt, Desk
from edge_af.sharpness import tenengrad
from hw.camera import Frame
from hw.stage import Range

COARSE = 2.0
FINE = 0.5
"""Steps of the two passes, in depths of field. The coarse one still lands on the peak's flank."""

FINE_REACH = 3.5
"""How far the fine pass goes to either side of the coarse peak, in depths of field: past the flanks
of the peak that a specimen some 4 um thick has."""

_FLANK = 0.3
_FEW = 5
"""With fewer places than this about its peak a curve has no middle, only a highest place."""

PROMINENCE = 0.02
"""A peak must stand out from the middle of the curve by this share. Noise alone, a mean over some
10^5 pixels, reaches a tenth of it."""

_AS_SHARP = 0.9
"""Share of the sharpness seen there before that the final frame must reach."""

Curve = dict[float, float]
"""Sharpness by stage position in um."""


class Keeper(Protocol):
    """Is given the frames of a pass as they are taken, and then where the focus turned out to be.

    Positions are counted stage positions. Without a focus the frames are worth nothing.
    """

    def keep(self, frame: Frame, place_um: float) -> None:
        """Take a frame seen at `place_um`."""
        ...

    def focus_at(self, focus_um: float) -> None:
        """Learn that the focus was at `focus_um` for all frames given so far."""
        ...


def sweep(desk: Desk, keeper: Keeper | None = None, gap_um: float = 0.0) -> Attempt:
    """Bring the stage to the sharpest place within reach; back to the start if there is none.

    Two passes upwards, coarse and fine, so that backlash does not count. By `gap_um` it looks
    further up: so far above its count the axis may stand. `keeper` gets the frames of both passes.
    Raises HardwareError as camera and stage do.
    """
    stage, settings = desk.stage, desk.settings
    start_um = stage.position_um
    coarse_um = COARSE * settings.depth_of_field_um
    span = Range(
        stage.reachable.clip(start_um - settings.sweep_reach_um),
        stage.reachable.clip(start_um + settings.sweep_reach_um + gap_um),
    )
    coarse = measure(desk, span, coarse_um, keeper)
    fault = fault_of(coarse, stage.reachable, coarse_um)
    if fault is not None:
        return desk.give_up(start_um, fault)
    coarse_peak_um = peak_um(coarse)
    reach_um = FINE_REACH * settings.depth_of_field_um
    span = Range(
        stage.reachable.clip(coarse_peak_um - reach_um),
        stage.reachable.clip(coarse_peak_um + reach_um),
    )
    fine = measure(desk, span, FINE * settings.depth_of_field_um, keeper)
    fault = _blank_in(fine)
    if fault is not None:
        return desk.give_up(start_um, fault)
    for target_um in (middle_um(fine), peak_um(fine)):
        stage.move_to_um(target_um)
        expected = float(
            np.interp(stage.position_um, sorted(fine), [fine[um] for um in sorted(fine)])
        )
        if tenengrad(desk.view.frame().pixels) >= _AS_SHARP * expected:
            if keeper is not None:
                keeper.focus_at(target_um)
            return Attempt(True)
    return desk.give_up(start_um, "the sharpest place seen was not found again")


def measure(desk: Desk, span: Range, pitch_um: float, keeper: Keeper | None = None) -> Curve:
    """Return the curve of one pass upwards through `span`, a frame each `pitch_um`."""
    curve: Curve = {}
    for target_um in np.arange(span.low_um, span.high_um + pitch_um / 2, pitch_um).tolist():
        desk.stage.move_to_um(span.clip(target_um))
        place_um = desk.stage.position_um
        if place_um not in curve:
            frame = desk.view.frame()
            curve[place_um] = tenengrad(frame.pixels)
            if keeper is not None:
                keeper.keep(frame, place_um)
    return curve


def fault_of(curve: Curve, reachable: Range, pitch_um: float) -> str | None:
    """Return what is wrong with a coarse curve, None if it has a peak to go for."""
    if len(curve) < 3:
        return "the stage has too little room for a sweep"
    blank = _blank_in(curve)
    if blank is not None:
        return blank
    top_um = peak_um(curve)
    middle = float(np.median(list(curve.values())))
    if curve[top_um] <= (1 + PROMINENCE) * middle:
        return "no place was sharper than the others"
    if top_um in (min(curve), max(curve)):
        inside = reachable.low_um + pitch_um < top_um < reachable.high_um - pitch_um
        cure = "widen sweep_reach_um" if inside else "the stage may go no further"
        return (
            f"sharpness still rose at {top_um:.1f} um, the end of the sweep; the focus may lie "
            f"beyond: {cure}"
        )
    return None


def _blank_in(curve: Curve) -> str | None:
    """Return what is wrong with a curve that has a hole: its peak may lie in there."""
    for place_um, sharpness in curve.items():
        if sharpness == 0:
            return (
                f"the picture at {place_um:.1f} um was black or white all over: "
                "is the lamp on, and the exposure right?"
            )
    return None


def peak_um(curve: Curve) -> float:
    """Return the sharpest place of a curve."""
    return max(curve, key=curve.__getitem__)


def middle_um(curve: Curve) -> float:
    """Return the centroid of a curve's peak, of what stands above _FLANK of its height.

    Not its highest place: a thick specimen is sharp at several depths, and its focus is the middle
    of them, each counted by its detail.
    """
    lowest, highest = min(curve.values()), max(curve.values())
    flank = lowest + _FLANK * (highest - lowest)
    above = {um: sharp - flank for um, sharp in curve.items() if sharp > flank}
    if len(above) < _FEW:
        return peak_um(curve)
    return sum(um * excess for um, excess in above.items()) / sum(above.values())
