"""A recorded stack as camera and stage: time, position, and which slice a frame shows."""

import threading
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from hw.camera import CameraError, CameraStalled
from hw.clock import WallClock
from hw.guard import GuardedStage
from hw.images import ImageError
from hw.replay import FRAME_PERIOD_S, ReplayCamera, ReplayStage
from hw.stack import Slice, Stack, read_stacks
from hw.stage import LimitError, StageFault, StageStopped
from hw.virtual.clock import SimulatedClock

Z_UM = (-20.0, -5.0, 0.0, 0.5, 10.0)


@pytest.fixture
def stack(tmp_path) -> Stack:
    for level, z in enumerate(Z_UM):
        Image.new("RGB", (6, 4), (level, 0, 0)).save(tmp_path / f"f_{z}.png")
    (found,) = read_stacks(tmp_path, um_per_px=0.5)
    return found


def shown_um(frame) -> float:
    return Z_UM[int(frame.pixels[0, 0, 0])]


def bare(*z_um: float) -> Stack:
    return Stack("f", tuple(Slice(z, Path("unread")) for z in sorted(z_um)), 0.5)


def test_a_move_ends_at_the_nearest_slice_and_takes_its_time(stack):
    clock = SimulatedClock(start_s=3.0)
    with ReplayStage(stack, clock, start_um=-18.0) as stage:
        assert stage.position_um == -20.0
        stage.move_to_um(0.2)
        assert stage.position_um == 0.0
        assert clock.now_s() == pytest.approx(3.0 + 20.0 / 100.0)
        assert stage.settled_at_s == clock.now_s()
        stage.move_to_um(-0.1)
        assert clock.now_s() == pytest.approx(3.2)


def test_travel_and_step(stack):
    stage = ReplayStage(stack, SimulatedClock(), 0.0)
    assert (stage.travel.low_um, stage.travel.high_um) == (-20.0, 10.0)
    assert stage.step_um == 0.25  # half of 0.0 to 0.5, the smallest gap
    assert ReplayStage(bare(-0.6, -0.3, 0.0, 0.3), SimulatedClock(), 0.0).step_um == pytest.approx(
        0.3
    )


@given(st.lists(st.integers(-1000, 1000), min_size=2, max_size=8, unique=True), st.data())
def test_every_slice_can_be_reached_in_whole_steps(thousandths, data):
    z_um = [z * 0.013 for z in thousandths]
    stage = ReplayStage(bare(*z_um), SimulatedClock(), data.draw(st.sampled_from(z_um)))
    with (
        GuardedStage(stage, soft_limits=stage.travel, backlash_um=0.0, trusted=True) as guard,
        guard.command(budget_um=1e6),
    ):
        for target_um in data.draw(st.permutations(z_um)):
            guard.move_to_um(target_um)
            assert guard.position_um == target_um


@pytest.mark.parametrize("target_um", [-20.001, 10.001, float("nan"), float("inf")])
def test_outside_the_recording_is_refused(stack, target_um):
    clock = SimulatedClock()
    with ReplayStage(stack, clock, 0.0) as stage:
        with pytest.raises(LimitError, match=r"-20\.0 um to 10\.0 um"):
            stage.move_to_um(target_um)
        assert (stage.position_um, clock.now_s()) == (0.0, 0.0)
    with pytest.raises(LimitError):
        ReplayStage(stack, clock, target_um)


def test_a_stage_must_be_connected(stack):
    stage = ReplayStage(stack, SimulatedClock(), 0.0)
    with pytest.raises(StageFault, match="not connected"):
        stage.move_to_um(10.0)
    with stage:
        pass
    with pytest.raises(StageFault, match="not connected"):
        stage.move_to_um(10.0)


@given(
    st.lists(st.integers(-300, 300), min_size=2, max_size=10, unique=True),
    st.data(),
)
def test_it_always_stands_at_a_slice(z_um, data):
    clock = SimulatedClock()
    inside = st.floats(min(z_um), max(z_um))
    stage = ReplayStage(bare(*map(float, z_um)), clock, data.draw(inside))
    stop_s = data.draw(st.floats(0.0, 3.0))
    clock.at(stop_s, stage.stop)
    target_um = data.draw(inside)
    with stage:
        try:
            stage.move_to_um(target_um)
        except StageStopped:
            assert clock.now_s() <= stop_s + 0.0011
            assert stage.settled_at_s == clock.now_s()
        else:
            assert abs(stage.position_um - target_um) == min(abs(z - target_um) for z in z_um)
        assert stage.position_um in z_um


def test_stop_leaves_it_at_the_slice_it_had_reached():
    clock = SimulatedClock()
    with ReplayStage(bare(*map(float, range(101))), clock, 0.0) as stage:
        clock.at(0.25, stage.stop)
        with pytest.raises(StageStopped, match=r"on the way to 100\.0 um"):
            stage.move_to_um(100.0)
        assert stage.position_um == 25.0
        stage.move_to_um(26.0)  # a stop ends one move, not the next
        assert stage.position_um == 26.0


