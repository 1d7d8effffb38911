"""The Raspberry Pi's camera, through picamera2."""

import math
from contextlib import suppress
from typing import Self

from hw.camera import CameraError, CameraStalled, Frame
from hw.clock import Clock
from hw.exposure import Exposure
from hw.picamera_port import OpenPort, Port, Shot, open_picamera2
from hw.picamera_settings import PicameraSettings
from hw.picamera_setup import PIPELINE_FRAMES, View, first_controls, set_up
from hw.sensor_time import exposed_s

__all__ = ["Picamera", "PicameraSettings"]

_TICK_S = 0.001
_NOT_CONNECTED = "the Pi camera is not connected: enter it (`with camera:`) first"


class Picamera:
    """A Pi camera that runs freely, with exposure, gain, white balance and crop locked.

    Frames come from one stream, scaled by the ISP, with its sharpening and denoising off. Pixels
    are copied once, out of the camera's buffer, and only of the frame that is returned.
    """

    def __init__(
        self, settings: PicameraSettings, clock: Clock, open_port: OpenPort = open_picamera2
    ) -> None:
        """Prepare the camera; entering opens it."""
        self._settings = settings
        self._clock = clock
        self._open_port = open_port
        self._port: Port | None = None
        self._connected = False  # stays so if the camera is lost meanwhile
        self._view: View | None = None
        self._entered_s = math.inf
        self._silent_s = 0.0

    @property
    def um_per_px(self) -> float:
        """Size of one pixel in the specimen plane, in um.

        Raises CameraError before the camera is first entered: its sensor is not known yet.
        """
        return self._known_view.um_per_px

    def frame(self, after_s: float = -math.inf, timeout_s: float = 2.0) -> Frame:
        """Return a frame whose exposure began at or after `after_s`; see `hw.camera.Camera`.

        If no frame at all comes for `stall_s`, the camera is opened once more, with the exposure
        that it had, and has another `timeout_s`. Raises CameraStalled if that does not help, or if
        no frame comes in time, and ValueError if `after_s` is no time.
        """
        if not self._connected:
            raise CameraError(_NOT_CONNECTED)
        view = self._known_view
        stall_s = self._settings.stall_s + PIPELINE_FRAMES * view.exposure.time_us * 1e-6
        if not after_s < math.inf:  # also catches NaN
            raise ValueError(f"after_s must be a time on the camera's clock, got {after_s} s")
        after_s = max(after_s, self._entered_s)
        limit_s = max(self._clock.now_s(), after_s) + timeout_s
        reopened = self._port is None
        port = self._port or self._reopen()
        while True:
            asked_s = self._clock.now_s()
            shot = port.capture(max(0.0, min(limit_s - asked_s, stall_s - self._silent_s)))
            if shot is None:
                self._silent_s += self._clock.now_s() - asked_s
            else:
                self._silent_s = 0.0
                try:
                    frame = self._developed(port, shot, view, after_s)
                finally:
                    shot.release()
                if frame is not None:
                    return frame
            if self._silent_s >= stall_s - _TICK_S:
                if reopened:
                    raise CameraStalled(
                        f"the camera gives no frame, not even after it was opened again: "
                        f"{self._cure}"
                    )
                reopened = True
                port = self._reopen()
                limit_s = max(limit_s, self._clock.now_s() + timeout_s)
            elif self._clock.now_s() >= limit_s - _TICK_S:
                raise CameraStalled(
                    f"no frame begun after {after_s:.3f} s came within {timeout_s:g} s: allow more"
                )

    def _developed(self, port: Port, shot: Shot, view: View, after_s: float) -> Frame | None:
        """Return the frame of a shot, or None if its exposure began before `after_s`."""
        # In this order: a pause between the two makes the frame look older, which is safe.
        now_s = self._clock.now_s()
        start_s, end_s = exposed_s(shot.get_metadata(), now_s, port.clocks_s(), view.readout_s)
        if start_s < after_s:
            return None
        pixels = shot.make_array("main")
        pixels.setflags(write=False)
        return Frame(pixels, start_s, end_s, view.um_per_px)

    def _reopen(self) -> Port:
        port, self._port = self._port, None
        self._silent_s = 0.0
        if port is not None:
            with suppress(CameraError):
                port.close()
        try:
            self._port, self._view = self._open(self._known_view.exposure)
        except CameraError as error:
            raise CameraStalled(
                f"the camera stalled and could not be opened again ({error}): {self._cure}"
            ) from error
        return self._port

    def _open(self, exposure: Exposure | None) -> tuple[Port, View]:
        settings = self._settings
        controls = first_controls(settings, exposure)
        port = self._open_port(settings.camera, settings.frame_px, settings.sensor_px, controls)
        try:
            return port, set_up(port, settings, self._clock, exposure)
        except BaseException:
            with suppress(CameraError):
                port.close()
            raise

    @property
    def _cure(self) -> str:
        number = self._settings.camera
        return f"look at the ribbon cable, and try `rpicam-hello --camera {number}`"

    @property
    def _known_view(self) -> View:
        if self._view is None:
            raise CameraError(_NOT_CONNECTED)
        return self._view

    def __enter__(self) -> Self:
        self._port, self._view = self._open(self._settings.exposure)
        self._silent_s = 0.0
        self._entered_s = self._clock.now_s()
        self._connected = True
        return self

    def __exit__(self, *error: object) -> None:
        self._connected = False
        port, self._port = self._port, None
        if port is not None:
            port.close()
