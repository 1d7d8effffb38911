"""All that edge-af uses of picamera2, behind a port; a test holds it to the released picamera2."""

import time
from collections.abc import Callable, Mapping
from concurrent.futures import CancelledError
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
from numpy.typing import NDArray

from hw.camera import CameraError
from hw.pixel_pitch import Crop, Size

if TYPE_CHECKING:
    from picamera2 import Picamera2  # type: ignore[import-not-found,unused-ignore]

BUFFERS = 4
"""One kept for the reader, one with the reader, two that the sensor and the ISP fill."""
_LATE_S = 1.0  # for a frame that was on its way when the waiting ended


@dataclass(frozen=True, slots=True)
class Sensor:
    """What a configured camera says of itself."""

    pitch_um: tuple[float, float] | None
    """From one native pixel to the next, across and down; None if libcamera does not know it."""
    field: Crop
    """The part of the sensor that its mode reads."""
    mode: Size
    """The pixels that the sensor sends of its field; fewer, if it bins."""
    frame: Size
    """The pixels of a frame."""
    readout_s: float
    """The shortest frame of the mode: from first row to last takes no longer."""


class Shot(Protocol):
    """A frame that still lies in one of the camera's few buffers: release it soon.

    picamera2's `CompletedRequest`, as far as it is used.
    """

    def get_metadata(self) -> dict[str, Any]:
        """Return what libcamera reports of this frame, by name."""
        ...

    def make_array(self, name: str) -> NDArray[np.uint8]:
        """Return a copy of the pixels of stream "main": H x W x 3, uint8, RGB."""
        ...

    def release(self) -> None:
        """Give the buffer back; then neither pixels nor metadata can be had."""
        ...


class Port(Protocol):
    """A camera that is open and running. Raises CameraError where it fails."""

    @property
    def sensor(self) -> Sensor:
        """What the camera says of itself."""
        ...

    def control(self, controls: Mapping[str, Any]) -> None:
        """Set libcamera controls, from one of the next frames on."""
        ...

    def capture(self, timeout_s: float) -> Shot | None:
        """Return the next frame, or None if none comes in time; it may have waited in a queue."""
        ...

    def clocks_s(self) -> tuple[float, float]:
        """Return the two clocks that a SensorTimestamp may be of, monotonic and boot time, in s."""
        ...

    def close(self) -> None:
        """Stop the camera and let go of it."""
        ...


OpenPort = Callable[[int, Size, Size | None, Mapping[str, Any]], Port]
"""Opens and starts camera number N: frame size, sensor mode's size or None, first controls."""


class Picamera2Port:
    """picamera2 as a `Port`."""

    def __init__(self, camera: "Picamera2") -> None:
        """Take over a camera that is configured and started."""
        self._camera = camera

    @property
    def sensor(self) -> Sensor:
        """What the camera says of itself."""
        try:
            cell_nm = self._camera.camera_properties.get("UnitCellSize")
            limits = self._camera.camera_controls
            configuration = self._camera.camera_configuration()
            return Sensor(
                pitch_um=(cell_nm[0] / 1000, cell_nm[1] / 1000) if cell_nm else None,
                field=Crop(*limits["ScalerCrop"][1]),
                mode=Size(*configuration["sensor"]["output_size"]),
                frame=Size(*configuration["main"]["size"]),
                readout_s=limits["FrameDurationLimits"][0] * 1e-6,
            )
        except (KeyError, TypeError) as error:
            raise CameraError(
                f"this is no Pi camera: libcamera says nothing of its sensor ({error!r}). Set "
                "`camera` to the number of one: `rpicam-hello --list-cameras`"
            ) from error

    def control(self, controls: Mapping[str, Any]) -> None:
        """Set libcamera controls, from one of the next frames on."""
        try:
            self._camera.set_controls(dict(controls))
        except RuntimeError as error:
            raise CameraError(f"the camera refuses {dict(controls)}: {error}") from error

    def capture(self, timeout_s: float) -> Shot | None:
        """Return the next frame, or None if none comes in time; it may have waited in a queue."""
        try:
            job = self._camera.capture_request(wait=False)
            try:
                shot: Shot = job.get_result(timeout=timeout_s)
            except TimeoutError:
                # Or the job would take a frame, and its buffer, when nobody waits for it any more.
                self._camera.cancel_all_and_flush()
                shot = job.get_result(timeout=_LATE_S)
            return shot
        except (CancelledError, TimeoutError):
            return None
        except RuntimeError as error:
            raise CameraError(f"picamera2 could not give a frame: {error}") from error

    def clocks_s(self) -> tuple[float, float]:
        """Return the monotonic and the boot-time clock, in s."""
        return time.clock_gettime(time.CLOCK_MONOTONIC), time.clock_gettime(time.CLOCK_BOOTTIME)

    def close(self) -> None:
        """Stop the camera and let go of it."""
        try:
            self._camera.close()
        except RuntimeError as error:
            raise CameraError(f"the camera does not let itself be closed: {error}") from error


def open_picamera2(
    number: int, frame: Size, mode: Size | None, controls: Mapping[str, Any]
) -> Picamera2Port:
    """Open and start a camera through picamera2; see `OpenPort`.

    The stream is BGR888, which in libcamera's names, as in DRM's, is R, G, B in memory.
    Raises CameraError if picamera2 is missing, or the camera absent or in use.
    """
    make = _picamera2()
    try:
        camera = make(number)
    except (RuntimeError, IndexError, OSError) as error:
        raise CameraError(_why_not_open(number, error)) from error
    try:
        configuration = camera.create_video_configuration(
            main={"size": tuple(frame), "format": "BGR888"},
            sensor={} if mode is None else {"output_size": tuple(mode)},
            buffer_count=BUFFERS,
            controls=dict(controls),
            display=None,
            encode=None,
        )
        camera.configure(configuration)
        camera.start()
    except BaseException as error:
        camera.close()
        if isinstance(error, RuntimeError | ValueError | OSError):
            raise CameraError(f"camera {number} does not start: {error}") from error
        raise
    return Picamera2Port(camera)


def _picamera2() -> type["Picamera2"]:
    try:
        from picamera2 import Picamera2
    except ImportError as error:
        raise CameraError(
            f"picamera2 cannot be imported ({error}): `sudo apt-get install python3-picamera2`, "
            "and let the virtual environment see it: `python3 -m venv --system-site-packages .venv`"
        ) from error
    except ValueError as error:
        # "numpy.dtype size changed": python3-simplejpeg of Debian 12 is built for numpy 1.
        raise CameraError(
            f"picamera2 does not fit this numpy ({error}): "
            "`pip install --force-reinstall --no-deps simplejpeg` in the virtual environment"
        ) from error
    found: type[Picamera2] = Picamera2
    return found


def _why_not_open(number: int, error: BaseException) -> str:
    causes = [str(error)]
    while (cause := error.__cause__) is not None:
        causes.append(str(cause))
        error = cause
    said = "; ".join(causes)
    if "busy" in said or "in use" in said:
        return f"camera {number} is in use by another program: end it first ({said})"
    return (
        f"camera {number} cannot be opened: look at the ribbon cable, and whether "
        f"`rpicam-hello --list-cameras` lists it ({said})"
    )
