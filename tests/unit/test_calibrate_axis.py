"""The whole procedure on virtual mechanics, with an observer that knows the truth, or lies."""

from contextlib import contextmanager

import numpy as np
import pytest
from oracle import Oracle

from edge_af.calibrating import Axis, calibrate
from edge_af.calibration import CalibrationError
from edge_af.classifier import Abstained
from edge_af.demo_calibrate import random_mechanics
from edge_af.routines import calibrate as routine
from edge_af.routines.ports import Desk, View
from edge_af.settings import FocusSettings
from hw.axis import AxisSettings
from hw.guard import GuardedStage
from hw.stage import Range
from hw.virtual.clock import SimulatedClock
from hw.virtual.mechanics import MechanicsSettings
from hw.virtual.microscope import MicroscopeSettings, VirtualMicroscope
from hw.virtual.stage import VirtualStage
from hw.virtual.truth import Truth

FRAME_PX = (128, 128)
TOLD = Axis(step_um=0.1, reversed=False)
REACH = {"travel_low_um": -1e5, "travel_high_um": 1e5}


class Bed:
    """A microscope on which calibration can be tried; one field, small and so fast to render."""

    def __init__(self, seed, *, mechanics=None, defocus_um=None, tells=None, model=True):
        rng = np.random.default_rng([seed, 7])
        drawn = random_mechanics(rng)
        self.mechanics = mechanics or drawn
        drawn_um = float(rng.uniform(-10, 10))
        self.clock = SimulatedClock()
        self.microscope = VirtualMicroscope(
            self.clock,
            seed,
            kind="smear",
            defocus_um=drawn_um if defocus_um is None else defocus_um,
            settings=MicroscopeSettings(frame_px=FRAME_PX, mechanics=self.mechanics),
        )
        self.scene = self.microscope.scene
        self.truth = Truth(self.microscope, self.clock)
        noise = np.random.default_rng([seed, 8])
        self.observer = (
            Oracle(self, tells or (lambda um: um + noise.normal(0, 0.15)), 0.3) if model else None
        )
        self.backlash_um = 0.0
        self.passes_um: list[list[float]] = []
        """The true defocus at each look of each pass."""
        self.driver: VirtualStage | None = None

    @contextmanager
    def open(self, axis):
        told = AxisSettings(step_um=axis.step_um, reversed=axis.reversed, **REACH)
        self.driver = VirtualStage(self.scene.mechanics, self.clock, told)
        guard = GuardedStage(
            self.driver, soft_limits=Range(-1e5, 1e5), backlash_um=self.backlash_um
        )
        settings = FocusSettings()
        with (
            guard,
            self.microscope.camera as camera,
            guard.command(budget_um=settings.travel_budget_um),
        ):
            self.passes_um.append([])
            desk = Desk(View(camera, guard, self.clock, 2.0), guard, settings)
            yield Pass(self, routine.Bench(desk, camera, self.clock))

    def calibrate(self, fields=1):
        return calibrate(self.open, TOLD, lambda _: None, fields)


class Pass:
    def __init__(self, bed, bench):
        self.bed, self.bench = bed, bench

    def calibrate(self, *, known):
        return routine.calibrate(self.bench, self.bed.observer and Watched(self.bed), known)


class Watched:
    """The bed's observer; notes where the axis is when it is asked."""

    def __init__(self, bed):
        self.bed, self.scale = bed, bed.observer.scale

    def look(self, frame):
        self.bed.passes_um[-1].append(self.bed.truth.defocus_um)
        return self.bed.observer.look(frame)


def close(calibration, mechanics):
    """Tell whether step and backlash are as near to the truth as they must be."""
    step = calibration.step_um.value / mechanics.step_um
    off_um = abs(calibration.backlash_um.value - mechanics.backlash_um)
    return abs(step - 1) <= 0.03 and off_um <= max(0.5, 0.15 * mechanics.backlash_um)


@pytest.mark.parametrize(
    "seed", [0, 1, *(pytest.param(seed, marks=pytest.mark.slow) for seed in range(2, 50))]
)
def test_random_axes_are_found_out(seed):
    bed = Bed(seed)
    found = bed.calibrate().calibration
    assert found.reversed is bed.mechanics.reversed
    assert close(found, bed.mechanics), (found, bed.mechanics)
    assert found.method == "model"
    assert abs(bed.truth.defocus_um) <= 1.0
    assert bed.truth.crashes == 0


def first_motion_um(places_um):
    """Return how far the axis had gone at the look that could first tell that it moves."""
    return next(away for away in np.abs(np.subtract(places_um, places_um[0])) if away > 1.5)


