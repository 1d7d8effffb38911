"""One instrument and the thread that works it, for everyone who talks to it; thread-safe."""

import logging
import math
import threading
import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal, Self, cast

from edge_af.classifier import Sight
from edge_af.config import Config
from edge_af.doctor.system import System
from edge_af.errors import EdgeAfError, UserError
from edge_af.hardware import Workshop
from edge_af.instrument import BusyError, Instrument
from edge_af.parts import Parts
from edge_af.routines.collect import StackPlan
from edge_af.scale import DefocusScale
from edge_af.service import commands
from edge_af.service.events import Events, Subscription
from edge_af.service.jobs import Jobs, NoJobError
from edge_af.service.machine import Machine
from edge_af.service.machine_health import temperature_c, throttled
from edge_af.service.models import (
    Event,
    FocusAnswer,
    Job,
    LogLine,
    Picture,
    Position,
    Status,
)
from edge_af.service.picture import Gallery, WatchedCamera, WatchedObserver, plotted
from edge_af.service.place_keeper import PlaceKeeper
from edge_af.service.worker import Worker
from edge_af.stack_writer import StackWriter
from edge_af.versions import version_of
from hw.errors import HardwareError
from hw.guard import GuardedStage
from hw.stage import Range

__all__ = ["NoJobError", "Station"]

_MOST_FIELDS = 20
_FRESH_WITHIN_S = 5.0
_BUSY_PERIOD_S, _IDLE_PERIOD_S = 0.1, 1.0
_THROTTLED_EVERY_S = 60.0

_log = logging.getLogger("edge_af.service")