def test_stop_from_another_thread_in_real_time():
    with ReplayStage(bare(0.0, 1.0, 5000.0), WallClock(), 0.0) as stage:
        stopped = threading.Event()

        def keep_stopping() -> None:
            while not stopped.wait(0.01):
                stage.stop()

        stopper = threading.Thread(target=keep_stopping)
        stopper.start()
        with pytest.raises(StageStopped):  # the whole move would take 50 s
            stage.move_to_um(5000.0)
        stopped.set()
        stopper.join()
        assert stage.position_um in (0.0, 1.0)


def test_frames_come_at_30_hz_and_queue_two_deep(stack):
    clock = SimulatedClock()
    with ReplayCamera(ReplayStage(stack, clock, 0.0)) as camera:
        starts_s = [camera.frame().exposure_start_s for _ in range(3)]
        assert starts_s == pytest.approx([0.0, FRAME_PERIOD_S, 2 * FRAME_PERIOD_S])
        clock.wait_until_s(1.0)  # frame 29 began at 29/30 s and has ended
        queued_s = [camera.frame().exposure_start_s for _ in range(2)]
        assert clock.now_s() == 1.0
        assert queued_s == pytest.approx([28 / 30, 29 / 30])
        assert camera.frame().exposure_start_s == pytest.approx(1.0)


def test_a_queued_frame_is_stale_after_a_move_and_a_fresh_one_is_not(stack):
    clock = SimulatedClock()
    stage = ReplayStage(stack, clock, -20.0)
    with stage, ReplayCamera(stage) as camera:
        stage.move_to_um(0.0)
        stale = camera.frame()
        assert stale.exposure_start_s < stage.settled_at_s
        assert shown_um(stale) == -5.0
        fresh = camera.frame(after_s=stage.settled_at_s)
        assert fresh.exposure_start_s >= stage.settled_at_s
        assert shown_um(fresh) == 0.0


def test_a_frame_shows_where_the_stage_stood_when_its_exposure_began(stack):
    stage = ReplayStage(stack, SimulatedClock(), 0.0)
    with stage, ReplayCamera(stage) as camera:
        stage.move_to_um(0.5)
        frame = camera.frame()
        assert frame.exposure_start_s < stage.settled_at_s < frame.exposure_end_s
        assert shown_um(frame) == 0.0


@given(st.lists(st.sampled_from(Z_UM), min_size=1, max_size=6), st.floats(0.0, 0.2))
def test_a_fresh_frame_always_shows_where_the_stage_is(tmp_path_factory, targets_um, pause_s):
    clock = SimulatedClock()
    stage = ReplayStage(_shared_stack(tmp_path_factory), clock, 0.0)
    with stage, ReplayCamera(stage) as camera:
        for target_um in targets_um:
            clock.wait_until_s(clock.now_s() + pause_s)
            stage.move_to_um(target_um)
            assert shown_um(camera.frame(after_s=stage.settled_at_s)) == target_um


def _shared_stack(tmp_path_factory) -> Stack:
    folder = tmp_path_factory.getbasetemp() / "replay"
    if not folder.exists():
        folder.mkdir()
        for level, z in enumerate(Z_UM):
            Image.new("RGB", (6, 4), (level, 0, 0)).save(folder / f"f_{z}.png")
    return read_stacks(folder, um_per_px=0.5)[0]


def test_a_short_time_out_stalls_at_its_end(stack):
    clock = SimulatedClock()
    with (
        ReplayCamera(ReplayStage(stack, clock, 0.0)) as camera,
        pytest.raises(CameraStalled, match=r"0\.005 s"),
    ):
        camera.frame(after_s=2.0, timeout_s=0.005)
    assert clock.now_s() == 2.005


@pytest.mark.parametrize("after_s", [float("nan"), float("inf")])
def test_after_must_be_a_time(stack, after_s):
    with (
        ReplayCamera(ReplayStage(stack, SimulatedClock(), 0.0)) as camera,
        pytest.raises(ValueError, match="after_s"),
    ):
        camera.frame(after_s=after_s)


def test_the_scale_must_be_known():
    stack = Stack("f", bare(0.0, 1.0).slices, None)
    with pytest.raises(ImageError, match=r"'f'.*--um-per-px"):
        ReplayCamera(ReplayStage(stack, SimulatedClock(), 0.0))


def test_a_damaged_slice_is_a_camera_error(stack):
    stack.slices[2].path.write_bytes(b"")
    with (
        ReplayCamera(ReplayStage(stack, SimulatedClock(), 0.0)) as camera,
        pytest.raises(CameraError, match=r"f_0\.0\.png"),
    ):
        camera.frame()


def test_pixels_are_those_of_the_file(tmp_path):
    pixels = np.random.default_rng(5).integers(0, 256, (7, 5, 3), np.uint8)
    Image.fromarray(pixels).save(tmp_path / "a_0.png")
    Image.new("RGB", (5, 7)).save(tmp_path / "a_1.png")
    (stack,) = read_stacks(tmp_path, um_per_px=0.25)
    with ReplayCamera(ReplayStage(stack, SimulatedClock(), 0.0)) as camera:
        frame = camera.frame()
    assert np.array_equal(frame.pixels, pixels)
    assert frame.um_per_px == 0.25
