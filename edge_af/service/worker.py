"""The one thread that works the instrument: jobs, looks of tracking, pictures, in that order."""

import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import Any

from edge_af.errors import EdgeAfError
from edge_af.instrument import TRANSITIONS, Instrument, State
from edge_af.routines.track import Deed, Tracked
from edge_af.service.faults import fault_of
from edge_af.service.jobs import Jobs
from edge_af.service.machine import Machine
from edge_af.service.models import Fault, Job, JobKind
from edge_af.service.picture import Gallery
from hw.camera import CameraError
from hw.errors import HardwareError
from hw.stage import LimitError, StageStopped

Action = Callable[[str, Instrument], dict[str, Any]]
"""What a job does, given its id; it returns the job's result."""

STATES: dict[JobKind, State] = {
    "focus": State.FOCUSING,
    "move": State.MOVING,
    "home": State.MOVING,
    "calibrate": State.CALIBRATING,
    "collect": State.COLLECTING,
}

LATE_S = 30.0
"""A worker that has not stirred for so long is stuck in a driver: all of its waits are shorter."""

_NAP_S = 5.0
_CHECK_EVERY_S = 30.0
_PREVIEW_PERIOD_S = 0.1
_PREVIEW_LOOK_EVERY_S = 0.5
_RETRY_FIRST_S, _RETRY_MOST_S = 5.0, 60.0


@dataclass
class Errand:
    """Something to do between commands, for someone who waits until it is `done`."""

    action: Callable[[], None]
    error: BaseException | None = None
    done: threading.Event = field(default_factory=threading.Event)


