"""A virtual microscope through a working day: it drifts, shakes, and other specimens come."""

from dataclasses import dataclass, field

import numpy as np

from hw.guard import GuardedStage
from hw.stage import Range
from hw.virtual.camera import CameraTiming, VirtualCamera
from hw.virtual.clock import SimulatedClock
from hw.virtual.imaging import transmission
from hw.virtual.mechanics import Mechanics, MechanicsSettings
from hw.virtual.optics import Optics, OtfBank
from hw.virtual.procedural import draw_specimen
from hw.virtual.sensor import Sensor, SensorSettings
from hw.virtual.specimen import Specimen
from hw.virtual.stage import VirtualStage

_SLOW_UM, _SLOW_S = 6.0, 3 * 3600.0
_FAST_UM, _FAST_S = 1.5, 1500.0
_SHAKES_UM = 0.05
BIAS_UM = 0.05
"""How far what an observer says of a field is off for all of its frames, 1 sigma. No tracking can
do better than its observer."""
_KINDS = ("tissue", "smear", "sparse")


@dataclass(frozen=True)
class Visit:
    """A specimen from `start_s` on, in focus at `focus_um`, but for the drift."""

    start_s: float
    kind: str
    seed: int
    focus_um: float
    bias_um: float

    @property
    def empty(self):
        return self.kind == "empty"


@dataclass
class World:
    """What is before the objective, as `hw.virtual.scene.Scene`, but it changes with time."""

    mechanics: Mechanics
    bank: OtfBank
    visits: list[Visit]
    clock: SimulatedClock
    rng: np.random.Generator = field(default_factory=lambda: np.random.default_rng(7))
    _drawn: tuple[Visit, Specimen] | None = None

    def visit(self, time_s):
        return next(visit for visit in reversed(self.visits) if visit.start_s <= time_s)

    @property
    def specimen(self):
        return self.specimen_at(self.clock.now_s())

    def specimen_at(self, time_s):
        visit = self.visit(time_s)
        if self._drawn is None or self._drawn[0] is not visit:
            shape_px, um_per_px = self.bank.shape_px, self.bank.optics.um_per_px
            self._drawn = visit, draw_specimen(visit.seed, visit.kind, shape_px, um_per_px)
        return self._drawn[1]

    def drift_um(self, times_s):
        """A room's temperature and its heating: up to 35 um an hour."""
        slow = _SLOW_UM * np.sin(2 * np.pi * np.asarray(times_s) / _SLOW_S)
        return slow + _FAST_UM * np.sin(2 * np.pi * np.asarray(times_s) / _FAST_S)

    def defocus_um(self, times_s):
        """Without the shaking, which no correction could follow."""
        visit = self.visit(float(np.min(times_s)))
        return self.mechanics.position_um(times_s) - visit.focus_um - self.drift_um(times_s)

    def light(self, times_s):
        shaken_um = self.defocus_um(times_s) + self.rng.normal(0, _SHAKES_UM)
        return transmission(self.specimen_at(float(times_s[0])), self.bank, shaken_um)


class LivingRig:
    """`hours` on one microscope. Every specimen is in view for 10 to 20 minutes."""

    def __init__(self, hours, seed=1, frame_px=(192, 192)):
        self.clock = SimulatedClock()
        rng = np.random.default_rng([seed, 99])
        # Its own drift is that of the first minutes after a start.
        mechanics = Mechanics(MechanicsSettings(drift_um_per_s=0.02), seed, start_um=0.0)
        self.world = World(
            mechanics, OtfBank(Optics(), frame_px, cached=300), _visits(hours, rng), self.clock
        )
        sensor = Sensor(SensorSettings(), frame_px, seed)
        self.camera = VirtualCamera(self.world, sensor, CameraTiming(), self.clock)
        self.guard = GuardedStage(
            VirtualStage(mechanics, self.clock),
            soft_limits=Range(-60, 60),
            backlash_um=2.5,
            trusted=True,
        )


def _visits(hours, rng):
    visits, start_s = [], 0.0
    while start_s < hours * 3600:
        empty = bool(visits) and rng.random() < 0.2
        visits.append(
            Visit(
                start_s,
                "empty" if empty else str(rng.choice(_KINDS)),
                int(rng.integers(2**31)),
                float(rng.uniform(-6, 6)) if visits else 1.0,
                float(rng.normal(0, BIAS_UM)),
            )
        )
        start_s += rng.uniform(600, 1200)
    return visits
