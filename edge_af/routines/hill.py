"""Where the focus is near a place that is all but in it: what is seen from both of its sides."""

from statistics import fmean

import numpy as np

from edge_af.routines.ports import Desk, Observer
from edge_af.routines.sweep import PROMINENCE, Curve, peak_um
from edge_af.sharpness import tenengrad

_PLACES = (-2.5, -1.25, 0.0, 1.25, 2.5)
"""In depths of field. So far out they see both flanks of a section some um thick: nearer, only
which of its depths holds the finest detail."""

_REACH = max(_PLACES)

_SHARP = 0.25
"""In depths of field, 1 sigma: so far off is what sharpness tells, for weighing it against what the
looks say of themselves. On 160 rendered fields anything from 0.2 to 0.4 did; with 0.35, sparse
fields of a small frame were held 0.6 um off by what the model made of them."""

_AGREE = 0.6
"""In depths of field: where the looks' mean and sharpness differ by more, the looks have another
zero than this instrument, or do not fit what is in view."""


def path_um(desk: Desk, about_um: float) -> float:
    """Return the longest path of a look about a place, and of the way back from it."""
    reach_um = _REACH * desk.settings.depth_of_field_um
    turns_um = 2 * 2 * desk.stage.overshoot_um
    return abs(desk.stage.position_um - about_um) + (1 + 2 + 2) * reach_um + turns_um


def hill_um(desk: Desk, about_um: float, observer: Observer) -> float | None:
    """Return where near `about_um` the focus is, None if that is not plain to see.

    That is the mean of where the picture is sharpest and of what the observer says, an unsure one
    counting for less: in a thick specimen it errs alike from one side of focus, and sharpness by
    where the finest detail lies, but the two not alike. Where they differ by much, or the observer
    abstains, sharpness alone counts. From five places, on the way up, so that backlash does not
    count; the stage is left at the last of them. Raises LimitError if it may not go there, and
    HardwareError as camera and stage do.
    """
    stage, depth_um = desk.stage, desk.settings.depth_of_field_um
    targets_um = [about_um + place * depth_um for place in _PLACES]
    if any(stage.reachable.clip(target_um) != target_um for target_um in targets_um):
        return None
    curve: Curve = {}
    said: list[tuple[float, float]] = []
    for target_um in targets_um:
        stage.move_to_um(target_um)
        frame = desk.view.frame()
        curve[stage.position_um] = tenengrad(frame.pixels)
        place = observer.look(frame).place
        if place is not None:
            said.append((stage.position_um - place.defocus_um, place.sigma_um**2))
    sharpest_um = middle_of(curve)
    if sharpest_um is None or not said:
        return sharpest_um
    said_um, variance_um2 = (fmean(column) for column in zip(*said, strict=True))
    if abs(said_um - sharpest_um) > _AGREE * depth_um:
        return sharpest_um
    of_sharpness_um2 = (_SHARP * depth_um) ** 2
    share = of_sharpness_um2 / (of_sharpness_um2 + max(variance_um2, of_sharpness_um2))
    return share * said_um + (1 - share) * sharpest_um


def middle_of(curve: Curve) -> float | None:
    """Return the middle of a hill of sharpness, None if there is none between the places."""
    if peak_um(curve) in (min(curve), max(curve)):
        return None
    return vertex_um(curve, beyond_um=0.0)


def vertex_um(curve: Curve, beyond_um: float) -> float | None:
    """Return where the picture would be sharpest, by looks at three places or more.

    None if that is `beyond_um` or more outside of them, or if the looks are all alike. The inverse
    of sharpness is taken to be a parabola: blur widens a point's image as a hyperbola (Gaussian
    beam optics), so that the gradient's energy falls as a Lorentz curve.
    """
    places_um = np.array(sorted(curve))
    sharpness = np.array([curve[um] for um in places_um.tolist()])
    low, top = float(sharpness.min()), float(sharpness.max())
    if low <= 0 or top <= (1 + PROMINENCE) * low:
        return None
    about_um = float(places_um.mean())
    curvature, slope, _ = np.polyfit(places_um - about_um, 1 / sharpness, 2)
    if curvature <= 0:
        return None
    middle_um = about_um - float(slope / curvature) / 2
    inside = places_um[0] - beyond_um < middle_um < places_um[-1] + beyond_um
    return middle_um if inside else None
