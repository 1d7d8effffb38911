"""The path of a guarded move: its waypoints, and whether it is allowed. Nothing here moves."""

import itertools
import math
from collections.abc import Sequence
from typing import Final, NamedTuple

from hw.stage import LimitError, Range

_NOISE_UM: Final = 1e-6
"""Positions are sums of floats: lengths that differ by less than this are the same."""


class Limit(NamedTuple):
    """A range that every waypoint must keep, what users call it, and what they can do about it."""

    name: str
    allowed: Range
    cure: str


def overshoot_um(backlash_um: float, step_um: float) -> float:
    """Return how far a run must be to take up the backlash, in whole steps."""
    return math.ceil((backlash_um - _NOISE_UM) / step_um) * step_um


def slack_after_um(slack_um: float, run_um: float, backlash_um: float) -> float:
    """Return the upper bound of the gap in the gears after a run of `run_um`, upwards positive."""
    left_um = min(max(slack_um - run_um, 0.0), backlash_um)
    return 0.0 if left_um < _NOISE_UM else left_um


def reachable(limits: Sequence[Limit], overshoot_um: float, here_um: float) -> Range:
    """Return the targets that any move may ask for, the overshoot below them included.

    The point `here_um`, if the limits leave no room.
    """
    low_um = max(limit.allowed.low_um for limit in limits) + overshoot_um
    high_um = min(limit.allowed.high_um for limit in limits)
    return Range(low_um, high_um) if low_um <= high_um else Range(here_um, here_um)


def waypoints_um(
    here_um: float,
    target_um: float,
    *,
    step_um: float,
    slack_um: float,
    overshoot_um: float,
    reachable: Range,
) -> list[float]:
    """Return where to go, in order, to arrive at the step nearest to `target_um` from below.

    Straight there if that is a run upwards which takes up the slack, else from the overshoot below
    it. Empty if no step is nearer than the present one. Raises LimitError if the target is not
    finite.
    """
    if not math.isfinite(target_um):
        raise LimitError(
            f"move to {target_um} um refused: the target must be a finite position in um"
        )
    landing_um = here_um + round((target_um - here_um) / step_um) * step_um
    if reachable.contains(target_um):
        # The driver goes to the nearest step. Where that one lies past the end of the range, ask
        # for a point on the inner side of half-way to it.
        half_um = step_um / 2 + _NOISE_UM
        if landing_um < reachable.low_um - _NOISE_UM:
            target_um, landing_um = landing_um + half_um, landing_um + step_um
        elif landing_um > reachable.high_um + _NOISE_UM:
            target_um, landing_um = landing_um - half_um, landing_um - step_um
    run_um = landing_um - here_um
    if abs(run_um) < _NOISE_UM:
        return []
    if overshoot_um == 0 or run_um >= max(slack_um - _NOISE_UM, 0.0):
        return [target_um]
    return [landing_um - overshoot_um, target_um]


def check_limits(path_um: Sequence[float], limits: Sequence[Limit]) -> None:
    """Raise LimitError if any waypoint of a move lies outside any limit."""
    for name, allowed, cure in limits:
        for waypoint_um in path_um:
            if abs(waypoint_um - allowed.clip(waypoint_um)) > _NOISE_UM:
                by_way = "" if waypoint_um == path_um[-1] else " by way of the backlash overshoot"
                raise LimitError(
                    f"move to {path_um[-1]:g} um refused: it leads to {waypoint_um:g} um{by_way}, "
                    f"outside {name}, {allowed.low_um:g} um to {allowed.high_um:g} um; {cure}"
                )


def check_budget(
    here_um: float, path_um: Sequence[float], budget_um: float, spent_um: float
) -> None:
    """Raise LimitError if the length of a path exceeds what is left of the travel budget."""
    length_um = sum(abs(b - a) for a, b in itertools.pairwise([here_um, *path_um]))
    if length_um > budget_um - spent_um + _NOISE_UM:
        raise LimitError(
            f"move to {path_um[-1]:g} um refused: its path is {length_um:g} um long and "
            f"{budget_um - spent_um:g} um are left of the command's travel budget of "
            f"{budget_um:g} um; ask for less, or give the command a larger budget"
        )
