"""A camera that sees a virtual scene, with the delays and the blur of a real one."""

import math
from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray

from hw.camera import CameraError, CameraStalled, Frame
from hw.clock import Clock
from hw.virtual.scene import Scene
from hw.virtual.sensor import Sensor

_BANDS = 4
_INSTANTS = 3
"""A frame taken in motion is made of this many bands of rows, each the mean of as many instants."""


@dataclass(frozen=True, slots=True)
class CameraTiming:
    """When a frame is exposed and when it arrives."""

    period_s: float = 1 / 30
    exposure_s: float = 0.010
    readout_s: float = 0.016
    """Rolling shutter: from the start of the first row to the start of the last."""
    latency_s: float = 0.100
    """From the start of exposure to delivery: three frames queue up, as on a Pi."""
    queued: int = 3
    """Frames that wait for a slow reader; older ones are dropped."""


class VirtualCamera:
    """Free-running: frame k begins k periods after the camera was entered."""

    def __init__(self, scene: Scene, sensor: Sensor, timing: CameraTiming, clock: Clock) -> None:
        self._scene = scene
        self._sensor = sensor
        self._timing = timing
        self._clock = clock
        self._first_s: float | None = None
        self._next = 0

    @property
    def um_per_px(self) -> float:
        """Size of one pixel in the specimen plane, in um."""
        return self._scene.bank.optics.um_per_px

    def frame(self, after_s: float = -math.inf, timeout_s: float = 2.0) -> Frame:
        """Return a frame whose exposure began at or after `after_s`; see `hw.camera.Camera`."""
        if self._first_s is None:
            raise CameraError("the virtual camera is not connected; enter it with `with` first")
        timing, now_s = self._timing, self._clock.now_s()
        delivered = math.floor((now_s - self._first_s - timing.latency_s) / timing.period_s)
        number = max(self._next, delivered - timing.queued + 1, 0)
        if after_s > self._first_s:
            number = max(number, math.floor((after_s - self._first_s) / timing.period_s))
            # Not `ceil`: rounding could put that frame's start just before `after_s`.
            while self._first_s + number * timing.period_s < after_s:
                number += 1
        start_s = self._first_s + number * timing.period_s
        arrives_s = start_s + timing.latency_s
        latest_s = max(now_s, after_s) + timeout_s
        if arrives_s > latest_s:
            self._clock.wait_until_s(latest_s)
            raise CameraStalled(f"no frame within {timeout_s:g} s; is the camera running?")
        self._clock.wait_until_s(arrives_s)
        self._next = number + 1
        end_s = start_s + timing.readout_s + timing.exposure_s
        return Frame(self._expose(start_s, end_s), start_s, end_s, self.um_per_px)

    def _expose(self, start_s: float, end_s: float) -> NDArray[np.uint8]:
        timing, scene = self._timing, self._scene
        if not scene.mechanics.moving(start_s, end_s):
            return self._sensor.expose(scene.light(np.array([(start_s + end_s) / 2])))
        light = np.empty((3, *scene.specimen.shape_px), np.float32)
        instants_s = timing.exposure_s * (np.arange(_INSTANTS) + 0.5) / _INSTANTS
        for band, rows in enumerate(np.array_split(np.arange(light.shape[1]), _BANDS)):
            opens_s = start_s + timing.readout_s * (band + 0.5) / _BANDS
            light[:, rows] = scene.light(opens_s + instants_s)[:, rows]
        return self._sensor.expose(light)

    def __enter__(self) -> Self:
        self._first_s = self._clock.now_s()
        self._next = 0
        return self

    def __exit__(self, *error: object) -> None:
        self._first_s = None
