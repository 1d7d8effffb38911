"""What each kind of job does, on the worker's thread; each returns the job's result."""

import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from edge_af.instrument import Instrument
from edge_af.routines.collect import StackPlan
from edge_af.routines.ports import Outcome
from edge_af.service.jobs import Jobs
from edge_af.service.machine import Machine
from edge_af.service.models import Collected, FocusAnswer, Moved
from edge_af.stack_writer import StackWriter
from hw.stage import StageStopped

_TRUSTED_SIGMA_UM = 4.0
"""The map is asked where to look first if it knows to within this: the model sees three times as
far, and beyond that the place where the stage is may be as good."""


def focus(
    machine: Machine, instrument: Instrument, place: tuple[float, float] | None
) -> FocusAnswer:
    """Focus; in a field whose place on the slide is told, near where earlier fields expect it."""
    now_s, near_um = time.monotonic(), None
    if place is not None:
        expected = machine.map.expect(*place, now_s)
        if expected is not None and expected.sigma_um <= _TRUSTED_SIGMA_UM:
            near_um = expected.focus_um
    result = instrument.focus(near_um=near_um)
    answer = FocusAnswer(**result.model_dump(), at=datetime.now(UTC))
    if place is not None and answer.outcome is Outcome.FOCUSED:
        machine.map.add(*place, answer.end_um, now_s)
    return answer


def move(instrument: Instrument, target_um: Callable[[float], float]) -> Moved:
    """Move to what `target_um` makes of the present position."""
    start_um = instrument.stage.position_um
    instrument.move_to(target_um(start_um))
    return Moved(start_um=start_um, end_um=instrument.stage.position_um)


def home(instrument: Instrument) -> Moved:
    """Run to the end stop."""
    start_um = instrument.stage.position_um
    instrument.home()
    return Moved(start_um=start_um, end_um=instrument.stage.position_um)


def collect(instrument: Instrument, jobs: Jobs, id: str, plan: StackPlan, path: Path) -> Collected:
    """Take a focal stack."""
    with StackWriter(path, slices=plan.most_frames) as writer:
        taken = instrument.collect(
            plan, writer, lambda what, done, total: jobs.progress(id, what, done, total)
        )
    found = taken.attempt.found
    return Collected(
        file=str(path) if writer.written else None,
        found=found,
        reason=taken.attempt.reason,
        slices=len(taken.places_um),
        focus_um=taken.focus_um if found else None,
    )


def calibrate(machine: Machine, jobs: Jobs, id: str, fields: int) -> dict[str, Any]:
    """Measure the axis on several fields; between them a person moves the slide."""

    def next_field(number: int) -> None:
        what = "move the slide to another field with plenty of detail, then go on"
        if not jobs.await_person(id, what, number, fields):
            raise StageStopped("ended while it waited for another field")
        jobs.progress(id, "measuring", number, fields)

    jobs.progress(id, "measuring", 0, fields)
    measured = machine.calibrate(fields, next_field)
    return measured.calibration.model_dump(mode="json")
