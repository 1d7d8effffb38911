"""Which way the axis goes and how far, roughly: from moves that are small whatever the answer.

A run starts with a move that is short even if the axis is told a step five times too small. While
nothing is seen to move, each run is longer than the one before by half: all of that one may have
gone into the gap of the gears, so that the axis goes half a gap at most in any one move.
"""

import math
from collections.abc import Sequence
from itertools import pairwise

import numpy as np

from edge_af.routines.eye import Eye, Reading

FIRST_UM = 0.5
_GROWTH = 1.5

_MOVED_UM = 1.2
"""A change of reading that is motion: drift, play and what a model makes up stay below."""

_PACE_UM = 1.5
_ENOUGH_UM = 6.0
_FEWEST = 4
_LOST_UM = 9.0
_BLIND_LOOKS = 2
_DIMMER = 0.03
"""By what share sharpness must fall to say, without a model, that focus is being left."""

_AGREEING = 0.75

NEAR_UM = 2.0
_APPROACHES = 8


def survey(eye: Eye) -> float | None:
    """Return true um per counted um, within some 20 %, negative if the axis runs the other way.

    None if nothing was seen to move. First down, then, where that did not show enough, up. Raises
    HardwareError as camera and stage do.
    """
    scales = []
    for way in (-1, 1):
        moving = _moving(_run(eye, way))
        scale = _scale(moving)
        if scale is None:
            continue
        scales.append((_span_um(moving), scale))
        if _span_um(moving) >= _ENOUGH_UM / 2:
            return scale
    return max(scales)[1] if scales else None


def approach(eye: Eye, scale: float) -> Reading:
    """Go to where the model reads next to nothing, or as near as the stage may."""
    reading = eye.look()
    for _ in range(_APPROACHES):
        if reading.blind or abs(reading.defocus_um) <= NEAR_UM / 2:
            break
        # More than once, if at first only the gap is taken up.
        moved = eye.look_at(reading.counted_um - reading.defocus_um / scale)
        if moved is None:
            break
        reading = moved
    return reading


def came_into_sight(readings: Sequence[Reading]) -> bool:
    """Tell whether the axis went out of sight and came back elsewhere, so that it did move."""
    sighted = [place for place, one in enumerate(readings) if not one.blind]
    return any(
        after - before > _BLIND_LOOKS
        and abs(readings[after].defocus_um - readings[before].defocus_um) > _MOVED_UM
        for before, after in pairwise(sighted)
    )


def _run(eye: Eye, way: int) -> list[Reading]:
    seen = [eye.look()]
    step_um, start_um = eye.desk.stage.step_um, seen[0].counted_um
    first_um = move_um = max(FIRST_UM, step_um)
    while not _over(seen):
        reading = eye.look_at(seen[-1].counted_um + way * move_um)
        if reading is None:
            break
        seen.append(reading)
        moving = _moving(seen)
        if not moving:
            move_um = (_GROWTH - 1) * max(abs(reading.counted_um - start_um), first_um)
        else:
            # Shorter where that will do; never longer, for part of the last may have been gap.
            last_um = abs(seen[-1].defocus_um - seen[-2].defocus_um)
            if last_um > _PACE_UM:
                move_um = max(move_um * _PACE_UM / last_um, step_um)
    return seen


def _over(seen: Sequence[Reading]) -> bool:
    """Tell whether a run has shown enough, or goes out of sight."""
    blind = len(seen) > _BLIND_LOOKS and all(one.blind for one in seen[-_BLIND_LOOKS:])
    if blind and seen[-1].sharpness < (1 - _DIMMER) * seen[0].sharpness:
        return True
    moving = _moving(seen)
    if not moving:
        return False
    last_um = abs(moving[-1].defocus_um)
    leaving = last_um > _LOST_UM and last_um > abs(moving[0].defocus_um)
    return leaving or (len(moving) >= _FEWEST and _span_um(moving) >= _ENOUGH_UM)


def _moving(seen: Sequence[Reading]) -> list[Reading]:
    """Return the readings from where the axis was first seen to have moved."""
    sighted = [one for one in seen if not one.blind]
    for index, one in enumerate(sighted):
        if abs(one.defocus_um - sighted[0].defocus_um) > _MOVED_UM:
            return sighted[index:]
    return []


def _span_um(moving: Sequence[Reading]) -> float:
    return max(one.defocus_um for one in moving) - min(one.defocus_um for one in moving)


def _scale(moving: Sequence[Reading]) -> float | None:
    """Return the median slope of all pairs (Theil 1950, Sen 1968); None if they disagree."""
    slopes = np.array(
        [
            (after.defocus_um - before.defocus_um) / (after.counted_um - before.counted_um)
            for index, before in enumerate(moving)
            for after in moving[index + 1 :]
            if after.counted_um != before.counted_um
        ]
    )
    if len(slopes) < math.comb(3, 2):
        return None
    median = float(np.median(slopes))
    agreeing = float(np.mean(np.sign(slopes) == np.sign(median)))
    return median if median and agreeing >= _AGREEING else None
