"""Brent's search for the maximum of a function of one variable."""

from collections.abc import Callable

from edge_af.bench.classic.curve import SharpnessCurve, binned
from edge_af.bench.classic.rig import Rig
from edge_af.routines.ports import Attempt
from hw.stage import Range

_GOLDEN = 0.381966
"""(3 - sqrt 5) / 2: where a golden section cuts the larger part."""

_MOST = 100
_COARSE_BLOCK_PX = 4
_COARSE_REACH = 2.5
_COARSE, _FINE = 0.5, 0.125
"""Tolerances and the reach of the fine search, in depths of field."""


def brent(rig: Rig) -> Attempt:
    """Maximise sharpness by Brent's method, coarse over the span, then fine about its peak.

    As Micro-Manager's OughtaFocus does, which leaves range, tolerance and measure to its user. One
    run over 32 um on a measure as narrow as the depth of field would hardly ever find it, so the
    first run looks at blocks of pixels, whose sharpness can be felt from afar.
    """
    start_um, span = rig.stage.position_um, rig.span
    depth_um = rig.desk.settings.depth_of_field_um
    coarse = SharpnessCurve(rig.desk, binned(_COARSE_BLOCK_PX))
    peak_um = maximum(coarse.at, span, _COARSE * depth_um)
    if min(peak_um - span.low_um, span.high_um - peak_um) < depth_um:
        return rig.desk.give_up(start_um, "sharpness still rose at the end of the span")
    fine = SharpnessCurve(rig.desk)
    reach_um = _COARSE_REACH * depth_um
    near = Range(
        rig.stage.reachable.clip(peak_um - reach_um), rig.stage.reachable.clip(peak_um + reach_um)
    )
    maximum(fine.at, near, _FINE * depth_um)
    rig.stage.move_to_um(fine.top_um())
    return Attempt(True)


def maximum(function: Callable[[float], float], over: Range, tolerance_um: float) -> float:
    """Return where `function` has its maximum, to `tolerance_um`, if it has one peak in `over`.

    Parabolas through the three best points where they shrink the interval fast enough, golden
    sections elsewhere (R. P. Brent, Algorithms for Minimization without Derivatives, 1973, ch. 5).
    """
    low, high = over.low_um, over.high_um
    best = second = third = low + _GOLDEN * (high - low)
    at_best = at_second = at_third = function(best)
    step = before = 0.0
    for _ in range(_MOST):
        middle = (low + high) / 2
        if abs(best - middle) <= 2 * tolerance_um - (high - low) / 2:
            break
        before, step_before_last = step, before
        to_vertex = _to_vertex((best, at_best), (second, at_second), (third, at_third))
        if (
            to_vertex is not None
            and abs(to_vertex) < abs(step_before_last) / 2
            and low < best + to_vertex < high
        ):
            step = to_vertex
        else:
            before = (high if best < middle else low) - best
            step = _GOLDEN * before
        # Points nearer than the tolerance would tell noise apart, not sharpness.
        if abs(step) < tolerance_um:
            step = tolerance_um if best < middle else -tolerance_um
        point = best + step
        value = function(point)
        if value >= at_best:
            low, high = (best, high) if point >= best else (low, best)
            third, at_third = second, at_second
            second, at_second = best, at_best
            best, at_best = point, value
            continue
        low, high = (point, high) if point < best else (low, point)
        if value >= at_second or second == best:
            third, at_third = second, at_second
            second, at_second = point, value
        elif value >= at_third or third in (best, second):
            third, at_third = point, value
    return best


def _to_vertex(
    best: tuple[float, float], second: tuple[float, float], third: tuple[float, float]
) -> float | None:
    """Return how far from `best` the parabola through three points has its vertex."""
    (x, fx), (w, fw), (v, fv) = best, second, third
    toward_w, toward_v = (x - w) * (fx - fv), (x - v) * (fx - fw)
    bottom = 2 * (toward_v - toward_w)
    return None if bottom == 0 else ((x - w) * toward_w - (x - v) * toward_v) / bottom
