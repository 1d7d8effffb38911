"""Look, move there once, look again; go back if that was no better."""

import math
from dataclasses import dataclass
from functools import cached_property

from edge_af.belief import Belief
from edge_af.classifier import Abstained
from edge_af.place import Place
from edge_af.routines.hill import vertex_um
from edge_af.routines.ports import Attempt, Desk, Observer
from edge_af.scale import DefocusScale
from edge_af.settings import FocusSettings
from edge_af.sharpness import tenengrad
from hw.camera import Frame
from hw.stage import Range

_FORGOTTEN_UM = 0.3
"""Spread given to the belief for each move. Play and drift change less; but frames from one side of
focus err alike in a thick specimen, so that many of them must not outweigh the newest."""

_NEAR = 3.0
"""In depths of field: pictures taken within this of each other may be alike in sharpness."""

_REST = 2.0
"""In depths of field: the rest of a way that is no longer is gone without another look."""

_LEFT = 0.5
"""Of the last move: the most that may be left to go without another look."""

_ACROSS = 1.2
"""In depths of field: how far beyond the likely focus a second look is taken. What the specimen
makes a frame say wrong differs from one side of focus to the other."""

_SEVERAL = 3
"""So many looks from near focus, on both sides of it, are as good as a sure one."""

_SPAN = 1.0
"""In depths of field: looks as far apart as this tell by their sharpness where it is greatest."""

_AGREE = 1.5
"""In depths of field: where model and sharpness differ by more, one of them is wrong."""

_SURE_AMONG_SEVERAL = 0.75
_AS_SHARP = 0.7
"""Share of the sharpness of the looks around it that the last of several must have. In the middle
of a thick specimen it is less than at the depths that hold its detail."""


@dataclass(frozen=True)
class _Look:
    """One frame, where it was taken, and the defocus that it alone gives."""

    position_um: float
    slack_um: float
    frame: Frame
    place: Place

    @cached_property
    def sharpness(self) -> float:
        """Measured when first asked for: the first move waits for none."""
        return tenengrad(self.frame.pixels)

    def within(self, reach_um: float) -> float:
        """Return the probability that the focus lies within `reach_um` of here."""
        root = self.place.sigma_um * math.sqrt(2)
        off_um = self.place.defocus_um
        above, below = ((reach_um - side * off_um) / root for side in (1, -1))
        return (math.erf(above) + math.erf(below)) / 2


def single_shot(desk: Desk, observer: Observer) -> Attempt:
    """Bring the stage into focus by what single frames say.

    Each frame sharpens a belief over the focus position; the stage moves to where it lies, and
    the next frame confirms or corrects. The short rest of a way that it confirms is gone without
    another; one that is not sure is followed by one from the other side, and after three about the
    focus their sharpness counts as much as what the model says. If a picture is no better than an
    earlier one, or the model abstains, the stage goes back to where it was. Raises
    HardwareError as camera and stage do.
    """
    stage, settings, scale = desk.stage, desk.settings, observer.scale
    start_um = stage.position_um
    belief = _no_idea(start_um, scale, stage.slack_um)
    looks: list[_Look] = []
    for moves_left in range(settings.most_moves, -1, -1):
        frame = desk.view.frame()
        sight = observer.look(frame)
        if sight.place is None:
            reason = f"the model abstained: {sight.abstained}"
            if not looks:
                return Attempt(False, reason, empty=sight.abstained is Abstained.EMPTY)
            return desk.give_up(start_um, f"after a move to {stage.position_um:.1f} um {reason}")
        belief.look(stage.position_um, scale, sight.place, stage.slack_um)
        looks.append(_Look(stage.position_um, stage.slack_um, frame, sight.place))
        worse = _worse_than(looks, settings.depth_of_field_um)
        if worse is not None:
            reason = (
                f"the picture at {stage.position_um:.1f} um was no better than that at "
                f"{worse.position_um:.1f} um"
            )
            return desk.give_up(start_um, reason)
        if _in_focus(desk, belief, looks):
            return Attempt(True)
        if not moves_left:
            break
        settled_um = _settled_um(desk, belief, looks)
        if settled_um is not None:
            stage.move_to_um(settled_um)
            return Attempt(True)
        if _within_reach(desk, belief, looks):
            stage.move_to_um(belief.best_um)
            return Attempt(True)
        target_um = stage.reachable.clip(_next_um(desk, belief, looks))
        if abs(target_um - stage.position_um) < stage.step_um / 2:
            reason = f"the focus seems to lie at {belief.best_um:.1f} um, out of the stage's reach"
            return desk.give_up(start_um, reason)
        stage.move_to_um(target_um)
        belief.spread(_FORGOTTEN_UM)
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


def _near(looks: list[_Look], settings: FocusSettings) -> list[_Look]:
    reach_um = _NEAR * settings.depth_of_field_um
    return [look for look in looks if abs(look.place.defocus_um) <= reach_um]


