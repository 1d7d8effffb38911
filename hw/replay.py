"""A recorded focal stack as a stage and a camera: the nearest recorded slice, with its own z."""

import math
import threading
from collections import deque
from itertools import pairwise
from typing import Self

from hw.camera import CameraError, CameraStalled, Frame
from hw.clock import Clock
from hw.images import ImageError
from hw.stack import Stack
from hw.stage import LimitError, Range, StageFault, StageStopped

SPEED_UM_PER_S = 100.0
"""Nominal: 1000 steps/s of 0.1 um."""
FRAME_PERIOD_S = 1 / 30
EXPOSURE_S = 0.010
QUEUE_DEPTH = 2

_TICK_S = 0.001  # a move is advanced, and a stop is seen, this often
_NOISE_UM = 1e-6  # positions that come by sums of steps may be off by rounding
_HISTORY_S = 1.0  # far longer than the oldest queued exposure


class ReplayStage:
    """Moves among the slices of a stack at SPEED_UM_PER_S, without backlash or settling.

    The steps are the recorded slices: a move ends at the slice nearest to its target, a stop
    within 1 ms at the one nearest to where it caught the stage, and `position_um` is always the
    z of a slice.
    """

    def __init__(self, stack: Stack, clock: Clock, start_um: float) -> None:
        """Stand at the slice nearest to `start_um`; raises LimitError if that is outside."""
        self.stack = stack
        self.clock = clock
        self._travel = Range(stack.slices[0].z_um, stack.slices[-1].z_um)
        self._require_inside(start_um)
        self._lock = threading.Lock()
        self._arrivals = deque([(-math.inf, stack.nearest(start_um))])  # time in s, slice index
        self._settled_at_s = clock.now_s()
        self._stop = threading.Event()
        self._connected = False

    @property
    def step_um(self) -> float:
        """The spacing of evenly spaced slices, or else half the smallest gap between two.

        So a target that is rounded to whole steps, up or down, still leads to its own slice.
        """
        gaps_um = [above.z_um - below.z_um for below, above in pairwise(self.stack.slices)]
        even = max(gaps_um) - min(gaps_um) < _NOISE_UM
        return min(gaps_um) if even else min(gaps_um) / 2

    @property
    def travel(self) -> Range:
        """The recorded range."""
        return self._travel

    @property
    def position_um(self) -> float:
        """The z of the slice that the stage stands at, or is nearest to while it moves."""
        return self.stack.slices[self.slice_at(math.inf)].z_um

    @property
    def settled_at_s(self) -> float:
        """When the last move ended or will end."""
        return self._settled_at_s

    def slice_at(self, time_s: float) -> int:
        """Return the index of the slice where the stage was at `time_s`, up to 1 s ago."""
        with self._lock:
            return next(
                (index for when_s, index in reversed(self._arrivals) if when_s <= time_s),
                self._arrivals[0][1],
            )

    def move_to_um(self, target_um: float) -> None:
        """Move to the slice nearest to `target_um`.

        Raises LimitError outside the recorded range, StageStopped on `stop`, StageFault if the
        stage is not connected.
        """
        if not self._connected:
            raise StageFault("the replay stage is not connected: enter it (`with stage:`) first")
        self._require_inside(target_um)
        self._stop.clear()
        goal_um = self.stack.slices[self.stack.nearest(target_um)].z_um
        from_um = self.position_um
        if goal_um == from_um:
            return
        start_s = now_s = self.clock.now_s()
        end_s = self._settled_at_s = start_s + abs(goal_um - from_um) / SPEED_UM_PER_S
        while now_s < end_s:
            if self._stop.is_set():
                self._settled_at_s = now_s
                raise StageStopped(
                    f"stopped at {self.position_um} um on the way to {goal_um} um: move again "
                    "when it is safe"
                )
            self.clock.wait_until_s(min(now_s + _TICK_S, end_s))
            now_s = self.clock.now_s()
            travelled = min(1.0, (now_s - start_s) / (end_s - start_s))
            self._arrive(now_s, from_um + travelled * (goal_um - from_um))
        self._settled_at_s = now_s

    def stop(self) -> None:
        """End the move under way, if any, within 1 ms."""
        self._stop.set()

    def take_doubt(self) -> None:
        """Nothing happens to a recording between moves."""

    def _arrive(self, now_s: float, z_um: float) -> None:
        index = self.stack.nearest(z_um)
        with self._lock:
            if index != self._arrivals[-1][1]:
                self._arrivals.append((now_s, index))
            while len(self._arrivals) > 1 and self._arrivals[1][0] < now_s - _HISTORY_S:
                self._arrivals.popleft()

    def _require_inside(self, z_um: float) -> None:
        if not abs(z_um - self._travel.clip(z_um)) <= _NOISE_UM:  # also catches NaN
            raise LimitError(
                f"position {z_um} um is outside field {self.stack.field!r}, recorded from "
                f"{self._travel.low_um} um to {self._travel.high_um} um: choose one inside"
            )

    def __enter__(self) -> Self:
        self._connected = True
        self._settled_at_s = self.clock.now_s()
        return self

    def __exit__(self, *error: object) -> None:
        self.stop()
        self._connected = False


