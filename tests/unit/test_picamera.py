"""The Pi camera's driver on a simulated sensor: fresh, settled, to scale, and alive again."""

import tomllib
from dataclasses import replace

import hypothesis
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pi_sensor import IMX708, PiSensor
from pydantic import ValidationError

from hw.camera import CameraError, CameraStalled, Frame
from hw.picamera import Picamera, PicameraSettings
from hw.picamera_port import Sensor
from hw.pixel_pitch import Crop, Size
from hw.virtual.clock import SimulatedClock


def settings(**changes) -> PicameraSettings:
    given = {"kind": "picamera", "magnification": 10.0, "frame_px": (640, 480)}
    return PicameraSettings(**given | changes)


def rig(changes: dict | None = None, **sensor) -> tuple[Picamera, PiSensor, SimulatedClock]:
    clock = SimulatedClock(start_s=50.0)
    pi = PiSensor(clock, **sensor)
    return Picamera(settings(**changes or {}), clock, pi), pi, clock


def shown_s(frame: Frame) -> float:
    """When the first row of this picture really began to be exposed, to 1 ms."""
    return int.from_bytes(frame.pixels[0, 0].tobytes()) / 1000


def reported(pi: PiSensor) -> dict:
    """What the sensor says of the next frame."""
    shot = pi.ports[-1].capture(1.0)
    metadata = shot.get_metadata()
    shot.release()
    return metadata


# Time


@hypothesis.settings(deadline=None, max_examples=50)
@given(
    pauses_s=st.lists(st.floats(0, 0.5), min_size=1, max_size=5),
    ahead_s=st.floats(-0.2, 0.3),
    boot_offset_s=st.sampled_from([0.0, 5.0, 86_400.0]),
    stamps_boot_time=st.booleans(),
    exposure_us=st.integers(20, 60_000),
)
def test_a_frame_is_never_older_than_it_says(
    pauses_s, ahead_s, boot_offset_s, stamps_boot_time, exposure_us
):
    camera, _, clock = rig(
        {"exposure_us": exposure_us},
        period_s=max(1 / 30, exposure_us * 1e-6 + 0.001),
        boot_offset_s=boot_offset_s,
        stamps_boot_time=stamps_boot_time,
    )
    with camera:
        for pause_s in pauses_s:
            clock.wait_until_s(clock.now_s() + pause_s)
            after_s = clock.now_s() + ahead_s
            frame = camera.frame(after_s)
            assert after_s <= frame.exposure_start_s
            assert -0.0011 <= frame.exposure_start_s - shown_s(frame) <= 1e-6
            assert frame.exposure_end_s <= clock.now_s()
            assert frame.exposure_end_s - frame.exposure_start_s == pytest.approx(
                exposure_us * 1e-6 + 0.001 + 0.016  # lateness of the stamp, and read-out
            )


def test_suspended_between_two_frames():
    camera, pi, clock = rig(stamps_boot_time=True)
    with camera:
        before = camera.frame()
        pi.boot_offset_s = 7200.0
        after = camera.frame(clock.now_s())
    assert 0 < after.exposure_start_s - before.exposure_start_s < 0.2


def test_a_stamp_ahead_of_every_clock_is_no_frame():
    camera, pi, _ = rig()
    pi.stamps_boot_time = True
    with camera:
        pi.boot_offset_s, pi.ports[0].clocks_s = 3600.0, lambda: (50.0, 50.0)
        with pytest.raises(CameraError, match=r"ahead of the system's clocks"):
            camera.frame()
        assert pi.held == 0


def test_a_time_out_counts_from_the_time_asked_for():
    camera, _, clock = rig()
    with camera:
        asked_s = clock.now_s() + 1.0
        with pytest.raises(CameraStalled, match=r"within 0\.02 s"):
            camera.frame(asked_s, timeout_s=0.02)
        assert clock.now_s() == pytest.approx(asked_s + 0.02, abs=0.05)
        with pytest.raises(ValueError, match="after_s"):
            camera.frame(float("nan"))


# Buffers


def test_only_the_frame_returned_is_copied_and_every_buffer_goes_back():
    camera, pi, clock = rig()
    with camera:
        assert pi.copies == 0
        for _ in range(20):
            frame = camera.frame(clock.now_s() + 0.1)
        assert (pi.copies, pi.held) == (20, 0)
    assert shown_s(frame) > 50  # the pixels are good after the camera was closed


def test_the_buffer_goes_back_when_copying_fails():
    camera, pi, _ = rig()
    with camera:
        pi.picture = lambda *_: 1 / 0
        with pytest.raises(ZeroDivisionError):
            camera.frame()
        assert pi.held == 0


# Exposure


