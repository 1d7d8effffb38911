from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest

from hw.camera import CameraStalled
from hw.virtual.camera import CameraTiming
from hw.virtual.clock import SimulatedClock
from hw.virtual.mechanics import MechanicsSettings
from hw.virtual.microscope import MicroscopeSettings, VirtualMicroscope
from hw.virtual.procedural import KINDS, draw_specimen
from hw.virtual.sensor import SensorSettings
from hw.virtual.truth import Truth

FRAME_PX = (128, 160)
REFERENCE = MicroscopeSettings(frame_px=FRAME_PX)
STILL = MechanicsSettings(
    drift_um_per_s=0, play_um=0, ring_um=0, low_stop_um=-130, high_stop_um=130
)
QUIET = MicroscopeSettings(
    frame_px=FRAME_PX,
    mechanics=STILL,
    sensor=SensorSettings(full_well_e=1e15, read_noise_e=0.0),
)


class Bench:
    """A microscope with its clock and its truth, connected."""

    def __init__(self, seed=1, defocus_um=0.0, settings=REFERENCE, **kwargs):
        self.clock = SimulatedClock()
        microscope = VirtualMicroscope(
            self.clock, seed, defocus_um=defocus_um, settings=settings, **kwargs
        )
        self.microscope = microscope
        self.truth = Truth(microscope, self.clock)
        self.camera, self.stage = microscope.camera.__enter__(), microscope.stage.__enter__()

    def fresh(self):
        return self.camera.frame(after_s=max(self.stage.settled_at_s, self.clock.now_s()))

    def wait(self, wait_s):
        self.clock.wait_until_s(self.clock.now_s() + wait_s)


def far_apart(one, other):
    """Mean absolute difference in grey levels."""
    return float(np.abs(one.astype(float) - other).mean())


def session(seed):
    """Look, move, look on: all that two equal microscopes must agree in."""
    bench = Bench(seed, defocus_um=3.0)
    frames = [bench.camera.frame() for _ in range(2)]
    bench.stage.move_to_um(bench.stage.position_um - 4.0)
    frames += [bench.camera.frame() for _ in range(3)]
    frames.append(bench.fresh())
    return frames, bench.truth.defocus_um


# Seeds


def test_the_same_seed_gives_the_same_pixels_times_and_motion():
    (frames, end_um), (again, end_again_um) = session(1), session(1)
    for one, other in zip(frames, again, strict=True):
        assert np.array_equal(one.pixels, other.pixels)
        assert one.exposure_start_s == other.exposure_start_s
    assert end_um == end_again_um


def test_another_seed_gives_another_field():
    (frames, _), (others, _) = session(1), session(2)
    assert far_apart(frames[0].pixels, others[0].pixels) > 5


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_can_be_looked_at(kind):
    bench = Bench(kind=kind)
    assert bench.camera.frame().pixels.shape == (*FRAME_PX, 3)
    assert bench.truth.empty is (kind == "empty")


def test_a_given_specimen_takes_the_place_of_a_drawn_one():
    specimen = draw_specimen(9, "smear", (130, 150))
    bench = Bench(specimen=specimen)
    assert bench.microscope.frame_px == (130, 150)
    assert bench.camera.frame().pixels.shape == (130, 150, 3)


# Truth


@pytest.mark.parametrize("defocus_um", [-12.0, 0.0, 7.3])
def test_it_starts_as_far_out_of_focus_as_asked(defocus_um):
    bench = Bench(defocus_um=defocus_um)
    assert bench.truth.defocus_um == pytest.approx(defocus_um, abs=1e-9)
    assert bench.truth.crashes == bench.truth.missed_steps == 0


@pytest.mark.parametrize("move_um", [9.0, -9.0])
def test_a_frame_shows_the_true_defocus_and_nothing_else(move_um):
    moved = Bench(defocus_um=-2.0, settings=QUIET)
    moved.stage.move_to_um(moved.stage.position_um + move_um)
    moved.wait(0.1)
    defocus_um = moved.truth.defocus_um
    assert defocus_um != pytest.approx(-2.0, abs=5)
    assert np.sign(defocus_um + 2.0) == np.sign(move_um)
    never_moved = Bench(defocus_um=defocus_um, settings=QUIET)
    assert np.array_equal(moved.fresh().pixels, never_moved.fresh().pixels)


def test_the_picture_is_sharpest_at_no_defocus():
    def detail(defocus_um):
        green = Bench(seed=4, defocus_um=defocus_um, settings=QUIET).fresh().pixels[:, :, 1]
        return float((np.diff(green.astype(float), axis=1) ** 2).mean())

    z_um = np.arange(-4.0, 4.1, 0.5)
    assert abs(z_um[np.argmax([detail(z) for z in z_um])]) <= 0.5


# Motion


def test_a_frame_taken_in_motion_shows_where_the_axis_was_for_each_row():
    mechanics = STILL.model_copy(update={"backlash_um": 0.0})
    settings = replace(QUIET, mechanics=mechanics)
    bench = Bench(defocus_um=1.0, settings=settings)
    start_um = bench.stage.position_um
    bench.stage.move_to_um(start_um + 10.0)  # 0.1 um a ms
    bench.wait(0.1)
    # Of the frames in the queue, one that the whole of the exposure spent moving.
    frames = [bench.camera.frame() for _ in range(3)]
    frame = next(f for f in frames if 0.01 < f.exposure_start_s < 0.07)
    timing = settings.timing
    thirds = {"top": slice(0, 32), "bottom": slice(96, 128)}
    for name, rows in thirds.items():
        middle_row = (rows.start + rows.stop) / 2 / FRAME_PX[0]
        at_s = frame.exposure_start_s + timing.readout_s * middle_row + timing.exposure_s / 2
        there_um = float(bench.microscope.scene.defocus_um(at_s))
        distance = {}
        for offset_um in (-2.0, -1.0, 0.0, 1.0, 2.0):
            still = Bench(defocus_um=there_um + offset_um, settings=settings).fresh().pixels
            distance[offset_um] = far_apart(frame.pixels[rows], still[rows])
        assert min(distance, key=distance.__getitem__) == 0.0, name


