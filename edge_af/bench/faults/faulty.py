"""Camera, stage and model that fail for a while, in front of ones that do not."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Self

import numpy as np

from edge_af.bench.classic.rig import SchedulingClock
from edge_af.classifier import Sight
from edge_af.routines.ports import Observer
from edge_af.scale import DefocusScale
from hw.camera import Camera, CameraError, CameraStalled, Frame
from hw.forwarded import ForwardedStage
from hw.stage import StageDriver, StageFault, StageStopped


@dataclass
class Window:
    """The time in which something is wrong; none before it is set."""

    clock: SchedulingClock
    begins_s: float = float("inf")
    ends_s: float = float("inf")

    @property
    def open(self) -> bool:
        """Whether it is now."""
        return self.begins_s <= self.clock.now_s() < self.ends_s


Exposure = Callable[["FaultyCamera", float, float], Frame]
"""Takes the place of `frame` while the window is open: is given the camera and its arguments."""


class FaultyCamera:
    """A camera whose frames come from `exposure` while something is wrong."""

    def __init__(self, camera: Camera, window: Window, exposure: Exposure | None) -> None:
        self.inner = camera
        self.window = window
        self.latest: Frame | None = None
        self._exposure = exposure

    @property
    def um_per_px(self) -> float:
        """Size of one pixel in the specimen plane, in um."""
        return self.inner.um_per_px

    def frame(self, after_s: float = float("-inf"), timeout_s: float = 2.0) -> Frame:
        """Return a frame, or fail, as the moment has it."""
        if self._exposure is not None and self.window.open:
            return self._exposure(self, after_s, timeout_s)
        self.latest = self.inner.frame(after_s, timeout_s)
        return self.latest

    def __enter__(self) -> Self:
        self.inner.__enter__()
        return self

    def __exit__(self, *error: object) -> None:
        self.inner.__exit__(*error)


def stalled(camera: FaultyCamera, after_s: float, timeout_s: float) -> Frame:
    """No frame comes."""
    clock = camera.window.clock
    clock.wait_until_s(max(clock.now_s(), after_s) + timeout_s)
    raise CameraStalled(f"no frame within {timeout_s:g} s; is the camera running?")


def lost(camera: FaultyCamera, after_s: float, timeout_s: float) -> Frame:  # noqa: ARG001
    """The camera is gone."""
    raise CameraError("the camera is gone; check its cable")


def painted(level: int) -> Exposure:
    """All pixels have one value."""

    def exposure(camera: FaultyCamera, after_s: float, timeout_s: float) -> Frame:
        frame = camera.inner.frame(after_s, timeout_s)
        return replace(frame, pixels=np.full_like(frame.pixels, level))

    return exposure


def torn(camera: FaultyCamera, after_s: float, timeout_s: float) -> Frame:
    """The lower half is that of the frame before."""
    frame = camera.inner.frame(after_s, timeout_s)
    if camera.latest is None:
        return frame
    half = len(frame.pixels) // 2
    pixels = np.concatenate((frame.pixels[:half], camera.latest.pixels[half:]))
    pixels.setflags(write=False)
    return replace(frame, pixels=pixels)


def frozen(camera: FaultyCamera, after_s: float, timeout_s: float) -> Frame:
    """The sensor's clock stands still."""
    frame, latest = camera.inner.frame(after_s, timeout_s), camera.latest
    if latest is None:
        return frame
    return replace(
        frame, exposure_start_s=latest.exposure_start_s, exposure_end_s=latest.exposure_end_s
    )


def shifted(by_s: float) -> Exposure:
    """The sensor's clock has jumped."""

    def exposure(camera: FaultyCamera, after_s: float, timeout_s: float) -> Frame:
        frame = camera.inner.frame(after_s, timeout_s)
        return replace(
            frame,
            exposure_start_s=frame.exposure_start_s + by_s,
            exposure_end_s=frame.exposure_end_s + by_s,
        )

    return exposure


@dataclass(frozen=True, slots=True)
class LineFault:
    """What a board does when its line fails, and what its driver then says.

    `finishes` says that the board ends the move that it was given, `silence_s` how long the driver
    waits for an answer, and `lasts` that only a person can clear it.
    """

    says: str
    finishes: bool
    silence_s: float = 0.0
    lasts: bool = False


class FaultyStage(ForwardedStage):
    """A stage whose line fails during a move, as the serial drivers report it: StageFault."""

    def __init__(self, driver: StageDriver, window: Window, fault: LineFault | None) -> None:
        super().__init__(driver)
        self._window = window
        self._fault = fault

    def move_to_um(self, target_um: float) -> None:
        """Move, unless the line has failed or fails on the way."""
        if self._fault is None:
            self._driver.move_to_um(target_um)
            return
        if self._window.open:
            self._fail(self._fault)
        cut_short = False

        def cut() -> None:
            nonlocal cut_short
            cut_short = True
            self._driver.stop()

        clock, fault = self._window.clock, self._fault
        if not fault.finishes and clock.now_s() < self._window.begins_s < float("inf"):
            clock.at(self._window.begins_s, cut)
        try:
            self._driver.move_to_um(target_um)
        except StageStopped:
            if not cut_short:
                raise
        if self._window.open:
            self._fail(fault)

    def _fail(self, fault: LineFault) -> None:
        if fault.lasts:
            self._window.ends_s = float("inf")
        self._window.clock.wait_until_s(self._window.clock.now_s() + fault.silence_s)
        raise StageFault(fault.says)


class SlowObserver:
    """A model that takes seconds for a frame while the window is open."""

    def __init__(self, observer: Observer, window: Window, slow_s: float) -> None:
        self._observer = observer
        self._window = window
        self._slow_s = slow_s

    @property
    def scale(self) -> DefocusScale:
        """The bins of its distributions."""
        return self._observer.scale

    def look(self, frame: Frame) -> Sight:
        """Look, late."""
        if self._window.open:
            clock = self._window.clock
            clock.wait_until_s(clock.now_s() + self._slow_s)
        return self._observer.look(frame)
