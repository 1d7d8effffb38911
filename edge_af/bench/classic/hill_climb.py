"""Hill climbing, with steps that shrink."""

from edge_af.bench.classic.curve import SharpnessCurve
from edge_af.bench.classic.rig import Rig
from edge_af.routines.ports import Attempt

_STEPS = (3.0, 1.0, 0.4)
"""In depths of field."""

_DOWN_AGAIN = 2
"""So many places in a row must be less sharp before the peak counts as passed."""


def hill_climb(rig: Rig) -> Attempt:
    """Step the way that gets sharper until it gets less sharp, then finer about the best place.

    The search by adaptive steps of He, Zhou and Hong, Modified fast climbing search auto-focus
    algorithm (IEEE Trans. Consumer Electronics 49, 2003, 257). At the end of the span it turns.
    The focus is the top of a parabola through the places about the best one.
    """
    start_um, span = rig.stage.position_um, rig.span
    rig.engage()
    curve = SharpnessCurve(rig.desk)
    best_um = rig.stage.position_um
    for depths in _STEPS:
        pitch_um = depths * rig.desk.settings.depth_of_field_um
        curve.at(best_um)
        for way in (1, -1):
            place_um, fallen = best_um, 0
            highest = curve.seen[curve.best_um]
            while fallen < _DOWN_AGAIN and span.contains(place_um + way * pitch_um):
                place_um += way * pitch_um
                sharpness = curve.at(place_um)
                fallen = 0 if sharpness > highest else fallen + 1
                highest = max(highest, sharpness)
            if curve.best_um != best_um and way == 1:
                break  # it was uphill
        best_um = curve.best_um
    if best_um in (min(curve.seen), max(curve.seen)):
        return rig.desk.give_up(start_um, "sharpness still rose at the end of the span")
    rig.stage.move_to_um(curve.top_um())
    return Attempt(True)