def _in_focus(desk: Desk, belief: Belief, looks: list[_Look]) -> bool:
    """Tell whether the stage stands in focus: by the newest look alone, or by several around it."""
    settings, newest = desk.settings, looks[-1]
    half_um = settings.depth_of_field_um / 2
    here = abs(newest.place.defocus_um) <= _tolerance_um(desk)
    if here and newest.within(half_um) >= settings.certainty:
        return True
    if abs(belief.best_um - newest.position_um) > _tolerance_um(desk):
        return False
    near = _well_placed(desk, looks)
    places_um = [look.position_um for look in near]
    return (
        len(near) >= _SEVERAL
        and max(places_um) - min(places_um) >= half_um
        and newest.sharpness >= _AS_SHARP * max(look.sharpness for look in near)
        and newest.within(2 * half_um) >= _SURE_AMONG_SEVERAL
    )


def _well_placed(desk: Desk, looks: list[_Look]) -> list[_Look]:
    """Return the looks from near focus that were taken with the gears engaged."""
    near = _near(looks, desk.settings)
    return [look for look in near if look.slack_um <= _tolerance_um(desk)]


def _settled_um(desk: Desk, belief: Belief, looks: list[_Look]) -> float | None:
    """Return the mean of where the model and sharpness put the focus, None if either is unsure."""
    depth_um = desk.settings.depth_of_field_um
    curve = {look.position_um: look.sharpness for look in _well_placed(desk, looks)}
    if len(curve) < _SEVERAL or max(curve) - min(curve) < _SPAN * depth_um:
        return None
    sharpest_um = vertex_um(curve, beyond_um=depth_um / 2)
    if sharpest_um is None or abs(sharpest_um - belief.best_um) > _AGREE * depth_um:
        return None
    settled_um = (sharpest_um + belief.best_um) / 2
    return settled_um if desk.stage.reachable.contains(settled_um) else None


def _within_reach(desk: Desk, belief: Belief, looks: list[_Look]) -> bool:
    """Tell whether so little of the way is left, and so surely, that no look is needed at its end.

    Never after the first look: a jump is verified. It must have brought the focus nearer by more
    than is left, for a motor that stands still, or an observer that always says the same, would
    not. And the gears must be engaged, so that the axis goes as far as is counted.
    """
    if len(looks) < 2:
        return False
    settings, before, newest = desk.settings, looks[-2], looks[-1]
    best_um = belief.best_um
    left_um = abs(best_um - newest.position_um)
    return (
        newest.slack_um <= _tolerance_um(desk)
        and left_um <= _REST * settings.depth_of_field_um
        and left_um <= _LEFT * abs(newest.position_um - before.position_um)
        and belief.within(best_um, settings.depth_of_field_um / 2) >= settings.certainty
        and desk.stage.reachable.contains(best_um)
        and not _turns_back(best_um, looks)
    )


def _turns_back(target_um: float, looks: list[_Look]) -> bool:
    """Tell whether the way to a place leads away from one that was sharper."""
    newest = looks[-1]
    return any(
        (look.position_um - newest.position_um) * (target_um - newest.position_um) < 0
        and look.sharpness > newest.sharpness
        for look in looks
    )


def _next_um(desk: Desk, belief: Belief, looks: list[_Look]) -> float:
    """Return where to look next."""
    stage, settings, best_um = desk.stage, desk.settings, belief.best_um
    here_um, newest = stage.position_um, looks[-1]
    if newest.slack_um > 0 and newest.place.defocus_um > _tolerance_um(desk):
        # However wide the gap of the gears may be, the axis is not led away from what was seen.
        return min(best_um, here_um - stage.step_um)
    across_um = max(_ACROSS * settings.depth_of_field_um, stage.step_um)
    other_side_um = best_um + (across_um if here_um <= best_um else -across_um)
    if [newest] == _near(looks, settings):
        return other_side_um
    # Nearly the same picture again would tell nothing new.
    seen = _well_placed(desk, looks)
    for place_um in (best_um, best_um + across_um, best_um - across_um):
        if stage.reachable.contains(place_um) and not _seen(place_um, seen, settings):
            return place_um
    return other_side_um


def _seen(place_um: float, looks: list[_Look], settings: FocusSettings) -> bool:
    """Tell whether one of the looks was from about there."""
    half_um = settings.depth_of_field_um / 2
    return any(abs(look.position_um - place_um) < half_um for look in looks)


def _tolerance_um(desk: Desk) -> float:
    return max(desk.settings.tolerance_um, desk.stage.step_um / 2)


def _worse_than(looks: list[_Look], depth_of_field_um: float) -> _Look | None:
    """Return the look that the newest should be sharper than and is not, None if it is well."""
    *earlier, newest = looks
    if not earlier:
        return None
    sharpest = max(earlier, key=lambda look: look.sharpness)
    # The first place is known to the gap of the gears only.
    near_um = _NEAR * depth_of_field_um + sharpest.slack_um
    apart_um = abs(newest.position_um - sharpest.position_um)
    return sharpest if apart_um > near_um and newest.sharpness <= sharpest.sharpness else None
