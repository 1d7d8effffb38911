"""Look, move there once, look again; go back if that was no better."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from edge_af.belief import Belief
from edge_af.classifier import Abstained
from edge_af.routines.ports import Attempt, Desk, Observer
from edge_af.scale import DefocusScale
from edge_af.sharpness import tenengrad
from hw.stage import Range

_PLAY_UM = 0.1
"""Spread given to the belief for each move: what play and drift may have changed."""

_NEAR = 2.0
"""Pictures taken within this many depths of field may be alike in sharpness."""


@dataclass(frozen=True, slots=True)
class _Place:
    position_um: float
    slack_um: float
    sharpness: float


def single_shot(desk: Desk, observer: Observer) -> Attempt:
    """Bring the stage into focus by what single frames say.

    Each frame sharpens a belief over the focus position; the stage moves to where it lies, and
    the next frame either confirms, corrects, or shows that the picture is no better: then the
    stage goes back to where it was. Raises HardwareError as camera and stage do.
    """
    stage, settings, scale = desk.stage, desk.settings, observer.scale
    start_um = stage.position_um
    frame = desk.view.frame()
    sight = observer.look(frame)
    if sight.distribution is None:
        reason = f"the model abstained: {sight.abstained}"
        return Attempt(False, reason, empty=sight.abstained is Abstained.EMPTY)
    belief = _no_idea(start_um, scale, stage.slack_um)
    sharpest = _Place(start_um, stage.slack_um, tenengrad(frame.pixels))
    for moves_left in range(settings.most_moves, -1, -1):
        belief.look(stage.position_um, scale, sight.distribution, stage.slack_um)
        if _in_focus(desk, belief, scale, sight.distribution):
            return Attempt(True)
        if not moves_left:
            break
        target_um = _target_um(desk, belief)
        if target_um is None:
            reason = f"the focus seems to lie at {belief.best_um:.1f} um, out of the stage's reach"
            return desk.give_up(start_um, reason)
        stage.move_to_um(target_um)
        belief.spread(_PLAY_UM)
        frame = desk.view.frame()
        sight = observer.look(frame)
        if sight.distribution is None:
            reason = f"after a move to {target_um:.1f} um the model abstained: {sight.abstained}"
            return desk.give_up(start_um, reason)
        here = _Place(stage.position_um, stage.slack_um, tenengrad(frame.pixels))
        if _no_better(here, sharpest, settings.depth_of_field_um):
            reason = (
                f"the picture at {here.position_um:.1f} um was no better than that at "
                f"{sharpest.position_um:.1f} um"
            )
            return desk.give_up(start_um, reason)
        sharpest = max(sharpest, here, key=lambda place: place.sharpness)
    return desk.give_up(start_um, f"not in focus after {settings.most_moves} moves")


def _no_idea(position_um: float, scale: DefocusScale, slack_um: float) -> Belief:
    """Return the belief before a look at `position_um`.

    It reaches half the scale's width beyond the scale, for a focus that lies there is still to be
    followed once the stage has come nearer.
    """
    ends = scale.range
    margin_um = (ends.high_um - ends.low_um) / 2
    low_um = position_um - ends.high_um - margin_um
    return Belief(Range(low_um, position_um - ends.low_um + margin_um + slack_um))


def _in_focus(
    desk: Desk, belief: Belief, scale: DefocusScale, distribution: NDArray[np.float64]
) -> bool:
    here_um, settings = desk.stage.position_um, desk.settings
    seen = _no_idea(here_um, scale, 0.0)
    seen.look(here_um, scale, distribution)
    if abs(seen.best_um - here_um) > settings.depth_of_field_um:
        return False  # whatever was believed before: this frame is the one that verifies
    if desk.stage.slack_um > 0:
        # Where the axis stands is not known to the gap of the gears, but how the picture looks is.
        belief = seen
    best_um = belief.best_um
    return (
        abs(best_um - here_um) <= _tolerance_um(desk)
        and belief.within(best_um, settings.depth_of_field_um) >= settings.certainty
    )


def _target_um(desk: Desk, belief: Belief) -> float | None:
    """Return where to look next; None if the stage cannot come nearer to the focus."""
    stage, here_um, best_um = desk.stage, desk.stage.position_um, belief.best_um
    target_um = stage.reachable.clip(best_um)
    if abs(target_um - here_um) > stage.step_um / 2:
        return target_um
    if abs(best_um - target_um) > _tolerance_um(desk):
        return None
    # The same picture again would tell nothing new; one from aside does, and engages the gears.
    aside_um = max(desk.settings.depth_of_field_um, stage.step_um)
    up = here_um + aside_um <= stage.reachable.high_um
    return stage.reachable.clip(here_um + aside_um if up else here_um - aside_um)


def _tolerance_um(desk: Desk) -> float:
    return max(desk.settings.tolerance_um, desk.stage.step_um / 2)


def _no_better(here: _Place, sharpest: _Place, depth_of_field_um: float) -> bool:
    """Tell whether a picture should be sharper than the sharpest so far, and is not."""
    apart_um = abs(here.position_um - sharpest.position_um)
    # The first place is known to the gap of the gears only.
    near_um = _NEAR * depth_of_field_um + sharpest.slack_um
    return apart_um > near_um and here.sharpness <= sharpest.sharpness
