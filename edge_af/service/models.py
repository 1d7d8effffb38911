"""What the service says: the JSON of the API, of its events and of MQTT."""

from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import AwareDatetime, BaseModel, ConfigDict

from edge_af.instrument import FocusResult, State


class _Model(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class Fault(_Model):
    """What is wrong and how to get out of it. `name` is a slug, such as `camera-stalled`."""

    name: str
    cause: str
    cure: str


class Progress(_Model):
    """What a job is doing, how far it is (`done`) and of how much (`total`)."""

    what: str
    done: int
    total: int


JobKind = Literal["focus", "move", "home", "calibrate", "collect"]
JobState = Literal["queued", "running", "waiting", "done", "failed", "cancelled", "stopped"]

ENDED: frozenset[JobState] = frozenset({"done", "failed", "cancelled", "stopped"})
"""A job in one of these does not change any more."""


class Job(_Model):
    """One command and what became of it.

    `waiting`: a person has to do what `progress.what` says, and then `Station.proceed`.
    `result` is a FocusAnswer, Moved, Collected or the Calibration, as JSON; `error` says why there
    is none.
    """

    id: str
    kind: JobKind
    state: JobState
    started_at: AwareDatetime
    ended_at: AwareDatetime | None = None
    result: dict[str, Any] | None = None
    error: str | None = None
    progress: Progress | None = None

    @property
    def ended(self) -> bool:
        """Whether it is over."""
        return self.state in ENDED


class FocusAnswer(FocusResult):
    """What a focus did, and when it ended."""

    at: AwareDatetime


class Moved(_Model):
    """What a move did."""

    start_um: float
    end_um: float


class Collected(_Model):
    """What collecting did; `file` is None if nothing was written, and `reason` then says why."""

    file: str | None
    found: bool
    reason: str
    slices: int
    focus_um: float | None


class Status(_Model):
    """All that can be said of the instrument without touching it.

    `temperature_c` is the processor's, `throttled` what the Pi's firmware complains of now;
    `frames_per_s` is 0 while nobody looks. Position and limits are None until the stage has been
    connected once.
    """

    state: State
    position_um: float | None
    trusted: bool
    untrusted_reason: str | None
    reachable_low_um: float | None
    reachable_high_um: float | None
    step_um: float | None
    tracking: bool
    job: Job | None
    fault: Fault | None
    model: str | None
    um_per_px: float | None
    calibrated: bool
    last: FocusAnswer | None
    temperature_c: float | None
    throttled: list[str]
    version: str
    uptime_s: float
    frames_per_s: float


class Belief(_Model):
    """Where the focus is believed to lie: a density per um over stage positions, for a plot."""

    position_um: list[float]
    density: list[float]
    here_um: float


class Position(_Model):
    """Where the stage is counted to stand."""

    position_um: float
    trusted: bool


class LogLine(_Model):
    """Something that happened; `level` is a name of the logging module, in lower case."""

    at: AwareDatetime
    level: Literal["info", "warning", "error"]
    text: str


EventKind = Literal["status", "job", "belief", "position", "log"]


class Event(_Model):
    """News. `kind` says what `data` is."""

    kind: EventKind
    data: Status | Job | Belief | Position | LogLine


@dataclass(frozen=True, slots=True)
class SeenTile:
    """A tile that the model looked at: left, top, width, height in pixels of the frame.

    `confidence` is the probability of its likeliest class, 0 to 1; `used` says whether it counted.
    """

    box_px: tuple[int, int, int, int]
    confidence: float
    used: bool


@dataclass(frozen=True, slots=True)
class Picture:
    """The latest frame and what the model made of it.

    `pixels` is H x W x 3 uint8 RGB, read-only. `distribution` is float64 (k,), over `centres_um`
    of defocus (k,), ascending; None if the model abstained (`abstained` says why) or there is no
    model. `taken_s` is on the monotonic clock; `number` rises with every picture.
    """

    pixels: NDArray[np.uint8]
    um_per_px: float
    taken_s: float
    number: int
    tiles: tuple[SeenTile, ...] = ()
    abstained: str | None = None
    distribution: NDArray[np.float64] | None = None
    centres_um: NDArray[np.float64] = field(default_factory=lambda: np.empty(0))