def test_exposure_and_white_balance_settle_and_are_locked():
    camera, pi, _ = rig(light=(8000, 1.5, (2.1, 1.6)))
    first, locked = {}, {}
    with camera:
        first, locked = pi.opened[0], pi.ports[0].controls[-1][1]
        pi.light = (20_000, 8.0, (1.0, 3.0))
        metadata = reported(pi)
    assert first["Sharpness"] == 0
    assert first["NoiseReductionMode"] == 0
    assert "AeEnable" not in first
    assert (locked["AeEnable"], locked["AwbEnable"]) == (False, False)
    assert locked["ExposureTime"] == pytest.approx(8000, rel=0.02)
    assert locked["AnalogueGain"] == pytest.approx(1.5, rel=0.02)
    assert locked["ColourGains"] == (2.1, 1.6)
    assert metadata["ExposureTime"] == locked["ExposureTime"]
    assert metadata["ColourGains"] == (2.1, 1.6)


def test_no_frame_is_given_before_the_lock_is_in_force():
    camera, _, _ = rig(flicker=0.008)  # steady enough to settle
    with camera:
        frames = [camera.frame() for _ in range(6)]
    lasted_us = {round(1e6 * (each.exposure_end_s - each.exposure_start_s)) for each in frames}
    assert len(lasted_us) == 1


def test_what_is_set_is_not_settled():
    fixed = {"exposure_us": 5000, "gain": 2.0, "colour_gains": (1.5, 1.25)}
    camera, pi, _ = rig(fixed)
    with camera:
        assert pi.opened[0]["AeEnable"] is False
        metadata = reported(pi)
    assert metadata["ExposureTime"] == 5000
    assert metadata["AnalogueGain"] == 2.0
    assert metadata["ColourGains"] == (1.5, 1.25)


def test_one_value_can_be_set_and_the_others_settle():
    camera, pi, _ = rig({"gain": 1.0}, light=(8000, 1.5, (2.1, 1.6)))
    with camera:
        locked = pi.ports[0].controls[-1][1]
    assert locked["AnalogueGain"] == 1.0
    assert locked["ExposureTime"] == pytest.approx(8000, rel=0.02)


def test_a_monochrome_sensor_has_no_white_balance():
    camera, pi, _ = rig(light=(8000, 1.5, None))
    with camera:
        locked = pi.ports[0].controls[-1][1]
    assert "AwbEnable" not in locked


def test_flickering_light_is_told():
    camera, pi, _ = rig(flicker=0.1)
    with pytest.raises(CameraError, match=r"did not settle in 5 s.*set exposure_us"):
        camera.__enter__()
    assert (pi.closed, pi.held) == (1, 0)
    with pytest.raises(CameraError, match="not connected"):
        camera.frame()


def test_a_gain_that_the_sensor_lacks_is_told():
    camera, pi, _ = rig({"gain": 20.0})
    with pytest.raises(CameraError, match=r"gain=16\.0.* instead of .*gain=20\.0"):
        camera.__enter__()
    assert pi.closed == 1


# Scale


def test_um_per_px_of_an_hq_camera():
    # IMX477, data sheet: 4056 x 3040 px of 1.55 um. At 10x all of it sees 628.68 um, here in
    # 1014 px, however the sensor bins.
    for mode in ((4056, 3040), (2028, 1520)):
        hq = Sensor((1.55, 1.55), Crop(0, 0, 4056, 3040), Size(*mode), Size(1014, 760), 0.016)
        camera, _, _ = rig({"frame_px": (1014, 760)}, sensor=hq)
        with camera:
            assert camera.um_per_px == pytest.approx(628.68 / 1014, rel=1e-6)
            assert camera.frame().um_per_px == camera.um_per_px


def test_the_crop_is_set_and_counts():
    camera, pi, _ = rig({"crop_px": (1000, 500, 1280, 960)})
    with camera:
        assert reported(pi)["ScalerCrop"] == (1000, 500, 1280, 960)
        assert camera.um_per_px == pytest.approx(2 * 1.4 / 10)


def test_without_a_crop_the_largest_of_the_frames_shape_is_taken():
    camera, pi, _ = rig()
    with camera:
        assert reported(pi)["ScalerCrop"] == (576, 0, 3456, 2592)
        assert camera.um_per_px == pytest.approx(1.4 * 2592 / 480 / 10)


def test_the_pitch_can_be_overridden():
    camera, _, _ = rig({"pixel_pitch_um": 2.8})
    with camera:
        assert camera.um_per_px == pytest.approx(2.8 * 2592 / 480 / 10)


@pytest.mark.parametrize(
    ("changes", "sensor", "told"),
    [
        ({}, {"sensor": replace(IMX708, pitch_um=None)}, "set pixel_pitch_um"),
        ({"frame_px": (2400, 1350)}, {}, "choose a smaller frame_px"),
        ({"crop_px": (0, 0, 1000, 750)}, {}, "choose a smaller frame_px"),
        ({}, {"shift_px": 30}, "does not crop to 576, 0, 3456, 2592"),
        ({}, {"deaths_s": [50.4]}, "gave no frame in 5 s"),
    ],
)
def test_what_it_cannot_do_is_told_and_it_is_closed(changes, sensor, told):
    camera, pi, _ = rig(changes, **sensor)
    with pytest.raises(CameraError, match=told):
        camera.__enter__()
    assert (pi.closed, pi.held) == (1, 0)


