"""What every camera must do, whatever is behind it."""

from itertools import pairwise

import numpy as np
import pytest
from cameras import CAMERAS, Rig

from hw.camera import CameraError, CameraStalled, Frame


@pytest.fixture(params=CAMERAS)
def rig(request, tmp_path) -> Rig:
    return CAMERAS[request.param](tmp_path)


def difference(one: Frame, other: Frame) -> float:
    """Mean absolute difference in grey levels."""
    return float(np.abs(one.pixels.astype(float) - other.pixels).mean())


def test_a_frame_is_rgb_8_bit_and_read_only(rig):
    with rig.stage, rig.camera as camera:
        pixels = camera.frame().pixels
    assert pixels.dtype == np.uint8
    assert pixels.ndim == 3
    assert pixels.shape[2] == 3
    with pytest.raises(ValueError, match="read-only"):
        pixels[0, 0, 0] = 1


def test_all_frames_have_one_shape_and_scale(rig):
    with rig.stage, rig.camera as camera:
        frames = [camera.frame() for _ in range(3)]
    assert len({frame.pixels.shape for frame in frames}) == 1
    assert {frame.um_per_px for frame in frames} == {camera.um_per_px}
    assert camera.um_per_px > 0


def test_exposures_end_after_they_begin_follow_on_and_are_past(rig):
    with rig.stage, rig.camera as camera:
        frames = []
        for _ in range(5):
            frames.append(camera.frame())
            assert frames[-1].exposure_end_s <= rig.clock.now_s()
    for frame in frames:
        assert frame.exposure_end_s >= frame.exposure_start_s
    starts_s = [frame.exposure_start_s for frame in frames]
    assert all(later > earlier for earlier, later in pairwise(starts_s))


@pytest.mark.parametrize("ahead_s", [-1.0, 0.0, 0.01, 0.5])
def test_a_frame_began_at_or_after_the_time_asked(rig, ahead_s):
    with rig.stage, rig.camera as camera:
        camera.frame()
        rig.clock.wait_until_s(rig.clock.now_s() + 0.3)
        after_s = rig.clock.now_s() + ahead_s
        assert camera.frame(after_s=after_s).exposure_start_s >= after_s


def test_frames_never_come_twice_or_out_of_order(rig):
    with rig.stage, rig.camera as camera:
        fresh = camera.frame(after_s=rig.clock.now_s() + 0.2)
        assert camera.frame().exposure_start_s > fresh.exposure_start_s


def test_after_a_move_a_fresh_frame_shows_the_new_position(rig):
    with rig.stage as stage, rig.camera as camera:
        before = camera.frame(after_s=stage.settled_at_s)
        before_again = camera.frame()
        rig.clock.wait_until_s(rig.clock.now_s() + 0.5)  # let stale frames queue up
        stage.move_to_um(rig.far_um)
        fresh = camera.frame(after_s=stage.settled_at_s)
        rig.clock.wait_until_s(rig.clock.now_s() + 0.5)
        later = camera.frame(after_s=rig.clock.now_s())
        assert difference(before, later) > 2 * difference(before, before_again)
        assert difference(fresh, later) < difference(before, later) / 2
        stage.move_to_um(rig.near_um)
        back = camera.frame(after_s=stage.settled_at_s)
        assert difference(back, before) < difference(back, later) / 2


def test_no_frame_in_time_is_a_stall(rig):
    with rig.stage, rig.camera as camera:
        asked_s = rig.clock.now_s()
        with pytest.raises(CameraStalled):
            camera.frame(after_s=asked_s, timeout_s=0.0)
        # A stall is not the end: the next frame still comes.
        assert camera.frame(after_s=asked_s).exposure_start_s >= asked_s


def test_it_must_be_entered(rig):
    with pytest.raises(CameraError, match="not connected"):
        rig.camera.frame()


def test_it_is_released_on_exit_and_can_be_entered_again(rig):
    with rig.stage:
        with rig.camera:
            rig.camera.frame()
        with pytest.raises(CameraError, match="not connected"):
            rig.camera.frame()
        with rig.camera:
            entered_s = rig.clock.now_s()
            assert rig.camera.frame().exposure_start_s >= entered_s


def test_it_is_released_when_its_user_fails(rig):
    with pytest.raises(ZeroDivisionError), rig.stage, rig.camera:
        raise ZeroDivisionError
    with pytest.raises(CameraError, match="not connected"):
        rig.camera.frame()
