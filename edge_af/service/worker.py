"""The one thread that works the instrument: jobs, looks of tracking, pictures, in that order."""

import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import Any

from edge_af.errors import EdgeAfError
from edge_af.instrument import BusyError, Instrument, State
from edge_af.service.condition import Condition
from edge_af.service.faults import fault_of
from edge_af.service.jobs import Jobs
from edge_af.service.lookout import Lookout
from edge_af.service.machine import Machine
from edge_af.service.models import Job, JobKind
from edge_af.service.picture import Gallery
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
        self._tell = tell
        self._say = say
        self.condition = Condition(machine, tell, say)
        self.lookout = Lookout(machine, self.condition, gallery, say)
        self._stopped = False
        self._wake = threading.Condition()
        self._actions: dict[str, Action] = {}
        self._errands: deque[Errand] = deque()
        self._closing = False
        self._active_job: str | None = None
        self._activity_lock = threading.RLock()  # held for moments only
        machine.admit = self._admit
        self._beat_s = time.monotonic()
        self._seen_um: float | None = None
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
        """Have `action` done before any later job; False if its time is over first.

        Raises BusyError while a job is under way, and what `action` raises.
        """
        errand = Errand(action)
        with self._wake:
            self._require_open()
            job = self._jobs.current
            if job is not None:
                raise BusyError(f"a {job.kind} command is under way; wait for its end, or stop it")
            self._errands.append(errand)
            self._wake.notify_all()
        done = errand.done.wait(timeout_s)
        if errand.error is not None:
            raise errand.error
        return done

    def take_picture(self, timeout_s: float) -> bool:
        """Take a frame now and let the model look at it; False if that failed.

        Raises BusyError while a job is under way.
        """
        taken = self.ask(lambda: self.lookout.take_picture(look=True), timeout_s)
        return taken and self.condition.fault is None

    def track(self, on: bool) -> None:
        """Hold the focus, or no more."""
        self.lookout.track(on)
        self.wake()

    def stop(self) -> None:
        """Stop the motor now, and whatever is under way."""
        # In this order: once the worker has taken note of the stop, it must not look again.
        self.lookout.tracking = False
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
        """Take settings and model into use as they are now.

        Raises BusyError while a job is under way, and what is wrong with them; the old ones stay.
        """
        self.ask(self.condition.reload)

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
        self.condition.connect()
        while not self._closing:
            self.beat()
            if self._stopped:
                self._stopped = False
                self.condition.enter_if_allowed(State.STOPPED)
            if self._lingers:
                self.condition.enter(State.IDLE)
            self._do_next()
        self._wind_up()

    def _wind_up(self) -> None:
        with self._wake:
            errands = list(self._errands)
        job = self._jobs.current
        if job is not None:
            self._jobs.close(job.id, "stopped", error="the service is ending")
        for errand in errands:
            errand.error = EdgeAfError("the service is ending")
            errand.done.set()
        try:
            self._machine.disconnect(for_good=True)
        except HardwareError as error:
            self._say("error", str(error))
        self.condition.state = State.OFF
        self._tell()

    def _do_next(self) -> None:
        with self._wake:
            pause_s = self._pause_s()
            if pause_s > 0:
                self._wake.wait(pause_s)
                return
            # Whoever asked before a job was opened does not wait for its end.
            errand = self._errands.popleft() if self._errands else None
        job = self._jobs.current
        if errand is not None:
            self._do_errand(errand)
        elif job is not None:
            action = self._actions.pop(job.id, None)
            if action is not None:
                self._do(job, action)
        elif self.condition.recovers_alone:
            if time.monotonic() >= self.condition.retry_s:
                self.condition.connect()
        else:
            self.lookout.do_due()

    @property
    def _lingers(self) -> bool:
        """Whether tracking was ended and its state was not."""
        tracks = self.lookout.tracking or self._stopped
        return self.condition.state is State.TRACKING and not tracks

    def _pause_s(self) -> float:
        if self._jobs.current is not None or self._errands or self._closing or self._stopped:
            return 0.0
        if self._lingers:
            return 0.0
        now_s, condition = time.monotonic(), self.condition
        due_s = condition.retry_s if condition.recovers_alone else self.lookout.due_s
        return min(now_s + _NAP_S, due_s) - now_s

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

    def _do(self, job: Job, action: Action) -> None:
        with self._active(job.id):
            connected = self.condition.connect()
            with self._jobs.held():
                if not self._jobs.begin(job.id):
                    return
                if connected:
                    self.condition.enter(STATES[job.kind])
            instrument = self._machine.instrument
            if not connected or instrument is None:
                fault = self.condition.fault
                self._jobs.close(job.id, "failed", error=fault.cause if fault else "")
                return
            reason = instrument.stage.untrusted_reason
            try:
                result = action(job.id, instrument)
            except StageStopped as error:
                self._end(job, State.STOPPED, error)
            except (LimitError, EdgeAfError) as error:
                self._end(job, State.IDLE, error)
            except Exception as error:
                self._end(job, State.FAULT, error)
            else:
                with self._jobs.held():
                    self._jobs.close(job.id, "done", result=result)
                    self.condition.enter(State.IDLE)
        self._after(reason)

    def _end(self, job: Job, state: State, error: Exception) -> None:
        cause = fault_of(error).cause
        with self._jobs.held():
            how = self._jobs.ending or ("stopped" if state is State.STOPPED else "failed")
            self._jobs.close(job.id, how, error=cause)
            if state is State.FAULT:
                self.condition.fail(error)
            else:
                self.condition.enter(state)
        self._say("warning", f"{job.kind} {job.id} {how}: {cause}")

    def _after(self, reason: str | None) -> None:
        machine = self._machine
        self.lookout.moved()
        instrument = machine.instrument
        if instrument is not None and instrument.stage.untrusted_reason not in (None, reason):
            machine.map.clear()
        machine.note_place()
        self._tell()

    def _do_errand(self, errand: Errand) -> None:
        try:
            errand.action()
        except Exception as error:
            errand.error = error
        errand.done.set()
        self._tell()
