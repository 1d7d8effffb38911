"""Calibration of microscopes that need no hardware, and how near it came to their hidden truth."""

from dataclasses import dataclass

import numpy as np

from edge_af.calibrating import Axis, Calibrated, calibrate
from edge_af.instrument import Instrument
from edge_af.model_file import ModelFile
from edge_af.settings import FocusSettings
from hw.axis import AxisSettings
from hw.guard import GuardedStage
from hw.stage import Range
from hw.virtual.clock import SimulatedClock
from hw.virtual.mechanics import MechanicsSettings
from hw.virtual.microscope import MicroscopeSettings, VirtualMicroscope
from hw.virtual.stage import VirtualStage
from hw.virtual.truth import Truth

TOLD = Axis(step_um=0.1, reversed=False)
"""What every random microscope is configured as."""

KIND = "smear"
"""A thin specimen with plenty of detail is what one calibrates on."""

START_UM = 10.0
_MOVED_BY_HAND_UM = 3.0
"""How far from focus another field may be once the first was in focus."""

_ANYWHERE_UM = 1e5
_CAUTIOUS_S = 0.1
"""The settle time that the axis is told before it is known."""


@dataclass(frozen=True, slots=True)
class Hidden:
    """What a random microscope is really like."""

    step_um: float
    reversed: bool
    backlash_um: float
    settle_s: float


def random_mechanics(rng: np.random.Generator) -> MechanicsSettings:
    """Draw either direction, 0.02 to 0.5 um a step (evenly in its logarithm), backlash to 8 um."""
    return MechanicsSettings(
        step_um=float(np.exp(rng.uniform(np.log(0.02), np.log(0.5)))),
        reversed=bool(rng.integers(2)),
        backlash_um=float(rng.uniform(0, 8)),
        drift_um_per_s=float(rng.choice([-0.05, 0.05])),
    )


class VirtualBench:
    """One random microscope, and one field after another under it."""

    def __init__(
        self,
        model: ModelFile | None,
        seed: int,
        *,
        kind: str = KIND,
        mechanics: MechanicsSettings | None = None,
        settings: FocusSettings | None = None,
    ) -> None:
        """Draw the microscope from `seed`, or take its `mechanics` as given."""
        self._rng = np.random.default_rng([seed, 43])
        drawn = random_mechanics(self._rng)
        self._mechanics = mechanics or drawn
        self._model = model
        self._kind = kind
        self._settings = settings or FocusSettings.checked()
        self._clock = SimulatedClock()
        self._place(float(self._rng.uniform(-START_UM, START_UM)))

    @property
    def hidden(self) -> Hidden:
        """The truth, for comparison alone."""
        mechanics = self._mechanics
        return Hidden(
            mechanics.step_um, mechanics.reversed, mechanics.backlash_um, mechanics.settle_s
        )

    @property
    def truth(self) -> Truth:
        """The hidden truth of the field in view."""
        return Truth(self._microscope, self._clock)

    def next_field(self, number: int) -> None:  # noqa: ARG002
        """Bring another field into view, as a hand on the slide would."""
        self._place(float(self._rng.uniform(-_MOVED_BY_HAND_UM, _MOVED_BY_HAND_UM)))

    def open(self, axis: Axis) -> Instrument:
        """Return the instrument, whose axis is told this; see `edge_af.calibrating.Opener`."""
        microscope = self._microscope
        told = AxisSettings(
            step_um=axis.step_um,
            reversed=axis.reversed,
            travel_low_um=-_ANYWHERE_UM,
            travel_high_um=_ANYWHERE_UM,
            settle_s=_CAUTIOUS_S,
        )
        stage = GuardedStage(
            VirtualStage(microscope.scene.mechanics, self._clock, told),
            soft_limits=Range(-_ANYWHERE_UM, _ANYWHERE_UM),
            backlash_um=0.0,
        )
        instrument = Instrument(microscope.camera, stage, self._clock, self._settings)
        if self._model is not None:
            instrument.use_model(self._model, microscope.frame_px)
        return instrument

    def _place(self, defocus_um: float) -> None:
        self._microscope = VirtualMicroscope(
            self._clock,
            int(self._rng.integers(2**31)),
            kind=self._kind,
            defocus_um=defocus_um,
            settings=MicroscopeSettings(mechanics=self._mechanics),
        )


def calibrate_virtual(bench: VirtualBench, fields: int, told: Axis = TOLD) -> Calibrated:
    """Calibrate a virtual microscope that is configured as `told`."""
    return calibrate(bench.open, told, bench.next_field, fields)