class Worker:
    """Runs one thing at a time on the machine; all else only asks it to.

    `stop` and `cancel` wait for nothing that a command holds. The attributes may be read from any
    thread.
    """

    def __init__(
        self,
        machine: Machine,
        jobs: Jobs,
        gallery: Gallery,
        tell: Callable[[], None],
        say: Callable[[str, str], None],
    ) -> None:
        """`tell` is called when status has changed, `say` with a level and a line for the log."""
        self._machine = machine
        self._jobs = jobs
        self._gallery = gallery
        self._tell = tell
        self._say = say
        self.state = State.OFF
        self.fault: Fault | None = None
        self.tracking = False
        self._stopped = False
        self._wake = threading.Condition()
        self._actions: dict[str, Action] = {}
        self._errands: deque[Errand] = deque()
        self._closing = False
        self._active_job: str | None = None
        self._activity_lock = threading.RLock()  # held for moments only
        machine.admit = self._admit
        now_s = self._beat_s = time.monotonic()
        self._seen_um: float | None = None
        self._look_s = self._check_s = self._retry_s = self._shown_s = now_s
        self._looked_s = now_s
        self._retry_after_s = _RETRY_FIRST_S
        self._deed: Deed | None = None
        self._tracks_anew = False
        self._thread = threading.Thread(target=self._run, name="instrument", daemon=True)

    # Called from any thread

    def start(self) -> None:
        """Begin to connect."""
        self._thread.start()

    def close(self) -> None:
        """Stop whatever runs, release the instrument, and end."""
        with self._wake:
            self._closing = True
        self.stop()
        self._thread.join()

    def wake(self) -> None:
        """Look around for something to do."""
        with self._wake:
            self._wake.notify_all()

    def submit(self, kind: JobKind, action: Action) -> Job:
        """Have a job done next. Raises BusyError, and EdgeAfError where the service is ending."""
        with self._wake:
            self._require_open()
            job = self._jobs.open(kind)
            self._actions = {job.id: action}
            self._wake.notify_all()
        return job

    def ask(self, action: Callable[[], None], timeout_s: float | None = None) -> bool:
        """Have `action` done between commands; False if its time is over first.

        Raises what it raises.
        """
        errand = Errand(action)
        with self._wake:
            self._require_open()
            self._errands.append(errand)
            self._wake.notify_all()
        done = errand.done.wait(timeout_s)
        if errand.error is not None:
            raise errand.error
        return done

    def take_picture(self, timeout_s: float) -> bool:
        """Take a frame between commands and let the model look at it; False if that failed."""
        return self.ask(lambda: self._picture(look=True), timeout_s) and self.fault is None

    def track(self, on: bool) -> None:
        """Hold the focus, or no more."""
        if on and not self.tracking:
            self._tracks_anew = True
            self._look_s = time.monotonic()
        self.tracking = on
        self.wake()

    def stop(self) -> None:
        """Stop the motor now, and whatever is under way."""
        # In this order: once the worker has taken note of the stop, it must not look again.
        self.tracking = False
        self._stopped = True  # a command that begins from here on is not admitted
        self._machine.stop()
        if self._jobs.end_current("stopped"):
            self._machine.stop()  # had it begun in between
        self.wake()

    def cancel(self, id: str) -> None:
        """End a job, if it has not ended."""
        with self._activity_lock:  # so that it is not the next command that is stopped
            if self._jobs.end_current("cancelled", id) and self._active_job == id:
                self._machine.stop()

    def reload(self) -> None:
        """Take settings and model into use as they are now, between commands.

        Raises what is wrong with them; the old ones stay.
        """
        self.ask(self._reload)

    def beat(self) -> None:
        """Note that the worker is alive."""
        self._beat_s = time.monotonic()

    @property
    def alive(self) -> bool:
        """Whether the worker has stirred lately, or waits for a person, or the motor turns.

        A board that homes by itself says nothing until it has done; its driver limits how long.
        """
        job, instrument = self._jobs.current, self._machine.instrument
        if job is not None and (job.state == "waiting" or job.kind == "home"):
            self.beat()
        with suppress(HardwareError):
            place_um = None if instrument is None else instrument.stage.position_um
            if place_um != self._seen_um:
                self._seen_um = place_um
                self.beat()
        return self._thread.is_alive() and time.monotonic() - self._beat_s < LATE_S

    def _require_open(self) -> None:
        if self._closing:
            raise EdgeAfError("the service is ending")

    # The worker's own thread

    def _run(self) -> None:
        self._connect()
        while not self._closing:
            self.beat()
            if self._stopped:
                self._stopped = False
                self._enter_if_allowed(State.STOPPED)
            if self._lingers:
                self._enter(State.IDLE)
            self._do_next()
        job = self._jobs.current
        if job is not None:
            self._jobs.close(job.id, "stopped", error="the service is ending")
        for errand in self._errands:
            errand.error = EdgeAfError("the service is ending")
            errand.done.set()
        try:
            self._machine.disconnect(for_good=True)
        except HardwareError as error:
            self._say("error", str(error))
        self.state = State.OFF
        self._tell()

    def _do_next(self) -> None:
        with self._wake:
            pause_s = self._pause_s()
            if pause_s > 0:
                self._wake.wait(pause_s)
                return
        now_s = time.monotonic()
        job = self._jobs.current
        if job is not None:
            action = self._actions.pop(job.id, None)
            if action is not None:
                self._do(job, action)
        elif self._errands:
            self._do_errand(self._errands.popleft())
        elif self._must_retry(now_s):
            self._connect()
        elif self._may_look(now_s):
            self._look()
        elif self.fault is None and self._gallery.watched and now_s >= self._shown_s:
            self._show()
        elif self.fault is None and now_s >= self._check_s:
            self._check()

    @property
    def _lingers(self) -> bool:
        """Whether tracking was ended and its state was not."""
        return self.state is State.TRACKING and not self.tracking and not self._stopped

    def _pause_s(self) -> float:
        if self._jobs.current is not None or self._errands or self._closing or self._stopped:
            return 0.0
        if self._lingers:
            return 0.0
        due_s = [time.monotonic() + _NAP_S]
        if self._recovers_alone:
            due_s.append(self._retry_s)
        elif self.fault is None:
            due_s.append(self._check_s)
            if self.tracking:
                due_s.append(self._look_s)
            if self._gallery.watched:
                due_s.append(self._shown_s)
        return min(due_s) - time.monotonic()

    @property
    def _recovers_alone(self) -> bool:
        """Whether to try again unasked: never where a motor may be at fault."""
        fault = self.fault
        if fault is None:
            return False
        return not self._machine.connected or fault.name.startswith("camera-")

    def _must_retry(self, now_s: float) -> bool:
        return self._recovers_alone and now_s >= self._retry_s

    def _may_look(self, now_s: float) -> bool:
        return self.tracking and self.fault is None and now_s >= self._look_s

    def _admit(self) -> None:
        if self._stopped or self._jobs.ending is not None:
            raise StageStopped("stopped before it had moved")

    @contextmanager
    def _active(self, job: str) -> Iterator[None]:
        with self._activity_lock:
            self._active_job = job
        try:
            yield
        finally:
            with self._activity_lock:
                self._active_job = None
            self.beat()

    def _connect(self) -> bool:
        """Connect if need be; on failure the fault says why."""
        if self._machine.connected and not self._machine.suspect and self.fault is None:
            return True
        if self.state is not State.OFF:
            self._enter(State.OFF)
        self._enter(State.STARTING)
        try:
            self._machine.connect()
        except Exception as error:  # whatever a driver or a library raises, the service stays
            self._fail(error)
            self._retry_s = time.monotonic() + self._retry_after_s
            self._retry_after_s = min(2 * self._retry_after_s, _RETRY_MOST_S)
            return False
        self.fault = None
        self._retry_after_s = _RETRY_FIRST_S
        self._check_s = time.monotonic() + _CHECK_EVERY_S
        self._enter(State.IDLE)
        return True

    def _do(self, job: Job, action: Action) -> None:
        if not self._jobs.begin(job.id):
            return
        with self._active(job.id):
            if not self._connect():
                cause = self.fault.cause if self.fault else ""
                self._jobs.close(job.id, "failed", error=cause)
                return
            assert self._machine.instrument is not None
            self._enter(STATES[job.kind])
            reason = self._machine.instrument.stage.untrusted_reason
            try:
                result = action(job.id, self._machine.instrument)
            except StageStopped as error:
                self._end(job, State.STOPPED, error)
            except (LimitError, EdgeAfError) as error:
                self._end(job, State.IDLE, error)
            except Exception as error:
                self._end(job, State.FAULT, error)
            else:
                self._enter(State.IDLE)
                self._jobs.close(job.id, "done", result=result)
        self._after(reason)

    def _end(self, job: Job, state: State, error: Exception) -> None:
        if state is State.FAULT:
            self._fail(error)
        else:
            self._enter(state)
        cause = fault_of(error).cause
        how = self._jobs.ending or ("stopped" if state is State.STOPPED else "failed")
        self._say("warning", f"{job.kind} {job.id} {how}: {cause}")
        self._jobs.close(job.id, how, error=cause)

    def _after(self, reason: str | None) -> None:
        machine = self._machine
        machine.tracker.forget()
        instrument = machine.instrument
        if instrument is not None and instrument.stage.untrusted_reason not in (None, reason):
            machine.map.clear()
        machine.note_place()
        self._look_s = time.monotonic()
        self._tell()

    def _do_errand(self, errand: Errand) -> None:
        try:
            errand.action()
        except Exception as error:
            errand.error = error
        errand.done.set()
        self._tell()

    def _reload(self) -> None:
        machine = self._machine
        try:
            machine.reload()
        except Exception as error:
            if not machine.connected:
                self._fail(error)
            raise
        self.fault = None
        if self.state in (State.FAULT, State.OFF):
            for state in (State.OFF, State.STARTING, State.IDLE):
                self._enter_if_allowed(state)

    def _look(self) -> None:
        machine = self._machine
        assert machine.instrument is not None
        assert machine.setup is not None
        settings = machine.setup.config.track
        pause_s = settings.every_s
        if self._tracks_anew:
            self._tracks_anew, self._deed = False, None
            machine.tracker.forget()
        if self.state is not State.TRACKING:
            self._enter(State.TRACKING)
        try:
            tracked = machine.instrument.track(machine.tracker)
        except StageStopped:
            pass
        except Exception as error:
            self._fail(error)
            # A camera comes back; a motor that failed is not driven on unasked.
            if not isinstance(error, CameraError):
                self.tracking = False
        else:
            pause_s = tracked.next_look_s(settings)
            self._note(tracked)
        self._look_s = time.monotonic() + pause_s
        self._check_s = time.monotonic() + _CHECK_EVERY_S
        machine.note_place()

    def _note(self, tracked: Tracked) -> None:
        if tracked.deed is not self._deed and tracked.reason:
            self._say("info", f"tracking: {tracked.deed}: {tracked.reason}")
        self._deed = tracked.deed

    def _show(self) -> None:
        now_s = time.monotonic()
        self._shown_s = now_s + _PREVIEW_PERIOD_S
        look = now_s >= self._looked_s + _PREVIEW_LOOK_EVERY_S
        if look:
            self._looked_s = now_s
        self._picture(look=look)

    def _check(self) -> None:
        self._picture(look=False)
        self._machine.note_place()

    def _picture(self, *, look: bool) -> None:
        self._check_s = time.monotonic() + _CHECK_EVERY_S
        if not self._machine.connected:
            return
        try:
            self._machine.take_frame(look=look)
        except Exception as error:
            self._fail(error)

    def _fail(self, error: Exception) -> None:
        fault = fault_of(error)
        if fault != self.fault:
            self._say("error", f"{fault.name}: {fault.cause}; {fault.cure}")
        self.fault = fault
        self._machine.suspect = True
        self._retry_s = time.monotonic() + self._retry_after_s
        self._enter_if_allowed(State.FAULT)

    def _enter(self, state: State) -> None:
        if state not in TRANSITIONS[self.state]:
            raise AssertionError(f"{state} cannot follow {self.state}")
        self.state = state
        self._tell()

    def _enter_if_allowed(self, state: State) -> None:
        if state in TRANSITIONS[self.state]:
            self._enter(state)