def test_motion_blurs():
    mechanics = STILL.model_copy(update={"top_speed_steps_per_s": 10_000.0, "backlash_um": 0.0})
    # A global shutter open all along a fast sweep, to and fro through focus.
    timing = CameraTiming(exposure_s=0.03, readout_s=0.0)
    bench = Bench(defocus_um=0.0, settings=replace(QUIET, mechanics=mechanics, timing=timing))
    sharp = bench.fresh().pixels.astype(float)
    position_um = bench.stage.position_um
    for _ in range(4):
        bench.stage.move_to_um(position_um + 10.0)
        bench.stage.move_to_um(position_um)
    moving = bench.camera.frame().pixels.astype(float)
    assert np.diff(moving, axis=1).std() < 0.8 * np.diff(sharp, axis=1).std()


def test_thermal_drift_is_seen():
    mechanics = STILL.model_copy(update={"drift_um_per_s": 0.05, "drift_decay_s": 120.0})
    drifting, still = (
        Bench(settings=replace(QUIET, mechanics=each)) for each in (mechanics, STILL)
    )
    first = {bench: bench.fresh().pixels for bench in (drifting, still)}
    for bench in (drifting, still):
        bench.wait(60.0)
    expected_um = 0.05 * 120 * (1 - np.exp(-60 / 120))
    assert drifting.truth.defocus_um == pytest.approx(expected_um, abs=0.02)
    assert still.truth.defocus_um == pytest.approx(0, abs=1e-9)
    assert far_apart(drifting.fresh().pixels, first[drifting]) > 1
    assert np.array_equal(still.fresh().pixels, first[still])


def test_a_crash_is_recorded_and_goes_no_further():
    bench = Bench(settings=QUIET)
    stop_um = STILL.high_stop_um
    bench.stage.move_to_um(bench.stage.travel.high_um + 20.0)  # no guard
    assert bench.truth.crashes == 1
    axis_um = bench.truth.defocus_um + bench.microscope.scene.focus_um
    assert stop_um - 2 * STILL.step_um <= axis_um <= stop_um
    assert bench.stage.position_um > stop_um  # the count does not know


def test_missed_steps_are_counted():
    mechanics = STILL.model_copy(update={"missed_step_probability": 0.1, "backlash_um": 0.0})
    bench = Bench(settings=replace(QUIET, mechanics=mechanics))
    bench.stage.move_to_um(bench.stage.position_um + 20.0)
    assert 5 <= bench.truth.missed_steps <= 40
    made_steps = 200 - bench.truth.missed_steps
    assert bench.truth.defocus_um == pytest.approx(0.1 * made_steps, abs=1e-6)


# The queue


def test_frames_follow_at_the_frame_rate_each_delivered_after_its_latency():
    bench = Bench()
    frames, delivered_s = [], []
    for _ in range(5):
        frames.append(bench.camera.frame())
        delivered_s.append(bench.clock.now_s())
    for one, following in pairwise(frames):
        assert following.exposure_start_s - one.exposure_start_s == pytest.approx(1 / 30)
    for frame, at_s in zip(frames, delivered_s, strict=True):
        assert at_s - frame.exposure_start_s == pytest.approx(0.1)
        assert frame.exposure_end_s - frame.exposure_start_s == pytest.approx(0.026)


def test_a_slow_reader_gets_the_queue_and_then_the_present():
    bench = Bench()
    bench.camera.frame()
    bench.wait(5.0)
    age_s = []
    for _ in range(5):
        frame = bench.camera.frame()
        age_s.append(bench.clock.now_s() - frame.exposure_start_s)
    # Three had waited: delivery takes 0.1 s, and the oldest came up to three periods ago.
    assert 0.1 + 2 / 30 <= age_s[0] + 1e-9 <= 0.1 + 3 / 30 + 1e-6
    assert age_s == sorted(age_s, reverse=True)
    assert age_s[3] == age_s[4] == pytest.approx(0.1)


def test_a_stale_frame_shows_the_old_place_and_a_fresh_one_the_new():
    bench = Bench(defocus_um=0.0, settings=QUIET)
    before = bench.fresh().pixels
    bench.wait(1.0)
    bench.stage.move_to_um(bench.stage.position_um + 15.0)
    arrived_s = bench.clock.now_s()
    stale, fresh = bench.camera.frame(), bench.fresh()
    assert stale.exposure_start_s < arrived_s <= fresh.exposure_start_s
    assert far_apart(fresh.pixels, before) > 2 * far_apart(stale.pixels, before)


def test_a_stall_says_how_long_it_waited():
    bench = Bench()
    asked_s = bench.clock.now_s() + 1.0
    with pytest.raises(CameraStalled, match=r"0\.05 s"):
        bench.camera.frame(after_s=asked_s, timeout_s=0.05)
    assert bench.clock.now_s() == pytest.approx(asked_s + 0.05)
