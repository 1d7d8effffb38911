"""A recorded run played to the code that decides."""

import json
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from edge_af.errors import EdgeAfError
from edge_af.model_file import ModelFile
from edge_af.parts import Parts
from edge_af.player import PlayerCamera, PlayerClock, PlayerStage, Tape, TapeEnded
from edge_af.record import run_focus
from edge_af.recording import Event, Recording, RecordingError
from edge_af.settings import FocusSettings
from hw.errors import HardwareError
from hw.stage import Range

_ANY_PX: Final = (100_000, 100_000)


class Notes:
    """A log in memory, without pixels."""

    def __init__(self) -> None:
        self.events: list[Event] = []

    def add(self, event: Event, pixels: NDArray[np.uint8] | None = None) -> None:  # noqa: ARG002
        """Keep an event as it would come back from a file."""
        self.events.append(json.loads(json.dumps(event)))


@dataclass(frozen=True, slots=True)
class Run:
    """One command twice: the events recorded, and those of playing it again.

    `bins_um` are the bins of the recorded model and of the one in use now, None without one.
    """

    recorded: list[Event]
    replayed: list[Event]
    step_um: float
    bins_um: tuple[Any, Any]


def recorded_settings(recording: Recording) -> FocusSettings:
    """Return the settings of the run. Raises UserError if this version knows them no more."""
    return FocusSettings.checked(**_one(recording, "setup")["settings"])


def recorded_model(recording: Recording) -> dict[str, Any] | None:
    """Return name, sha256 and bins_um of the run's model, None if it had none."""
    model: dict[str, Any] | None = _one(recording, "command")["model"]
    return model


def play(recording: Recording, model: ModelFile | None, settings: FocusSettings) -> list[Run]:
    """Let the code that decides go through a recorded run again, one command after the other.

    The guard is the real one, with the limits of the recorded run. Ends with the command in which
    the code asks for something that was not recorded. Raises RecordingError if there is nothing to
    play, and ModelError if the model does not fit the frames.
    """
    setup, commands = _one(recording, "setup"), _commands(recording)
    tape = Tape(recording, _one(recording, "stage"), _one(recording, "camera"))
    homed = any(event["kind"] == "home" for event in recording.events[: commands[0][0]])
    parts = Parts(
        camera=PlayerCamera(tape),
        driver=PlayerStage(tape),
        clock=PlayerClock(tape),
        settings=settings,
        soft_limits=Range(*setup["soft_limits"]),
        backlash_um=setup["backlash_um"],
        untrusted_window=Range(*setup["untrusted_window"]),
        trusted=setup["trusted"] or homed,
    )
    notes = Notes()
    instrument = parts.instrument(notes)
    bins_um = model.card.model_dump(mode="json")["bins_um"] if model else None
    runs: list[Run] = []
    with instrument:
        if model is not None:
            instrument.use_model(model, _frame_px(recording))
        for first, end in commands:
            for event in recording.events[:first]:
                tape.arrive(event)
            tape.rewind(first, end)
            told = len(notes.events)
            parted = False
            try:
                run_focus(instrument, notes)
            except TapeEnded as ended:
                parted = ended.asked is not None
                if ended.asked is not None:
                    notes.add(ended.asked)
                else:
                    _forget_looks_beyond(notes.events, told, _looks(recording.events[first:end]))
                    notes.events += recording.events[end : end + 1]
            except (EdgeAfError, HardwareError):
                pass  # told to the notes as the end, which may be that of the recorded run too
            recorded = recording.events[first : end + 1]
            was = recorded[0]["model"]
            runs.append(
                Run(
                    recorded,
                    notes.events[told:],
                    tape.stage["step_um"],
                    (was and was["bins_um"], bins_um),
                )
            )
            if parted:
                break
    return runs


def _one(recording: Recording, kind: str) -> Event:
    for event in recording.events:
        if event["kind"] == kind:
            return event
    raise RecordingError(f"{recording.path} ends before its first focus: there is nothing to play")


def _commands(recording: Recording) -> list[tuple[int, int]]:
    """Return where each focus begins, and where its end is, or would be."""
    found: list[tuple[int, int]] = []
    for index, event in enumerate(recording.events):
        if event["kind"] == "command":
            found.append((index, len(recording.events)))
        elif event["kind"] == "end" and found:
            found[-1] = (found[-1][0], index)
    return found


def _frame_px(recording: Recording) -> tuple[int, int]:
    """Return height and width of the frames; more than any model needs if there are none."""
    for event in recording.events:
        if "shape" in event:
            height_px, width_px, _ = event["shape"]
            return height_px, width_px
    return _ANY_PX


def _looks(events: list[Event]) -> int:
    return sum(event["kind"] == "look" for event in events)


def _forget_looks_beyond(events: list[Event], first: int, looks: int) -> None:
    """Drop the look at a last frame that the recorded run did not come to, being interrupted."""
    while _looks(events[first:]) > looks:
        events.pop()