# In the middle one the axis leaves sight, and comes back with the last move that it may make.
QUICK = [(0.02, False, 8.0, 10.0), (0.02, False, 8.0, -10.0), (0.5, True, 8.0, -10.0)]
CORNERS = [
    (step_um, way, backlash_um, start_um)
    for step_um in (0.02, 0.5)
    for way in (False, True)
    for backlash_um, start_um in ((0.0, 10.0), (8.0, -10.0), (8.0, 10.0))
]


@pytest.mark.parametrize(
    ("step_um", "way", "backlash_um", "start_um"),
    [
        pytest.param(*corner, marks=() if corner in QUICK else pytest.mark.slow)
        for corner in CORNERS
    ],
)
def test_the_worst_of_axes_is_found_out_by_small_moves(step_um, way, backlash_um, start_um):
    mechanics = MechanicsSettings(step_um=step_um, reversed=way, backlash_um=backlash_um)

    def tells(um):
        return um if abs(um) < 11 else Abstained.UNCERTAIN

    bed = Bed(3, mechanics=mechanics, defocus_um=start_um, tells=tells)
    found = bed.calibrate().calibration
    assert found.reversed is way
    assert close(found, mechanics), found
    # Nothing is known at first: the axis must not go far, and never much further from focus.
    assert first_motion_um(bed.passes_um[0]) <= 6
    assert max(np.abs(bed.passes_um[0])) <= 10 + 8
    assert bed.truth.crashes == 0


def test_the_offset_is_where_it_is_sharpest_by_the_model():
    bed = Bed(2, defocus_um=1.0, tells=lambda um: um + 0.8)
    assert bed.calibrate().calibration.focus_offset_um.value == pytest.approx(0.8, abs=0.3)


def test_more_fields_make_a_more_certain_step_and_are_asked_for_in_between():
    bed, asked = Bed(4), []
    three = calibrate(bed.open, TOLD, asked.append, 3)
    assert asked == [1, 2]
    assert len(three.fields) == 3
    axis, first = three.fields[0]
    alone_um = first.scale.scaled(axis.step_um)
    assert three.calibration.step_um.uncertainty < 0.7 * alone_um.uncertainty
    assert close(three.calibration, bed.mechanics)


@pytest.mark.parametrize("seed", range(0, 4, 2))
def test_by_sharpness_alone_backlash_is_found_and_direction_is_not(seed):
    mechanics = MechanicsSettings(step_um=0.1, backlash_um=2.0 * seed, drift_um_per_s=0.05)
    bed = Bed(seed, mechanics=mechanics, defocus_um=4.0 - 2.0 * seed, model=False)
    found = bed.calibrate().calibration
    assert (found.method, found.reversed, found.step_um, found.focus_offset_um) == (
        "sharpness",
        None,
        None,
        None,
    )
    off_um = abs(found.backlash_um.value - mechanics.backlash_um)
    assert off_um <= max(0.5, 0.15 * mechanics.backlash_um)
    assert abs(bed.truth.defocus_um) <= 1.0


def test_by_sharpness_an_axis_that_runs_backwards_shows_the_same_backlash():
    mechanics = MechanicsSettings(reversed=True, backlash_um=3.0)
    found = Bed(1, mechanics=mechanics, defocus_um=2.0, model=False).calibrate().calibration
    assert found.backlash_um.value == pytest.approx(3.0, abs=0.5)


def test_a_field_that_holds_nothing_is_refused_before_any_move():
    bed = Bed(1, tells=lambda _: Abstained.EMPTY)
    with pytest.raises(CalibrationError, match="field is empty"):
        bed.calibrate()
    assert len(bed.passes_um[0]) == 1


def test_a_model_that_never_answers_is_refused():
    bed = Bed(1, tells=lambda _: Abstained.UNFAMILIAR)
    with pytest.raises(CalibrationError, match="makes nothing of this field"):
        bed.calibrate()


def test_a_motor_that_does_not_move_the_axis_is_refused():
    # Said of whatever is seen: in focus, always.
    bed = Bed(1, tells=lambda _: 0.3)
    with pytest.raises(CalibrationError, match="check the motor"):
        bed.calibrate()


def test_readings_that_have_nothing_to_do_with_the_moves_are_refused():
    rng = np.random.default_rng(5)
    bed = Bed(1, tells=lambda _: rng.uniform(-8, 8))
    with pytest.raises(CalibrationError):
        bed.calibrate()


def test_a_guard_that_arrives_from_one_side_only_is_refused():
    bed = Bed(1)
    bed.backlash_um = 2.0
    with pytest.raises(CalibrationError, match="backlash_um = 0"):
        bed.calibrate()
