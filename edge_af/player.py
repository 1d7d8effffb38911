"""Camera, stage and clock of a recorded run: its frames, times and positions once more."""

from typing import Final, Self

import numpy as np
from numpy.typing import NDArray

from edge_af.recording import Event, Recording
from hw.camera import CameraError, CameraStalled, Frame
from hw.errors import HardwareError
from hw.stage import LimitError, Range, StageError, StageFault, StageStopped

_RAISED: Final = {
    error.__name__: error
    for error in (
        *(HardwareError, CameraError, CameraStalled),
        *(StageError, StageFault, StageStopped, LimitError),
    )
}
"""The errors of the protocols. Drivers may have kinds of their own below these."""

_FROM_OUTSIDE: Final = ("KeyboardInterrupt", "StageStopped")

_ANSWERS: Final = ("frame", "move", "home", "doubt")


class TapeEnded(BaseException):
    """The recording has no answer. Not an Exception: nothing in between may handle it.

    `asked` is the event that was asked for where the run recorded another, None where the recorded
    run ended at that point by itself.
    """

    def __init__(self, asked: Event | None) -> None:
        super().__init__(asked)
        self.asked = asked


class Tape:
    """The events of one recorded command, taken in turn."""

    def __init__(self, recording: Recording, stage: Event, camera: Event) -> None:
        """`stage` and `camera` are the events of their connection."""
        self._recording = recording
        self.stage, self.camera = stage, camera
        self.place_um = float(stage["position_um"])
        self.settled_at_s = float(stage["settled_at_s"])
        self._next, self._end = 0, 0
        self._now_s = self.settled_at_s

    def rewind(self, first: int, end: int) -> None:
        """Play the events from `first` up to, and without, `end`."""
        self._next, self._end = first, end

    def take(self, kind: str, asked: Event) -> tuple[int, Event]:
        """Return the next answer and its index. Raises TapeEnded if it is none to `asked`."""
        index = self._seek(_ANSWERS)
        if index is None:
            raise TapeEnded(None if self._interrupted() else asked)
        event = self._recording.events[index]
        if event["kind"] != kind:
            raise TapeEnded(asked)
        self._next = index + 1
        return index, event

    def peek(self) -> Event | None:
        """Return the next answer without taking it, None if there is none."""
        index = self._seek(_ANSWERS)
        return None if index is None else self._recording.events[index]

    def arrive(self, event: Event) -> None:
        """Stand where a move ended."""
        self.place_um = event.get("position_um", self.place_um)
        self.settled_at_s = event.get("settled_at_s", self.settled_at_s)

    def now_s(self) -> float:
        """Return the next recorded reading of the clock; the one before if there is none here."""
        index = self._seek(("clock", *_ANSWERS))
        if index is not None and self._recording.events[index]["kind"] == "clock":
            self._next = index + 1
            self._now_s = self._recording.events[index]["now_s"]
        return self._now_s

    def pixels(self, index: int) -> NDArray[np.uint8]:
        """Return the pixels of the frame at `index`."""
        return self._recording.pixels(index)

    def saw(self, time_s: float) -> None:
        """Take it that it is at least `time_s`."""
        self._now_s = max(self._now_s, time_s)

    def _interrupted(self) -> bool:
        """Tell whether the recorded run was ended from outside, or its recording was."""
        ends = self._recording.events[self._end : self._end + 1]
        return not ends or ends[0].get("error", {}).get("type") in _FROM_OUTSIDE

    def _seek(self, kinds: tuple[str, ...]) -> int | None:
        for index in range(self._next, self._end):
            if self._recording.events[index]["kind"] in kinds:
                return index
        return None


def _raise_again(event: Event, base: type[HardwareError]) -> None:
    """Raise what the driver raised, if it did; an error of its own kind as one of `base`."""
    error = event.get("error")
    if error is not None:
        raised = _RAISED.get(error["type"]) or type(error["type"], (base,), {})
        raise raised(error["message"])


class PlayerCamera:
    """Gives the recorded frames, in order."""

    def __init__(self, tape: Tape) -> None:
        self._tape = tape

    @property
    def um_per_px(self) -> float:
        """Size of one pixel in the specimen plane, in um."""
        return float(self._tape.camera["um_per_px"])

    def frame(self, after_s: float = float("-inf"), timeout_s: float = 2.0) -> Frame:
        """Return the next recorded frame, or raise what the camera raised there."""
        asked = {"kind": "frame", "after_s": after_s, "timeout_s": timeout_s}
        index, event = self._tape.take("frame", asked)
        _raise_again(event, CameraError)
        self._tape.saw(event["exposure_end_s"])
        return Frame(
            self._tape.pixels(index),
            event["exposure_start_s"],
            event["exposure_end_s"],
            event["um_per_px"],
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        pass


class PlayerStage:
    """Makes the recorded moves, in order; one to another step ends the tape."""

    def __init__(self, tape: Tape) -> None:
        self._tape = tape

    @property
    def step_um(self) -> float:
        """Smallest move, in um."""
        return float(self._tape.stage["step_um"])

    @property
    def travel(self) -> Range:
        """Positions that the recorded stage could reach."""
        return Range(*self._tape.stage["travel"])

    @property
    def position_um(self) -> float:
        """Where the latest recorded move ended."""
        return self._tape.place_um

    @property
    def settled_at_s(self) -> float:
        """When the recorded stage was at rest."""
        return self._tape.settled_at_s

    def move_to_um(self, target_um: float) -> None:
        """End where the recorded move did, or raise what the stage raised there."""
        asked = {"kind": "move", "target_um": target_um}
        recorded = self._tape.peek()
        if recorded is not None and recorded["kind"] == "move":
            apart_um = abs(recorded["target_um"] - target_um)
            if not apart_um < self.step_um / 2:
                raise TapeEnded(asked)
        _, event = self._tape.take("move", asked)
        self._tape.arrive(event)
        _raise_again(event, StageFault)

    def stop(self) -> None:
        """Nothing moves."""

    def take_doubt(self) -> str | None:
        """Return the doubt that was recorded here."""
        recorded = self._tape.peek()
        if recorded is None or recorded["kind"] != "doubt":
            return None
        return str(self._tape.take("doubt", recorded)[1]["doubt"])

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        pass


class PlayerClock:
    """Shows the recorded times."""

    def __init__(self, tape: Tape) -> None:
        self._tape = tape

    def now_s(self) -> float:
        """Return the next recorded time in seconds."""
        return self._tape.now_s()

    def wait_until_s(self, time_s: float) -> None:
        """Nothing takes time."""
