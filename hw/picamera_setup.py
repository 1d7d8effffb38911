"""Gets a Pi camera that was just opened to where its frames can be measured by."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

from hw.camera import CameraError
from hw.clock import Clock
from hw.exposure import Exposure, searching, steady
from hw.picamera_port import Port, Sensor
from hw.picamera_settings import PicameraSettings
from hw.pixel_pitch import Crop, centred_crop, enlargement, um_per_px

PIPELINE_FRAMES = 6
"""A frame is out after at most so many frame times, and a new control in force."""
_FASTEST_FRAME_US = 33_333
_SLOWEST_FRAME_US = 100_000  # which bounds automatic exposure
_NOISE_REDUCTION_OFF = 0  # libcamera's NoiseReductionModeOff
_CROP_PX = 8  # the ISP rounds a crop to whole binned pixels
_TICK_S = 0.001


@dataclass(frozen=True, slots=True)
class View:
    """How all frames of a camera are taken until it is closed."""

    exposure: Exposure
    um_per_px: float
    readout_s: float


def first_controls(settings: PicameraSettings, exposure: Exposure | None) -> dict[str, Any]:
    """Return what a camera starts with, automatic in what neither sets."""
    slowest_us = max(_SLOWEST_FRAME_US, _FASTEST_FRAME_US + (settings.exposure_us or 0))
    controls: dict[str, Any] = {
        "Sharpness": 0.0,
        "NoiseReductionMode": _NOISE_REDUCTION_OFF,
        "FrameDurationLimits": (_FASTEST_FRAME_US, slowest_us),
    }
    if exposure is not None:
        return controls | exposure.locked()
    if settings.exposure_us is not None:
        controls["ExposureTime"] = settings.exposure_us
    if settings.gain is not None:
        controls["AnalogueGain"] = settings.gain
    if settings.colour_gains is not None:
        controls |= {"AwbEnable": False, "ColourGains": settings.colour_gains}
    return controls


def set_up(port: Port, settings: PicameraSettings, clock: Clock, exposure: Exposure | None) -> View:
    """Crop, let exposure and white balance settle, lock them, and wait until all is in force.

    With `exposure` that one is waited for instead. Raises CameraError, with what to set, if the
    camera does not get there in `settle_s` or cannot do what the settings ask.
    """
    sensor = port.sensor
    wanted = _wanted_crop(sensor, settings)
    # Not among the first controls: there picamera2 adds the Pi 5's ScalerCrops, which would win.
    port.control({"ScalerCrop": tuple(wanted)})
    seen: list[Exposure] = []
    landing = 0
    for metadata in _frames(port, settings, clock):
        seen.append(Exposure.of(metadata))
        if exposure is None:
            if steady(seen) and not searching(metadata):
                exposure = _with_fixed(seen[-1], settings)
                port.control(exposure.locked())
                landing = PIPELINE_FRAMES
            continue
        landing -= 1
        crop = Crop(*metadata["ScalerCrop"])
        if landing < 0 and seen[-1].obeys(exposure) and _alike(crop, wanted):
            return View(exposure, _scale(sensor, settings, crop), sensor.readout_s)
    raise CameraError(_unsettled(settings, seen, exposure, wanted))


def _frames(port: Port, settings: PicameraSettings, clock: Clock) -> Iterator[dict[str, Any]]:
    """Yield what the camera says of each frame, for as long as setting up may take."""
    exposure_s = (settings.exposure_us or 0) * 1e-6
    limit_s = clock.now_s() + settings.settle_s + 2 * PIPELINE_FRAMES * exposure_s
    while (left_s := limit_s - clock.now_s()) > _TICK_S:
        shot = port.capture(left_s)
        if shot is None:
            continue
        try:
            metadata = shot.get_metadata()
        finally:
            shot.release()
        yield metadata


def _wanted_crop(sensor: Sensor, settings: PicameraSettings) -> Crop:
    frame, mode = settings.frame_px, sensor.mode
    if sensor.frame != frame:
        raise CameraError(
            f"the camera makes frames of {sensor.frame.width} x {sensor.frame.height} px instead "
            f"of {frame.width} x {frame.height} px: set frame_px to that"
        )
    crop = settings.crop_px or centred_crop(sensor.field, frame)
    if enlargement(sensor.field, mode, crop, frame) > 1.001:
        raise CameraError(
            f"frame_px {frame.width} x {frame.height} is more than the sensor sends of a crop of "
            f"{crop.width} x {crop.height} native px in its mode of {mode.width} x {mode.height}: "
            "choose a smaller frame_px, or a larger sensor_px or crop_px"
        )
    return crop


def _alike(crop: Crop, wanted: Crop) -> bool:
    return all(abs(one - other) <= _CROP_PX for one, other in zip(crop, wanted, strict=True))


def _scale(sensor: Sensor, settings: PicameraSettings, crop: Crop) -> float:
    own_um = settings.pixel_pitch_um
    pitch_um = sensor.pitch_um if own_um is None else (own_um, own_um)
    if pitch_um is None:
        raise CameraError(
            "libcamera does not know the pixel pitch of this sensor: set pixel_pitch_um, from the "
            "sensor's data sheet"
        )
    try:
        return um_per_px(pitch_um, crop, settings.frame_px, settings.magnification)
    except ValueError as error:
        raise CameraError(str(error)) from error


def _with_fixed(found: Exposure, settings: PicameraSettings) -> Exposure:
    return replace(
        found,
        time_us=settings.exposure_us or found.time_us,
        gain=settings.gain or found.gain,
        colour_gains=settings.colour_gains or found.colour_gains,
    )


def _unsettled(
    settings: PicameraSettings, seen: list[Exposure], asked: Exposure | None, wanted: Crop
) -> str:
    number, limit_s = settings.camera, settings.settle_s
    if not seen:
        return (
            f"camera {number} was opened but gave no frame in {limit_s:g} s: look at the ribbon "
            f"cable, and try `rpicam-hello --camera {number}`"
        )
    if asked is None:
        return (
            f"exposure and white balance did not settle in {limit_s:g} s, and stand at {seen[-1]}: "
            "steady the light, or set exposure_us, gain and colour_gains"
        )
    if not seen[-1].obeys(asked):
        return f"the camera uses {seen[-1]} instead of {asked}: set what its sensor can do"
    return (
        f"the camera does not crop to {', '.join(map(str, wanted))} (native px): set a crop_px "
        "inside the field of its mode"
    )
