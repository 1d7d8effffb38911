"""Take a focal stack about the focus: evenly spaced slices, and where they are sharpest."""

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from edge_af.errors import UserError
from edge_af.routines.ports import Attempt, Desk
from edge_af.routines.sweep import COARSE, Curve, Keeper, fault_of, measure, peak_um
from edge_af.settings import FocusSettings
from edge_af.sharpness import tenengrad
from hw.stage import Range, Stage

MOST_PLACES = 2000

_PATH = 6.0
"""Length of the path in reach of the sweep and range of the stack together: the sweep 3 reaches,
down to the first slice 2 and a range, the slices 2 ranges, back to the focus 2; some for play."""

_FLANK = 0.3
_FEW = 5
"""Above the flank; with fewer places a centroid says little, and a parabola more."""

Report = Callable[[str, int, int], None]
"""Is told what is being done, how far it is and of how much."""


@dataclass(frozen=True, slots=True)
class StackPlan:
    """Slices every `step_um` up to `range_um` to either side of focus, `frames` frames at each.

    Raises UserError for a plan that makes no stack.
    """

    range_um: float
    step_um: float
    frames: int = 1

    def __post_init__(self) -> None:
        if not (0 < self.step_um <= self.range_um < math.inf):  # also catches NaN
            raise UserError(
                f"the slices of a stack must be more than 0 um and at most its range of "
                f"{self.range_um:g} um apart, got {self.step_um:g} um"
            )
        if 2 * self.range_um / self.step_um >= MOST_PLACES:
            raise UserError(
                f"slices {self.step_um:g} um apart over {self.range_um:g} um to either side are "
                f"more than {MOST_PLACES}: take a larger step or a smaller range"
            )
        if self.frames < 1:
            raise UserError(f"a stack needs at least 1 frame a place, got {self.frames}")

    @property
    def most_frames(self) -> int:
        """How many frames the stack has at most."""
        return self.frames * (2 * round(self.range_um / self.step_um) + 1)

    def path_um(self, sweep_reach_um: float) -> float:
        """Return the path that collecting may travel, its sweep for the focus included."""
        return _PATH * (sweep_reach_um + self.range_um)

    def require_budget(self, settings: FocusSettings) -> None:
        """Raise UserError if the travel budget may not last for this stack."""
        needed_um = self.path_um(settings.sweep_reach_um)
        if needed_um > settings.travel_budget_um:
            raise UserError(
                f"a stack of {self.range_um:g} um to either side may travel {needed_um:g} um, and "
                f"travel_budget_um = {settings.travel_budget_um:g} allows less: collect over a "
                "smaller range, or raise it"
            )


@dataclass(frozen=True, slots=True)
class Collection:
    """What came of it; `focus_um` and `places_um` are counted stage positions, by rising z."""

    attempt: Attempt
    focus_um: float = math.nan
    places_um: tuple[float, ...] = ()


def collect(desk: Desk, plan: StackPlan, keeper: Keeper, report: Report) -> Collection:
    """Take a stack and leave the stage in focus; where there is no focus, at its start.

    A coarse pass finds the sharpest place. The slices lie evenly about it, on steps of the motor,
    as far as the stage may go, and are approached upwards. `keeper` gets their frames, and at the
    end where among them the focus was. Raises HardwareError as camera and stage do.
    """
    stage, reach_um = desk.stage, desk.settings.sweep_reach_um
    start_um = stage.position_um
    coarse_um = COARSE * desk.settings.depth_of_field_um
    span = Range(
        stage.reachable.clip(start_um - reach_um), stage.reachable.clip(start_um + reach_um)
    )
    report("looking for the focus", 0, 1)
    coarse = measure(desk, span, coarse_um)
    fault = fault_of(coarse, stage.reachable, coarse_um)
    if fault is not None:
        return Collection(desk.give_up(start_um, fault))
    middle_um = round(focus_at_um(coarse) / stage.step_um) * stage.step_um
    curve = _slices(desk, plan, middle_um, keeper, report)
    fault = _fault(curve)
    if fault is not None:
        return Collection(desk.give_up(start_um, fault))
    focus_um = focus_at_um(curve)
    keeper.focus_at(focus_um)
    stage.move_to_um(stage.reachable.clip(focus_um))
    return Collection(Attempt(True), focus_um, tuple(sorted(curve)))


def places_um(plan: StackPlan, centre_um: float, stage: Stage, reachable: Range) -> list[float]:
    """Return the targets of a stack, by rising position, as far as the stage may go.

    Their distance is a whole number of motor steps, so that none is rounded unlike the others.
    """
    pitch_um = max(1, round(plan.step_um / stage.step_um)) * stage.step_um
    each_side = math.floor(plan.range_um / pitch_um + 1e-9)
    targets_um = [centre_um + pitch_um * number for number in range(-each_side, each_side + 1)]
    return [target_um for target_um in targets_um if reachable.contains(target_um)]


def _slices(desk: Desk, plan: StackPlan, centre_um: float, keeper: Keeper, report: Report) -> Curve:
    targets_um = places_um(plan, centre_um, desk.stage, desk.stage.reachable)
    curve: Curve = {}
    for done, target_um in enumerate(targets_um):
        report("slices", done, len(targets_um))
        desk.stage.move_to_um(target_um)
        place_um = desk.stage.position_um
        if place_um in curve:  # where the stage steps coarser than it says
            continue
        sharpness = []
        for _ in range(plan.frames):
            frame = desk.view.frame()
            sharpness.append(tenengrad(frame.pixels))
            keeper.keep(frame, place_um)
        curve[place_um] = float(np.mean(sharpness))
    report("slices", len(targets_um), len(targets_um))
    return curve


def _fault(curve: Curve) -> str | None:
    if len(curve) < 3:
        return f"the stage may go to {len(curve)} of the places only: a stack needs 3"
    if peak_um(curve) in (min(curve), max(curve)):
        return (
            f"the sharpest slice was the last, at {peak_um(curve):.1f} um: the focus may lie "
            "outside of the stack, take a larger range"
        )
    return None


def focus_at_um(curve: Curve) -> float:
    """Return where a curve, of three places or more and however spaced, has its focus, in um.

    The centroid of what stands above _FLANK of its height, each place weighted by the length it
    stands for: the middle of a specimen that is sharp at several depths. Where few places stand
    out, the vertex of the parabola through the logarithm of the sharpest and its neighbours, which
    is exact for a Gaussian.
    """
    at_um = np.array(sorted(curve))
    sharpness = np.array([curve[um] for um in at_um.tolist()])
    excess = sharpness - sharpness.min() - _FLANK * np.ptp(sharpness)
    weights = np.maximum(excess, 0) * np.gradient(at_um)
    if np.count_nonzero(weights) >= _FEW:
        return float(weights @ at_um / weights.sum())
    top = int(np.clip(np.argmax(sharpness), 1, len(at_um) - 2))
    near = slice(top - 1, top + 2)
    bend, slope, _ = np.polyfit(
        at_um[near] - at_um[top], np.log(np.maximum(sharpness[near], 1e-12)), 2
    )
    if not bend < 0:
        return float(at_um[np.argmax(sharpness)])
    return float(np.clip(at_um[top] - slope / (2 * bend), at_um[top - 1], at_um[top + 1]))