class ReplayCamera:
    """Runs freely at 30 frames/s from the moment it is entered, and queues the newest 2 frames.

    A frame shows the slice where the stage stood when its exposure of 10 ms began, so that one
    begun before the end of a move betrays itself.
    """

    def __init__(self, stage: ReplayStage) -> None:
        """See through `stage`; raises ImageError if its stack does not say its um per px."""
        stack = stage.stack
        if stack.um_per_px is None:
            raise ImageError(
                f"the um per px of field {stack.field!r} is not in its files: give it "
                "(--um-per-px, or a column um_per_px in a CSV)"
            )
        self._um_per_px = stack.um_per_px
        self._stage = stage
        self._started_s: float | None = None
        self._next = 0

    @property
    def um_per_px(self) -> float:
        """Size of one pixel in the specimen plane, in um."""
        return self._um_per_px

    def frame(self, after_s: float = float("-inf"), timeout_s: float = 2.0) -> Frame:
        """Return the next frame whose exposure began at or after `after_s`.

        Raises CameraStalled at the time-out, CameraError if the slice's file is damaged or the
        camera is not connected, ValueError if `after_s` is no time.
        """
        if self._started_s is None:
            raise CameraError("the replay camera is not connected: enter it (`with camera:`) first")
        if not after_s < math.inf:  # also catches NaN
            raise ValueError(f"after_s must be a time on the camera's clock, got {after_s} s")
        clock = self._stage.clock
        now_s = clock.now_s()
        newest = math.floor((now_s - EXPOSURE_S - self._started_s) / FRAME_PERIOD_S)
        number = max(self._next, newest - (QUEUE_DEPTH - 1))
        if after_s > self._started_s:
            number = max(number, math.floor((after_s - self._started_s) / FRAME_PERIOD_S))
        while (start_s := self._started_s + number * FRAME_PERIOD_S) < after_s:
            number += 1
        end_s = start_s + EXPOSURE_S
        limit_s = max(now_s, after_s) + timeout_s
        if end_s > limit_s:
            clock.wait_until_s(limit_s)
            raise CameraStalled(
                f"no frame begun after {after_s} s came within {timeout_s} s: allow more than "
                f"{FRAME_PERIOD_S + EXPOSURE_S:.3f} s"
            )
        clock.wait_until_s(end_s)
        self._next = number + 1
        try:
            pixels = self._stage.stack.slices[self._stage.slice_at(start_s)].pixels()
        except ImageError as error:
            raise CameraError(str(error)) from error
        return Frame(pixels, start_s, end_s, self._um_per_px)

    def __enter__(self) -> Self:
        self._started_s = self._stage.clock.now_s()
        self._next = 0
        return self

    def __exit__(self, *error: object) -> None:
        self._started_s = None
