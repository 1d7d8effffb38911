"""Fields of the virtual microscope to focus on, each drawn from a seed and its number."""

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum

import numpy as np

from hw.guard import GuardedStage
from hw.stage import Range, StageDriver
from hw.virtual.clock import SimulatedClock
from hw.virtual.mechanics import MechanicsSettings
from hw.virtual.microscope import MicroscopeSettings, VirtualMicroscope
from hw.virtual.specimen import Specimen
from hw.virtual.stage import VirtualStage
from hw.virtual.truth import Truth

START_UM = 12.0
KIND_SHARE = {"tissue": 0.5, "smear": 0.3, "sparse": 0.2}
BACKLASHES_UM = (0.5, 2.5, 5.0)
DRIFTS_UM_PER_S = (0.0, 0.05, -0.05)

ROOM_UM = 60.0
"""Soft limits, to either side of where the stage starts."""

_DENSE, _SPARSE = 0.05, 0.015
"""Content, as `hw.virtual.specimen` measures it, of a dense field and of a sparse one, at least."""


class FieldClass(StrEnum):
    """How much there is in a field to focus on."""

    DENSE = "dense"
    SPARSE = "sparse"
    NEARLY_EMPTY = "nearly empty"
    EMPTY = "empty"


@dataclass(frozen=True, slots=True)
class Field:
    """A field, where the stage starts, and how its gears are: all that methods have in common."""

    number: int
    seed: int
    kind: str
    start_um: float
    backlash_um: float
    drift_um_per_s: float


def draw_field(seed: int, number: int, *, empty: bool = False) -> Field:
    """Return field `number` of a seed; an `empty` one is clear glass."""
    rng = np.random.default_rng([seed, number, 43])
    kind = str(rng.choice(list(KIND_SHARE), p=list(KIND_SHARE.values())))
    return Field(
        number=number,
        seed=int(rng.integers(2**31)),
        kind="empty" if empty else kind,
        start_um=float(rng.uniform(-START_UM, START_UM)),
        backlash_um=float(rng.choice(BACKLASHES_UM)),
        drift_um_per_s=float(rng.choice(DRIFTS_UM_PER_S)),
    )


class Scope:
    """A microscope before a field, fresh: clock at 0, stage at the field's start."""

    def __init__(
        self,
        field: Field,
        specimen: Specimen | None = None,
        stops: Range | None = None,
        wrapped: Callable[[VirtualStage, SimulatedClock], StageDriver] = lambda stage, _: stage,
    ) -> None:
        """`specimen` saves drawing the field's own once more; `stops` are where the axis ends.

        `wrapped` may put something between the motor and its guard.
        """
        mechanics = MechanicsSettings(
            backlash_um=field.backlash_um, drift_um_per_s=field.drift_um_per_s
        )
        if stops is not None:
            places = {"low_stop_um": stops.low_um, "high_stop_um": stops.high_um}
            mechanics = mechanics.model_copy(update=places)
        self.clock = SimulatedClock()
        self.microscope = VirtualMicroscope(
            self.clock,
            field.seed,
            kind=field.kind,
            defocus_um=field.start_um,
            specimen=specimen,
            settings=MicroscopeSettings(mechanics=mechanics),
        )
        self.truth = Truth(self.microscope, self.clock)
        here_um = self.microscope.stage.position_um
        self.stage = GuardedStage(
            wrapped(self.microscope.stage, self.clock),
            soft_limits=Range(here_um - ROOM_UM, here_um + ROOM_UM),
            backlash_um=self.microscope.backlash_um,
            trusted=True,
        )

    @property
    def field_class(self) -> FieldClass:
        """What class the field is of."""
        if self.truth.empty:
            return FieldClass.EMPTY
        if self.truth.content < _SPARSE:
            return FieldClass.NEARLY_EMPTY
        return FieldClass.SPARSE if self.truth.content < _DENSE else FieldClass.DENSE
