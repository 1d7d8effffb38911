"""What the runs of a contest come to: one line a method, and success by what made it hard."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass

import numpy as np

from edge_af.bench.contest import Run
from edge_af.bench.fields import START_UM, FieldClass

START_BANDS = 4
"""Start distances are told apart in so many bands of equal width."""


@dataclass(frozen=True, slots=True)
class Standing:
    """How a method did on all fields with something in them; shares are fractions.

    Errors are those at the end whatever the method said, and so include where it gave up.
    `false_direction` is the share of runs from beyond 1 um whose first move was to lead away from
    focus, of those where an answer led it; 0 of none.
    """

    method: str
    fields: int
    success: float
    median_error_um: float
    p95_error_um: float
    median_frames: float
    median_moves: float
    median_travel_um: float
    median_time_s: float
    false_direction: float
    limit_hits: int
    crashes: int


def standings(runs: Iterable[Run]) -> list[Standing]:
    """Return a line for each method, in the order of their first runs."""
    return [
        _standing(method, [run for run in mine if run.field_class != FieldClass.EMPTY])
        for method, mine in _grouped(runs, lambda run: run.method).items()
    ]


def _standing(method: str, runs: Sequence[Run]) -> Standing:
    errors_um = [abs(run.error_um) for run in runs] or [0.0]
    told = [run.false_direction for run in runs if run.false_direction is not None]

    def median(values: Iterable[float]) -> float:
        return float(np.median(list(values) or [0.0]))

    return Standing(
        method=method,
        fields=len(runs),
        success=share(runs),
        median_error_um=median(errors_um),
        p95_error_um=float(np.percentile(errors_um, 95)),
        median_frames=median(run.frames for run in runs),
        median_moves=median(run.moves for run in runs),
        median_travel_um=median(run.travel_um for run in runs),
        median_time_s=median(run.time_s for run in runs),
        false_direction=sum(told) / max(len(told), 1),
        limit_hits=sum(run.limit_hit for run in runs),
        crashes=sum(run.crashed for run in runs),
    )


def share(runs: Sequence[Run]) -> float:
    """Return the share of runs that succeeded, 0 of none."""
    return sum(run.success for run in runs) / max(len(runs), 1)


def start_band(run: Run) -> str:
    """Return the band that a run's start distance is in."""
    width_um = START_UM / START_BANDS
    band = min(int(abs(run.start_um) / width_um), START_BANDS - 1)
    return f"{band * width_um:g} to {(band + 1) * width_um:g} um"


_ASPECTS: Mapping[str, Callable[[Run], str]] = {
    "field_class": lambda run: run.field_class,
    "start_distance": start_band,
    "backlash": lambda run: f"{run.backlash_um:g} um",
    "drift": lambda run: f"{run.drift_um_per_s:+g} um/s" if run.drift_um_per_s else "none",
}

Breakdown = dict[str, dict[str, dict[str, float]]]


def breakdown(runs: Sequence[Run]) -> Breakdown:
    """Return success by aspect, by its value, by method.

    Of an empty field it is success to say so; it counts with the field classes alone.
    """
    result: Breakdown = {}
    for aspect, value_of in _ASPECTS.items():
        counted = [
            run for run in runs if aspect == "field_class" or run.field_class != FieldClass.EMPTY
        ]
        grouped = _grouped(counted, value_of)
        order = sorted(grouped) if aspect != "field_class" else [*FieldClass]
        result[aspect] = {
            value: {
                method: share(mine)
                for method, mine in _grouped(grouped[value], lambda run: run.method).items()
            }
            for value in order
            if value in grouped
        }
    return result


def document(runs: Sequence[Run]) -> dict[str, object]:
    """Return all of it for JSON."""
    return {
        "methods": [asdict(standing) for standing in standings(runs)],
        "success_by": breakdown(runs),
        "runs": [asdict(run) | {"success": run.success} for run in runs],
    }


def _grouped(runs: Iterable[Run], key: Callable[[Run], str]) -> dict[str, list[Run]]:
    groups: dict[str, list[Run]] = {}
    for run in runs:
        groups.setdefault(key(run), []).append(run)
    return groups
