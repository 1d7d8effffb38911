"""A virtual microscope behind the guard, and an observer that knows its hidden truth."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from itertools import count
from math import erf, sqrt

import numpy as np

from edge_af.classifier import Abstained, Sight
from edge_af.place import Place
from edge_af.routines.ports import Desk, View
from edge_af.scale import DefocusScale
from edge_af.settings import FocusSettings
from hw.guard import GuardedStage
from hw.stage import Range
from hw.virtual.clock import SimulatedClock
from hw.virtual.mechanics import MechanicsSettings
from hw.virtual.microscope import MicroscopeSettings, VirtualMicroscope
from hw.virtual.truth import Truth

FRAME_PX = (192, 192)
MODEL_FRAME_PX = (256, 256)
"""One tile of the model that ships."""


class Rig:
    """One field, small and so fast to render. `driver` is what the guard alone may touch."""

    def __init__(
        self,
        *,
        seed=1,
        kind="tissue",
        defocus_um=5.0,
        limits=Range(-60.0, 60.0),
        clock=None,
        frame_px=FRAME_PX,
        **mechanics,
    ):
        """`limits` are soft limits, as offsets from where the stage starts."""
        self.clock = clock or SimulatedClock()
        self.microscope = VirtualMicroscope(
            self.clock,
            seed,
            kind=kind,
            defocus_um=defocus_um,
            settings=MicroscopeSettings(
                frame_px=frame_px, mechanics=MechanicsSettings(**mechanics)
            ),
        )
        self.scene = self.microscope.scene
        self.truth = Truth(self.microscope, self.clock)
        self.camera = self.microscope.camera
        self.driver = self.microscope.stage
        self.start_um = self.driver.position_um
        self.guard = GuardedStage(
            self.driver,
            soft_limits=Range(self.start_um + limits.low_um, self.start_um + limits.high_um),
            backlash_um=self.microscope.backlash_um,
            trusted=True,
        )

    @property
    def moved_um(self):
        """How far the counted position is from where it started."""
        return self.guard.position_um - self.start_um

    @contextmanager
    def desk(self, settings=FocusSettings()) -> Iterator[Desk]:
        with self.guard, self.camera, self.guard.command(budget_um=settings.travel_budget_um):
            view = View(self.camera, self.guard, self.clock, settings.frame_timeout_s)
            yield Desk(view, self.guard, settings)

    def engage(self):
        """Take up the backlash without changing the count, so that axis and count agree."""
        with self.guard, self.guard.command(budget_um=100):
            self.guard.move_to_um(self.start_um + self.guard.step_um)
            self.guard.move_to_um(self.start_um)


class Oracle:
    """Says what `tells` makes of the true defocus, in um, at the middle of the exposure."""

    def __init__(
        self,
        rig: Rig,
        tells: Callable[[float], float | Abstained] = lambda defocus_um: defocus_um,
        sigma_um: float = 0.1,
    ):
        self.scale = DefocusScale.paper41()
        self._rig = rig
        self._tells = tells
        self._sigma_um = sigma_um

    def look(self, frame) -> Sight:
        middle_s = (frame.exposure_start_s + frame.exposure_end_s) / 2
        said = self._tells(float(self._rig.scene.defocus_um(middle_s)))
        if isinstance(said, Abstained):
            return Sight(None, said, 0)
        ends_um = self.scale.centres_um[self.scale.ascending[[0, -1]]]
        place = Place(float(np.clip(said, *ends_um)), self._sigma_um)
        return Sight(gaussian(self.scale, said, self._sigma_um), None, 1, place=place)


def gaussian(scale: DefocusScale, mean_um: float, sigma_um: float):
    """The share of a normal distribution in each bin; the end bins take what lies beyond."""
    ends = scale.range

    def below(edge_um):
        if edge_um in (ends.low_um, ends.high_um):
            return float(edge_um == ends.high_um)
        return 0.5 + 0.5 * erf((edge_um - mean_um) / (sigma_um * sqrt(2)))

    return np.array([below(high_um) - below(low_um) for low_um, high_um in scale.bins_um])


class Tampered:
    """A real camera whose frames, or times, are changed on their way."""

    def __init__(self, camera, change):
        """`change` is called with the inner camera and the arguments of `frame`."""
        self._camera = camera
        self._change = change
        self.um_per_px = camera.um_per_px

    def frame(self, after_s=float("-inf"), timeout_s=2.0):
        return self._change(self._camera, after_s, timeout_s)

    def __enter__(self):
        self._camera.__enter__()
        return self

    def __exit__(self, *failure):
        self._camera.__exit__(*failure)


def painted(level, after_frames=0):
    """Return a change for Tampered: frames of one grey level, once some have been let through."""
    number = count()

    def frame(camera, after_s, timeout_s):
        frame = camera.frame(after_s, timeout_s)
        if next(number) < after_frames:
            return frame
        return replace(frame, pixels=np.full_like(frame.pixels, level))

    return frame
