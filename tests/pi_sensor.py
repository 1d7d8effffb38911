"""A Pi camera as the port sees it, on a simulated clock: free-running, queueing, late, and mortal.

Nothing of it comes from the driver. What it knows and a driver cannot, such as when a frame was
really exposed, is for tests to compare with.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hw.camera import CameraError
from hw.picamera_port import Sensor
from hw.pixel_pitch import Crop, Size
from hw.virtual.clock import SimulatedClock

# Camera Module 3 (IMX708): data sheet pitch 1.4 um, 4608 x 2592, binned 2 x 2 in this mode.
IMX708 = Sensor((1.4, 1.4), Crop(0, 0, 4608, 2592), Size(2304, 1296), Size(640, 480), 0.016)

BUFFERS = 4
CONTROL_DELAY = 3  # frames until a control is in force
_READOUT_S = 0.016
_ISP_S = 0.020


def numbered(start_s: float, end_s: float) -> NDArray[np.uint8]:  # noqa: ARG001
    """Return a frame that tells when it was exposed: its colour is the time in ms."""
    colour = int(start_s * 1000).to_bytes(3)
    return np.full((480, 640, 3), list(colour), np.uint8)


@dataclass
class PiSensor:
    """The hardware, which outlives the ports onto it. Calling it opens one."""

    clock: SimulatedClock
    sensor: Sensor = IMX708
    picture: Callable[[float, float], NDArray[np.uint8]] = numbered
    period_s: float = 1 / 30
    boot_offset_s: float = 0.0
    """Boot-time clock minus monotonic: the time that the Pi was suspended."""
    stamps_boot_time: bool = False
    light: tuple[int, float, tuple[float, float]] = (8000, 1.5, (2.1, 1.6))
    """Exposure in us, gain and colour gains at which automatic exposure ends up."""
    flicker: float = 0.0
    largest_gain: float = 16.0
    shift_px: int = 0
    """By how much the ISP misses the crop asked for."""
    deaths_s: list[float] = field(default_factory=list)
    """Each ends the stream of the port that is open then."""
    frames_per_life: float = float("inf")
    """So many frames, and then none until it is opened again."""
    absent: bool = False
    opened: list[dict[str, Any]] = field(default_factory=list)
    closed: int = 0
    held: int = 0
    copies: int = 0
    ports: list["SimulatedPort"] = field(default_factory=list)

    def __call__(
        self, number: int, frame: Size, mode: Size | None, controls: Mapping[str, Any]
    ) -> "SimulatedPort":
        assert number == 0
        assert mode in (None, self.sensor.mode)
        if self.absent:
            raise CameraError("camera 0 cannot be opened")
        assert self.closed == len(self.opened), "a camera can be open only once"
        self.opened.append(dict(controls))
        self.clock.wait_until_s(self.clock.now_s() + 0.4)
        sensor = Sensor(
            self.sensor.pitch_um, self.sensor.field, self.sensor.mode, frame, self.sensor.readout_s
        )
        self.ports.append(SimulatedPort(self, sensor, controls))
        return self.ports[-1]


class SimulatedPort:
    """One opening of the camera."""

    def __init__(self, pi: PiSensor, sensor: Sensor, controls: Mapping[str, Any]) -> None:
        self.pi = pi
        self.sensor = sensor
        self.started_s = pi.clock.now_s()
        self.controls: list[tuple[int, dict[str, Any]]] = [(0, dict(controls))]
        self._next = 0
        self._closed = False

    def stamp_s(self, number: int) -> float:
        """When the sensor begins to send frame `number`, on the monotonic clock."""
        return self.started_s + (number + 3) * self.pi.period_s

    def delivered_s(self, number: int) -> float:
        return self.stamp_s(number) + _READOUT_S + _ISP_S

    def control(self, controls: Mapping[str, Any]) -> None:
        behind_s = self.pi.clock.now_s() - self.started_s
        frame = max(0, int(behind_s / self.pi.period_s) - 2) + CONTROL_DELAY
        self.controls.append((frame, dict(controls)))

    def in_force(self, number: int) -> dict[str, Any]:
        merged: dict[str, Any] = {}
        for since, controls in self.controls:
            if since <= number:
                merged |= controls
        return merged

    def capture(self, timeout_s: float) -> "SimulatedShot | None":
        assert not self._closed
        clock = self.pi.clock
        limit_s = clock.now_s() + timeout_s
        newest = int((clock.now_s() - self.delivered_s(0)) / self.pi.period_s)
        number = max(self._next, newest)  # picamera2 keeps the newest that nobody took
        arrives_s = self.delivered_s(number)
        dead = number >= self.pi.frames_per_life or any(
            self.started_s <= death_s <= arrives_s for death_s in self.pi.deaths_s
        )
        if dead or arrives_s > limit_s or self.pi.held >= BUFFERS - 1:
            clock.wait_until_s(limit_s)
            return None
        clock.wait_until_s(arrives_s)
        self._next = number + 1
        self.pi.held += 1
        return SimulatedShot(self, number)

    def clocks_s(self) -> tuple[float, float]:
        now_s = self.pi.clock.now_s()
        return now_s, now_s + self.pi.boot_offset_s

    def close(self) -> None:
        assert not self._closed
        self._closed = True
        self.pi.closed += 1


class SimulatedShot:
    """A frame in a buffer of the camera."""

    def __init__(self, port: SimulatedPort, number: int) -> None:
        self._port = port
        self._number = number
        self._released = False

    def get_metadata(self) -> dict[str, Any]:
        assert not self._released
        pi, controls = self._port.pi, self._port.in_force(self._number)
        settling = 1 - 0.5 ** (self._number + 1)
        wobble = 1 + pi.flicker * (-1) ** self._number
        time_us, gain, colour_gains = pi.light
        crop = controls.get("ScalerCrop", self._port.sensor.field)
        stamp_s = self._port.stamp_s(self._number)
        if pi.stamps_boot_time:
            stamp_s += pi.boot_offset_s
        return {
            "SensorTimestamp": round(stamp_s * 1e9),
            "ExposureTime": int(controls.get("ExposureTime", time_us * settling * wobble)),
            "AnalogueGain": min(pi.largest_gain, controls.get("AnalogueGain", gain * settling)),
            "ColourGains": controls.get("ColourGains", colour_gains),
            "ScalerCrop": (crop[0] + pi.shift_px, *crop[1:]),
        }

    def make_array(self, name: str) -> NDArray[np.uint8]:
        assert not self._released
        assert name == "main"
        self._port.pi.copies += 1
        exposure_s = self.get_metadata()["ExposureTime"] * 1e-6
        first_row_ended_s = self._port.stamp_s(self._number)
        return self._port.pi.picture(
            first_row_ended_s - exposure_s, first_row_ended_s + _READOUT_S
        ).copy()

    def release(self) -> None:
        assert not self._released
        self._released = True
        self._port.pi.held -= 1
