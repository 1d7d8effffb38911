"""What a routine needs of the world, and what it answers."""

import math
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol

from edge_af.classifier import Sight
from edge_af.scale import DefocusScale
from edge_af.settings import FocusSettings
from hw.camera import Camera, CameraError, Frame
from hw.clock import Clock
from hw.stage import Range, Stage


class FocusStage(Stage, Protocol):
    """A guarded stage."""

    @property
    def slack_um(self) -> float:
        """Upper bound of the gap that a run upwards must take up before the axis follows."""
        ...

    @property
    def overshoot_um(self) -> float:
        """How far below its target a move from above goes, to arrive upwards."""
        ...

    @property
    def reachable(self) -> Range:
        """Targets that any move may ask for."""
        ...


class Observer(Protocol):
    """Tells defocus from a frame."""

    @property
    def scale(self) -> DefocusScale:
        """The bins of its distributions."""
        ...

    def look(self, frame: Frame) -> Sight:
        """Return what a frame says of its defocus."""
        ...


class View:
    """Fresh frames, and how many were taken.

    Fresh means that the exposure began after the view was opened and after the stage had settled
    from its last step, that it is over, and that the frame was not given before. The frame's own
    timestamps decide.
    """

    def __init__(self, camera: Camera, stage: Stage, clock: Clock, timeout_s: float) -> None:
        self._camera = camera
        self._stage = stage
        self._clock = clock
        self._opened_s = clock.now_s()
        self._timeout_s = timeout_s
        self._latest_s = -math.inf
        self.frames = 0

    def frame(self) -> Frame:
        """Return a fresh frame. Raises CameraError if the camera gives none, or a stale one."""
        after_s = max(self._opened_s, self._stage.settled_at_s)
        frame = self._camera.frame(after_s, self._timeout_s)
        ahead_s = frame.exposure_end_s - self._clock.now_s()
        if not frame.exposure_start_s >= after_s:  # also catches NaN
            fault = f"{after_s - frame.exposure_start_s:.3f} s before the stage had settled"
        elif not ahead_s <= 0:
            fault = f"{ahead_s:.3f} s ahead of the clock"
        elif frame.exposure_start_s <= self._latest_s:
            fault = "no later than the frame before"
        else:
            fault = ""
        if fault:
            raise CameraError(
                f"the camera gave a frame exposed {fault}: its timestamps cannot be trusted, "
                "restart the camera"
            )
        self._latest_s = frame.exposure_start_s
        self.frames += 1
        return frame


class Outcome(StrEnum):
    """How a focus command ended."""

    FOCUSED = "focused"
    ABSTAINED = "abstained"


class Method(StrEnum):
    """What found the focus."""

    SINGLE_SHOT = "single_shot"
    SWEEP = "sweep"
    NONE = "none"


@dataclass(frozen=True, slots=True)
class Attempt:
    """What one routine came to: a reason is given where it did not find the focus.

    `empty` says that there is nothing in the field to focus on.
    """

    found: bool
    reason: str = ""
    empty: bool = False


@dataclass(frozen=True, slots=True)
class Desk:
    """All that a routine works with."""

    view: View
    stage: FocusStage
    settings: FocusSettings

    def give_up(self, start_um: float, reason: str) -> Attempt:
        """Go back to `start_um`, or as near as the stage may, and say why."""
        back_um = self.stage.reachable.clip(start_um)
        self.stage.move_to_um(back_um)
        if abs(back_um - start_um) > self.stage.step_um / 2:
            reason += (
                f"; the stage is at {back_um:.1f} um, as near to its start at {start_um:.1f} um as "
                "its limits let it return"
            )
        return Attempt(False, reason)