def test_um_per_px_is_not_known_before():
    camera, _, _ = rig()
    with pytest.raises(CameraError, match="enter it"):
        _ = camera.um_per_px


# Stalls


def test_a_camera_that_stalls_once_is_opened_again_as_it_was():
    camera, pi, clock = rig()
    with camera:
        before = camera.frame()
        locked = pi.ports[0].controls[-1][1]
        pi.deaths_s.append(clock.now_s())
        pi.light = (30_000, 9.0, (1.0, 1.0))
        after = camera.frame(clock.now_s())
        assert len(pi.opened) == 2
        assert pi.opened[1].items() >= locked.items()  # no settling anew
        assert after.um_per_px == before.um_per_px
        assert clock.now_s() - before.exposure_start_s < 4.0
        assert camera.frame().exposure_start_s > after.exposure_start_s
        assert len(pi.opened) == 2
    assert pi.closed == 2


def test_a_dead_camera_is_opened_once_more_and_then_given_up():
    camera, pi, clock = rig()
    with camera:
        pi.deaths_s.extend(clock.now_s() + 0.5 * k for k in range(100))
        for opened in (2, 3):
            with pytest.raises(CameraStalled, match=r"ribbon cable.*rpicam-hello --camera 0"):
                camera.frame(clock.now_s())
            assert len(pi.opened) == opened
        clock.wait_until_s(clock.now_s() + 100.0)
        assert camera.frame(clock.now_s()).exposure_start_s > 150.0  # it came back by itself
    assert pi.closed == len(pi.opened)


def test_a_camera_that_lives_only_for_a_few_frames_is_given_up_too():
    camera, pi, clock = rig()
    with camera:
        pi.frames_per_life = 8
        with pytest.raises(CameraStalled, match="not even after it was opened again"):
            camera.frame(clock.now_s() + 10.0)
        assert len(pi.opened) == 2


def test_a_camera_unplugged_and_plugged_in_again():
    camera, pi, clock = rig()
    with camera:
        pi.deaths_s.append(clock.now_s())
        pi.absent = True
        for _ in range(2):
            with pytest.raises(CameraStalled, match=r"could not be opened again.*ribbon cable"):
                camera.frame(clock.now_s())
        pi.absent = False
        assert camera.frame(clock.now_s()).exposure_start_s > 50.0
    assert pi.closed == len(pi.opened) == 2


def test_short_waits_add_up_to_a_stall_and_none_does_alone():
    camera, pi, clock = rig()
    with camera:
        pi.deaths_s.append(clock.now_s())
        for _ in range(5):
            with pytest.raises(CameraStalled, match="allow more"):
                camera.frame(clock.now_s(), timeout_s=0.2)
        assert len(pi.opened) == 1
        camera.frame(clock.now_s(), timeout_s=0.2)
        assert len(pi.opened) == 2


def test_a_camera_that_fails_to_open_says_why():
    camera, pi, _ = rig()
    pi.absent = True
    with pytest.raises(CameraError, match="cannot be opened"):
        camera.__enter__()


# Settings


def test_settings_as_a_file_has_them():
    text = """
    kind = "picamera"
    magnification = 20
    frame_px = [1014, 760]
    sensor_px = [2028, 1520]
    crop_px = [0, 0, 4056, 3040]
    colour_gains = [2.1, 1.6]
    """
    read = PicameraSettings(**tomllib.loads(text))
    assert read.frame_px == Size(width=1014, height=760)
    assert read.crop_px == Crop(x=0, y=0, width=4056, height=3040)


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"frame_px": (641, 480)}, "two even numbers"),
        ({"frame_px": (32, 24)}, "two even numbers from 64"),
        ({"crop_px": (0, 0, 1000, 1000)}, "one shape"),
        ({"crop_px": (0, 0, 0, 0)}, "width and height from 64"),
        ({"crop_px": (-8, 0, 640, 480)}, "left and top from 0"),
        ({"sensor_px": (2028, 0)}, "sensor_px must be"),
        ({"colour_gains": (0.0, 0.0)}, "greater than or equal to 0.1"),  # libcamera's "automatic"
        ({"magnification": 0}, "greater than 0"),
        ({"exposure_us": 5_000_000}, "less than or equal to 1000000"),
        ({"magnifcation": 20}, "Extra inputs"),
    ],
)
def test_bad_settings_are_refused(changes, told):
    with pytest.raises(ValidationError, match=told):
        settings(**changes)
