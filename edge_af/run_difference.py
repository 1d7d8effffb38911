"""Where a run that was played again differs from the recorded one."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from itertools import zip_longest
from typing import Any, Final

import numpy as np

from edge_af.play import Run
from edge_af.recording import Event

_SHOWN: Final = ("frame", "look", "move", "home", "doubt", "end")


class Verdict(StrEnum):
    """How alike two runs, or two of their events, are. The worst of all events is the run's."""

    IDENTICAL = "identical"
    """To the last bit."""
    SAME_DECISIONS = "same decisions"
    """Other numbers on the way, but every move and the outcome are the same."""
    PARTED = "parted"
    """Another move or another outcome; what follows cannot be known."""


@dataclass(frozen=True, slots=True)
class Row:
    """One event of both runs, in words; empty where one run has no more."""

    event: str
    recorded: str
    replayed: str
    verdict: Verdict


def rows(run: Run) -> list[Row]:
    """Return the events side by side, up to the first at which the runs part."""
    was, now = (
        [event for event in events if event["kind"] in _SHOWN]
        for events in (run.recorded, run.replayed)
    )
    side_by_side = []
    for recorded, replayed in zip_longest(was, now):
        kinds = dict.fromkeys(event["kind"] for event in (recorded, replayed) if event)
        row = Row(
            " / ".join(kinds),
            _words(recorded, run.bins_um[0]),
            _words(replayed, run.bins_um[1]),
            _compared(recorded, replayed, run.step_um),
        )
        side_by_side.append(row)
        if row.verdict is Verdict.PARTED:
            break
    return side_by_side


def verdict(side_by_side: Sequence[Row]) -> Verdict:
    """Return the worst verdict of any event."""
    order = list(Verdict)
    return order[max((order.index(row.verdict) for row in side_by_side), default=0)]


def _compared(recorded: Event | None, replayed: Event | None, step_um: float) -> Verdict:
    if recorded == replayed:
        return Verdict.IDENTICAL
    if recorded is None or replayed is None or recorded["kind"] != replayed["kind"]:
        return Verdict.PARTED
    if recorded["kind"] in ("frame", "look"):
        asked_only = recorded["kind"] == "frame" and "exposure_start_s" not in replayed
        return Verdict.PARTED if asked_only else Verdict.SAME_DECISIONS
    key = _decision(recorded), _decision(replayed)
    apart_um = abs(_place_um(recorded) - _place_um(replayed))
    same = key[0] == key[1] and not apart_um >= step_um / 2
    return Verdict.SAME_DECISIONS if same else Verdict.PARTED


def _decision(event: Event) -> tuple[Any, ...]:
    result = event.get("result", {})
    return result.get("outcome"), result.get("method"), event.get("error"), event.get("doubt")


def _place_um(event: Event) -> float:
    if event["kind"] == "move":
        return float(event["target_um"])
    return float(event.get("result", {}).get("end_um", math.nan))


def _words(event: Event | None, bins_um: Any) -> str:
    if event is None:
        return ""
    if "error" in event:
        return f"{event['error']['type']}: {event['error']['message']}"
    match event["kind"]:
        case "frame":
            exposed_s = event.get("exposure_start_s")
            return "asked for one" if exposed_s is None else f"exposed at {exposed_s:.3f} s"
        case "look":
            return _look(event, bins_um)
        case "move":
            return f"to {event['target_um']:+.2f} um"
        case "end":
            result = event["result"]
            how = f"by {result['method']}" if result["method"] != "none" else result["reason"]
            return f"{result['outcome']} {how} at {result['end_um']:+.2f} um"
        case "doubt":
            return str(event["doubt"])
    return ""


def _look(event: Event, bins_um: Any) -> str:
    if event["distribution"] is None:
        return f"abstained: {event['abstained']}"
    centres_um = np.mean(bins_um, axis=1)
    share = np.array(event["distribution"])
    mean_um = float(share @ centres_um)
    spread_um = math.sqrt(float(share @ (centres_um - mean_um) ** 2))
    return f"{mean_um:+.2f} um, give or take {spread_um:.2f}"
