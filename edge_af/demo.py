"""The main job, on microscopes that need no hardware: virtual fields and recorded stacks.

Here, and here alone in the product, the hidden truth is read: to say how well it went.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import count
from statistics import median

import numpy as np

from edge_af.instrument import FocusResult, Instrument
from edge_af.model_file import ModelFile
from edge_af.parts import Parts
from edge_af.record import run_focus
from edge_af.recording import Log
from edge_af.routines.ports import Method, Outcome
from edge_af.routines.sweep import Keeper
from edge_af.settings import FocusSettings
from hw.guard import GuardedStage
from hw.replay import ReplayCamera, ReplayStage
from hw.stack import Stack
from hw.stage import LimitError, Range
from hw.virtual.clock import SimulatedClock
from hw.virtual.microscope import VirtualMicroscope
from hw.virtual.truth import Truth

START_UM = 12.0
GOOD_ENOUGH_UM = 0.5

KIND_SHARE = {"tissue": 0.5, "smear": 0.3, "sparse": 0.1, "empty": 0.1}

_ROOM_UM = 60.0
"""Soft limits of the demo, to either side of where the stage starts."""


@dataclass(frozen=True, slots=True)
class FieldResult:
    """How one focus went.

    `start_um` and `end_um` are counted stage positions, measured from where the focus truly was at
    the start. `error_um` is the true defocus at the end; it differs from `end_um` by the backlash
    taken up and by drift. `crashed` means that the axis touched a hard stop.
    """

    field: str
    start_um: float
    end_um: float
    error_um: float
    frames: int
    moves: int
    time_s: float
    method: str
    outcome: str
    empty: bool
    crashed: bool
    limit_hit: bool
    reason: str

    @property
    def success(self) -> bool:
        """Whether a field was focused as well as was asked."""
        return (
            self.outcome == Outcome.FOCUSED
            and abs(self.error_um) <= GOOD_ENOUGH_UM
            and not self.crashed
            and not self.limit_hit
        )


def virtual_fields(
    model: ModelFile | None, seed: int, fields: int | None, settings: FocusSettings
) -> Iterator[FieldResult]:
    """Focus `fields` random fields (endless if None), each on a fresh virtual microscope.

    A field's specimen, optics, gears and start depend on `seed` and its number alone.
    """
    for number in count() if fields is None else range(fields):
        yield _virtual_field(model, seed, number, settings)


def _virtual_field(
    model: ModelFile | None, seed: int, number: int, settings: FocusSettings
) -> FieldResult:
    rng = np.random.default_rng([seed, number, 41])
    kind = str(rng.choice(list(KIND_SHARE), p=list(KIND_SHARE.values())))
    start_um = float(rng.uniform(-START_UM, START_UM))
    clock = SimulatedClock()
    microscope = VirtualMicroscope(clock, int(rng.integers(2**31)), kind=kind, defocus_um=start_um)
    truth = Truth(microscope, clock)
    position_um = microscope.stage.position_um
    stage = GuardedStage(
        microscope.stage,
        soft_limits=Range(position_um - _ROOM_UM, position_um + _ROOM_UM),
        backlash_um=microscope.backlash_um,
        trusted=True,
    )
    instrument = Instrument(microscope.camera, stage, clock, settings)
    result = _focus(instrument, model, microscope.frame_px)
    moved_um = stage.position_um - position_um
    return _field_result(
        f"{kind} {number}",
        result,
        start_um=start_um,
        end_um=start_um + moved_um,
        error_um=truth.defocus_um,
        empty=truth.empty,
        crashed=truth.crashes > 0,
    )


def replay_fields(
    model: ModelFile | None, stacks: Sequence[Stack], settings: FocusSettings
) -> Iterator[FieldResult]:
    """Focus every field of recorded stacks from every recorded start.

    The truth is the z that was recorded with the slice at which the stage ends. Each stack must
    state its um_per_px (CameraError otherwise).
    """
    for stack in stacks:
        for start in stack.slices:
            yield replay_field(model, stack, start.z_um, settings)


def replay_field(
    model: ModelFile | None,
    stack: Stack,
    start_um: float,
    settings: FocusSettings,
    log: Log | None = None,
    keeper: Keeper | None = None,
) -> FieldResult:
    """Focus one recorded field from the slice nearest to `start_um`.

    `log` is told all events of the run, `keeper` gets the frames of its sweep.
    """
    clock = SimulatedClock()
    inner = ReplayStage(stack, clock, start_um)
    span_um = inner.travel.high_um - inner.travel.low_um
    # A recording cannot be damaged: all of it may be swept, as often as a focus takes.
    settings = settings.model_copy(
        update={"sweep_reach_um": span_um, "travel_budget_um": 10 * span_um}
    )
    parts = Parts(
        ReplayCamera(inner), inner, clock, settings, inner.travel, backlash_um=0.0, trusted=True
    )
    frame_px = stack.slices[0].pixels().shape[:2]
    start_um = inner.position_um
    result = _focus(parts.instrument(log), model, (frame_px[0], frame_px[1]), log, keeper)
    return _field_result(
        stack.field,
        result,
        start_um=start_um,
        end_um=inner.position_um,
        error_um=inner.position_um,
        empty=False,
        crashed=False,
    )


def _focus(
    instrument: Instrument,
    model: ModelFile | None,
    frame_px: tuple[int, int],
    log: Log | None = None,
    keeper: Keeper | None = None,
) -> FocusResult | None:
    """Return the result, or None if a move was refused by the guard."""
    with instrument:
        if model is not None:
            instrument.use_model(model, frame_px)
        try:
            return run_focus(instrument, log, keeper)
        except LimitError:
            return None


def _field_result(
    field: str,
    result: FocusResult | None,
    *,
    start_um: float,
    end_um: float,
    error_um: float,
    empty: bool,
    crashed: bool,
) -> FieldResult:
    return FieldResult(
        field=field,
        start_um=start_um,
        end_um=end_um,
        error_um=error_um,
        frames=result.frames if result else 0,
        moves=result.moves if result else 0,
        time_s=result.time_s if result else 0.0,
        method=result.method if result else Method.NONE,
        outcome=result.outcome if result else "refused",
        empty=empty,
        crashed=crashed,
        limit_hit=result is None,
        reason=result.reason if result else "a move was refused by the guard",
    )


def summary(results: Sequence[FieldResult]) -> dict[str, float | int]:
    """Return the figures of a run; shares are fractions, `success` of the non-empty fields."""
    full = [result for result in results if not result.empty]
    empty = [result for result in results if result.empty]
    focused = [result for result in full if result.outcome == Outcome.FOCUSED]
    return {
        "fields": len(results),
        "non_empty": len(full),
        "success": sum(result.success for result in full) / max(len(full), 1),
        "single_shot": sum(result.method == Method.SINGLE_SHOT for result in full),
        "sweep": sum(result.method == Method.SWEEP for result in full),
        "abstained": sum(result.outcome == Outcome.ABSTAINED for result in full),
        "empty": len(empty),
        "empty_held": sum(
            result.outcome == Outcome.ABSTAINED and result.end_um == result.start_um
            for result in empty
        ),
        "median_abs_error_um": median([abs(result.error_um) for result in focused] or [0.0]),
        "max_abs_error_um": max([abs(result.error_um) for result in focused] or [0.0]),
        "median_frames": median([result.frames for result in full] or [0]),
        "median_moves": median([result.moves for result in full] or [0]),
        "median_time_s": median([result.time_s for result in full] or [0.0]),
        "crashes": sum(result.crashed for result in results),
        "limit_hits": sum(result.limit_hit for result in results),
    }