class Station:
    """Owns one instrument on a worker thread. Commands come back at once with a Job.

    All of its methods can be called from any thread. Commands raise
    `edge_af.instrument.BusyError` while another command runs (tracking is no command: it is
    paused), and UserError for values that make no sense. Everything that happens in a job is told
    in the job, not raised.

    Use: `with Station(lambda: read_config(path)) as station:`. Entering returns at once; the
    instrument connects in the worker (State.STARTING). Where it cannot, the state is FAULT, the
    fault says why, and it tries again by itself and with the next command.
    """

    def __init__(
        self, read: Callable[[], Config], make_parts: Callable[[Config], Parts] | None = None
    ) -> None:
        """`read` returns the settings as they are now (raises UserError); again at `reload`."""
        self._events = Events()
        self._gallery = Gallery()
        self._jobs = Jobs(self._tell_job)
        self._machine = Machine(
            read,
            make_parts or Workshop().parts,
            lambda camera: WatchedCamera(camera, self._gallery, self._beat),
            lambda observer: WatchedObserver(observer, self._gallery, self._tell_sight),
            PlaceKeeper(lambda text: self._say("warning", text)),
        )
        self._worker = Worker(self._machine, self._jobs, self._gallery, self._tell, self._say)
        self._started_s = time.monotonic()
        self._last: FocusAnswer | None = None
        self._system = System()
        self._throttled: list[str] = []
        self._version = version_of("edge-af") or "unknown"
        self._closing = threading.Event()
        self._herald = threading.Thread(target=self._tell_changes, name="herald", daemon=True)

    # How things stand

    def status(self) -> Status:
        """Return how things stand; never waits for a command."""
        machine, worker = self._machine, self._worker
        instrument, setup = machine.instrument, machine.setup
        stage = None if instrument is None else instrument.stage
        reachable = None if stage is None else _reachable(stage)
        classifier = None if instrument is None else instrument.classifier
        trusted = stage is not None and stage.trusted
        with self._jobs.held():  # a job that ends and the state after it are one piece of news
            state, fault, job = worker.condition.state, worker.condition.fault, self._jobs.current
        return Status(
            state=state,
            position_um=None if stage is None else _position_um(stage),
            trusted=trusted,
            untrusted_reason=(
                "the stage has not been connected" if stage is None else stage.untrusted_reason
            ),
            reachable_low_um=reachable and reachable.low_um,
            reachable_high_um=reachable and reachable.high_um,
            step_um=None if stage is None else stage.step_um,
            tracking=worker.lookout.tracking,
            job=job,
            fault=fault,
            model=None if classifier is None else classifier.card.name,
            um_per_px=None if setup is None else setup.parts.camera.um_per_px,
            calibrated=setup is not None and setup.calibration is not None,
            last=self._last,
            temperature_c=temperature_c(self._system),
            throttled=self._throttled,
            version=self._version,
            uptime_s=round(time.monotonic() - self._started_s, 1),
            frames_per_s=self._gallery.frames_per_s,
        )

    def picture(self, fresh: bool = False) -> Picture | None:
        """Return the latest frame and what the model made of it, None before the first.

        `fresh` takes one now, unless a command runs: that is taking its own. None if that fails.
        """
        if fresh:
            try:
                if not self._worker.take_picture(_FRESH_WITHIN_S):
                    return None
            except BusyError:
                pass
            except EdgeAfError:
                return None
        return self._gallery.latest

    def alive(self) -> bool:
        """Tell whether the worker has stirred lately, for the watchdog.

        Idle, it asks the camera for a frame now and then. A fault that it knows of is no reason to
        be restarted: it is told, and dealt with.
        """
        return self._worker.alive

    # Commands

    def focus(self, x_um: float | None = None, y_um: float | None = None) -> Job:
        """Focus; with the field's place on the slide, start where the focus map expects it."""
        if (x_um is None) != (y_um is None):
            raise UserError("a place on the slide has both x_um and y_um")
        place = None
        if x_um is not None and y_um is not None:
            _require_finite("x_um", x_um)
            _require_finite("y_um", y_um)
            place = (x_um, y_um)

        def run(_: str, instrument: Instrument) -> dict[str, Any]:
            self._last = commands.focus(self._machine, instrument, place)
            return self._last.model_dump(mode="json")

        return self._worker.submit("focus", run)

    def move_to(self, position_um: float) -> Job:
        """Move to a counted stage position."""
        _require_finite("position_um", position_um)
        return self._worker.submit(
            "move", lambda _, i: commands.move(i, lambda _: position_um).model_dump(mode="json")
        )

    def move_by(self, distance_um: float) -> Job:
        """Move by a distance."""
        _require_finite("distance_um", distance_um)
        return self._worker.submit(
            "move",
            lambda _, i: commands.move(i, lambda here: here + distance_um).model_dump(mode="json"),
        )

    def home(self) -> Job:
        """Run to the end stop; the position is trusted then."""
        return self._worker.submit("home", lambda _, i: commands.home(i).model_dump(mode="json"))

    def calibrate(self, fields: int = 3) -> Job:
        """Measure the axis, on so many fields; between them the job is `waiting`: `proceed`."""
        if not 1 <= fields <= _MOST_FIELDS:
            raise UserError(f"fields = {fields} is not from 1 to {_MOST_FIELDS}")
        return self._worker.submit(
            "calibrate", lambda job, _: commands.calibrate(self._machine, self._jobs, job, fields)
        )

    def collect(self, range_um: float, step_um: float, path: Path) -> Job:
        """Take a focal stack to `path` (a new .ome.tif)."""
        plan = StackPlan(range_um, step_um)
        StackWriter(path, slices=plan.most_frames)  # tells whether the name will do
        return self._worker.submit(
            "collect",
            lambda job, i: commands.collect(i, self._jobs, job, plan, path).model_dump(mode="json"),
        )

    def track(self, on: bool) -> None:
        """Hold the focus against drift from now on, or no more. A command pauses it."""
        self._worker.track(on)
        self._tell()

    def confirm(self) -> None:
        """Trust the counted position: a person has seen that the axis stands there.

        Raises BusyError while a command runs, and EdgeAfError if the stage is not connected.
        """

        def confirm() -> None:
            if not self._machine.connected or self._machine.instrument is None:
                raise EdgeAfError("the stage is not connected: see the fault, and its way out")
            stage = self._machine.instrument.stage
            stage.trust(stage.position_um)

        self._worker.ask(confirm)

    def stop(self) -> None:
        """Stop the motor now, and whatever runs; tracking is off.

        From any thread, at any time; waits for nothing that a command holds.
        """
        self._worker.stop()

    def reload(self) -> str | None:
        """Try settings and model anew. None: in use; else why the old ones stay.

        Raises BusyError while a command runs.
        """
        try:
            self._worker.reload()
        except BusyError:
            raise
        except (EdgeAfError, HardwareError) as error:
            self._say("warning", f"settings and model stay as they were: {error}")
            return str(error)
        self._say("info", "settings and model are as they are on disk")
        self._tell()
        return None

    # Jobs

    def job(self, id: str) -> Job:
        """Return a job as it is now. Raises NoJobError."""
        return self._jobs.get(id)

    def jobs(self) -> list[Job]:
        """Return the latest jobs, the newest first."""
        return self._jobs.all()

    def wait(self, id: str, timeout_s: float | None = None) -> Job:
        """Return the job once it has ended, or as it is when the time is over."""
        return self._jobs.wait(id, timeout_s)

    def cancel(self, id: str) -> Job:
        """End a job: the motor stops where it is. Tracking then goes on, if it was on."""
        self._jobs.get(id)
        self._worker.cancel(id)
        return self._jobs.get(id)

    def proceed(self, id: str) -> Job:
        """Go on with a job that is `waiting`: what it asked for has been done."""
        return self._jobs.proceed(id)

    # News

    def subscribe(self) -> Subscription:
        """Return a subscription to events, for another thread to iterate over."""
        return self._events.subscribe()

    def watch(self) -> AbstractContextManager[None]:
        """While in it, frames flow for the preview; else the camera is left alone."""
        return self._gallery.watch(self._worker.wake)

    def _beat(self) -> None:
        self._worker.beat()

    def _tell(self) -> None:
        if self._events:
            self._events.publish(Event(kind="status", data=self.status()))

    def _tell_job(self, job: Job) -> None:
        self._events.publish(Event(kind="job", data=job))

    def _tell_sight(self, sight: Sight, scale: DefocusScale) -> None:
        instrument = self._machine.instrument
        if self._events and instrument is not None:
            belief = plotted(sight, scale, instrument.stage.position_um)
            if belief is not None:
                self._events.publish(Event(kind="belief", data=belief))

    def _say(self, level: str, text: str) -> None:
        _log.log(logging.getLevelNamesMapping()[level.upper()], text)
        known = cast(Literal["info", "warning", "error"], level)
        self._events.publish(
            Event(kind="log", data=LogLine(at=datetime.now(UTC), level=known, text=text))
        )

    def _tell_changes(self) -> None:
        """Tell of what changes by itself: the position in a move, temperature, rate of frames."""
        position: Position | None = None
        told: Status | None = None
        throttled_s = status_s = -math.inf
        busy = False
        while not self._closing.wait(_BUSY_PERIOD_S if busy else _IDLE_PERIOD_S):
            now_s = time.monotonic()
            busy = self._jobs.current is not None or self._worker.lookout.tracking
            if now_s >= throttled_s:
                self._throttled = throttled(self._system)
                throttled_s = now_s + _THROTTLED_EVERY_S
            if not self._events:
                continue
            position = self._tell_position(position)
            if now_s >= status_s:
                status_s = now_s + _IDLE_PERIOD_S
                status = self.status()
                if told is None or status.model_copy(update={"uptime_s": told.uptime_s}) != told:
                    told = status
                    self._events.publish(Event(kind="status", data=status))

    def _tell_position(self, before: Position | None) -> Position | None:
        instrument = self._machine.instrument
        place_um = None if instrument is None else _position_um(instrument.stage)
        if instrument is None or place_um is None:
            return before
        position = Position(position_um=place_um, trusted=instrument.stage.trusted)
        if position != before:
            self._events.publish(Event(kind="position", data=position))
        return position

    def __enter__(self) -> Self:
        self._worker.start()
        self._herald.start()
        return self

    def __exit__(self, *error: object) -> None:
        """Stop the motor, end the job under way, release the instrument."""
        self._closing.set()
        try:
            self._worker.close()
        finally:
            self._events.close()
            self._herald.join()


def _require_finite(name: str, value: float) -> None:
    if not math.isfinite(value):
        raise UserError(f"{name} = {value}: it must be finite")


def _position_um(stage: GuardedStage) -> float | None:
    try:
        return round(stage.position_um, 4)
    except HardwareError:
        return None


def _reachable(stage: GuardedStage) -> Range | None:
    try:
        return stage.reachable
    except HardwareError:
        return None
