"""Every stage that must pass the contract; to add one, write its rig and name it in RIGS.

A rig is made in an empty folder, or in one where the same kind was made before.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from edge_af.record import recording_stage
from edge_af.recording import Event
from hw.replay import SPEED_UM_PER_S, ReplayStage
from hw.stack import Slice, Stack
from hw.stage import Range, Stage
from hw.virtual.clock import SimulatedClock
from hw.virtual.mechanics import Mechanics, MechanicsSettings
from hw.virtual.stage import VirtualStage


@dataclass(frozen=True)
class Rig:
    """A stage, not yet connected, and what a test may know of it that its user may not."""

    stage: Stage
    clock: SimulatedClock
    axis_um: Callable[[], float]
    """Where the axis really stands, now."""
    crashes: Callable[[], int]
    span: Range
    """Where the tests may move; the stage starts inside, and 20 um or more lie in it."""
    backlash_um: float
    step_period_s: float
    """The longest time between two steps of a move."""


def virtual(folder: Path) -> Rig:  # noqa: ARG001
    """Backlash in an unknown state, and nothing else that parts the axis from the motor."""
    settings = MechanicsSettings(
        play_um=0, ring_um=0, drift_um_per_s=0, low_stop_um=-25, high_stop_um=25
    )
    clock = SimulatedClock()
    mechanics = Mechanics(settings, seed=3)
    return Rig(
        stage=VirtualStage(mechanics, clock),
        clock=clock,
        axis_um=lambda: float(mechanics.position_um(clock.now_s())),
        crashes=lambda: mechanics.crashes,
        span=Range(-20.0, 15.0),
        backlash_um=settings.backlash_um,
        # From rest to rest the first and the last step are the slowest: x = a t^2 / 2.
        step_period_s=(2 / settings.acceleration_steps_per_s2) ** 0.5,
    )


def replay(folder: Path) -> Rig:
    """Slices 0.2 um apart, whose pixels no stage reads; it stands where it says."""
    clock = SimulatedClock()
    slices = tuple(Slice(step * 0.2, folder / "unread.png") for step in range(-125, 126))
    stage = ReplayStage(Stack("field", slices), clock, start_um=0.0)
    return Rig(
        stage=stage,
        clock=clock,
        axis_um=lambda: stage.position_um,
        crashes=lambda: 0,
        span=Range(-20.0, 15.0),
        backlash_um=0.0,
        step_period_s=0.2 / SPEED_UM_PER_S,
    )


def recorded(folder: Path) -> Rig:
    """The virtual one, with all its moves kept."""
    rig = virtual(folder)
    return replace(rig, stage=recording_stage(rig.stage, Unkept()))


class Unkept:
    """A log for what nobody reads."""

    def add(self, event: Event, pixels: NDArray[np.uint8] | None = None) -> None:
        """Drop it."""


RIGS: dict[str, Callable[[Path], Rig]] = {
    "virtual": virtual,
    "replay": replay,
    "recorded": recorded,
}
