"""The focus command: a single shot, and where that gives no answer a sweep."""

from edge_af.routines.ports import Attempt, Desk, Method, Observer
from edge_af.routines.single_shot import single_shot
from edge_af.routines.sweep import Keeper, sweep


def focus(
    desk: Desk, observer: Observer | None, keeper: Keeper | None = None
) -> tuple[Method, Attempt]:
    """Return what found the focus, or Method.NONE and why nothing did.

    An empty field is left alone: there is nothing that a sweep could find either. `keeper` gets
    the frames of the sweep.
    """
    gap_um = desk.stage.slack_um
    first = single_shot(desk, observer) if observer else Attempt(False, "there is no model")
    if first.found:
        return Method.SINGLE_SHOT, first
    if first.empty:
        return Method.NONE, first
    second = sweep(desk, keeper, gap_um)
    if second.found:
        return Method.SWEEP, Attempt(True, first.reason)
    return Method.NONE, Attempt(False, f"{first.reason}; sweep: {second.reason}")
