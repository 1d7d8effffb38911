"""The jobs: one at a time, the latest remembered."""

import secrets
import threading
from collections import OrderedDict
from collections.abc import Callable
from contextlib import AbstractContextManager
from datetime import UTC, datetime
from typing import Any

from edge_af.errors import UserError
from edge_af.instrument import BusyError
from edge_af.service.models import Job, JobKind, JobState, Progress

_REMEMBERED = 100


class NoJobError(UserError):
    """There is no job of that id; only the latest are remembered."""


class Jobs:
    """All jobs known, of which one at most has not ended. Thread-safe.

    Its lock is held for moments only. `tell` is called with each job that changed.
    """

    def __init__(self, tell: Callable[[Job], None]) -> None:
        self._tell = tell
        self._jobs: OrderedDict[str, Job] = OrderedDict()
        self._current: str | None = None
        self._ending: JobState | None = None
        self._changed = threading.Condition(threading.RLock())

    def held(self) -> AbstractContextManager[object]:
        """Keep all jobs as they are meanwhile, for something that must change together with one."""
        return self._changed

    def open(self, kind: JobKind) -> Job:
        """Begin a job, queued. Raises BusyError if another has not ended."""
        with self._changed:
            current = self.current
            if current is not None:
                raise BusyError(
                    f"a {current.kind} command is under way (job {current.id}); wait for its end, "
                    "or stop it"
                )
            job = Job(
                id=secrets.token_hex(4), kind=kind, state="queued", started_at=datetime.now(UTC)
            )
            self._current, self._ending = job.id, None
            self._keep(job)
            while len(self._jobs) > _REMEMBERED:
                self._jobs.popitem(last=False)
        return job

    @property
    def current(self) -> Job | None:
        """The job that has not ended."""
        with self._changed:
            return None if self._current is None else self._jobs[self._current]

    @property
    def ending(self) -> JobState | None:
        """As what the current job is to end, if someone ended it: stopped or cancelled."""
        with self._changed:
            return self._ending if self._current is not None else None

    def end_current(self, how: JobState, id: str | None = None) -> bool:
        """Ask that the current job end; False if there is none, or it is not `id`.

        One that nobody has begun is over at once.
        """
        with self._changed:
            current = self.current
            if current is None or id not in (None, current.id):
                return False
            self._ending = self._ending or how
            if current.state == "queued":
                self.close(current.id, self._ending, error=f"{self._ending} before it began")
            self._changed.notify_all()
            return True

    def begin(self, id: str) -> bool:
        """Mark a queued job as running; False if it has been ended meanwhile."""
        with self._changed:
            if self.get(id).state != "queued":
                return False
            self._update(id, state="running")
            return True

    def progress(self, id: str, what: str, done: int, total: int) -> None:
        """Note how far a job is."""
        self._update(id, progress=Progress(what=what, done=done, total=total))

    def await_person(self, id: str, what: str, done: int, total: int) -> bool:
        """Wait until a person has done `what` and told so; False if the job is ended instead."""
        with self._changed:
            waits_for = Progress(what=what, done=done, total=total)
            self._update(id, state="waiting", progress=waits_for)
            self._changed.wait_for(lambda: self.get(id).state != "waiting" or self._ending, None)
            going = self._ending is None
            if self.get(id).state == "waiting":
                self._update(id, state="running")
            return going

    def proceed(self, id: str) -> Job:
        """Tell a waiting job that the person has done it. Raises UserError if it does not wait."""
        with self._changed:
            job = self.get(id)
            if job.state != "waiting":
                raise UserError(f"job {id} does not wait for anybody: it is {job.state}")
            return self._update(id, state="running")

    def close(
        self,
        id: str,
        how: JobState,
        *,
        result: dict[str, Any] | None = None,
        error: str | None = None,
    ) -> Job:
        """End a job."""
        with self._changed:
            if self._current == id:
                self._current = None
            return self._update(
                id, state=how, ended_at=datetime.now(UTC), result=result, error=error
            )

    def get(self, id: str) -> Job:
        """Return a job. Raises NoJobError."""
        with self._changed:
            job = self._jobs.get(id)
        if job is None:
            raise NoJobError(f"there is no job {id}; the latest {_REMEMBERED} are remembered")
        return job

    def all(self) -> list[Job]:
        """Return the jobs, the newest first."""
        with self._changed:
            return list(reversed(self._jobs.values()))

    def wait(self, id: str, timeout_s: float | None) -> Job:
        """Return a job once it has ended, or as it is when the time is over."""
        with self._changed:
            self.get(id)
            self._changed.wait_for(lambda: self.get(id).ended, timeout_s)
            return self.get(id)

    def _update(self, id: str, **changes: object) -> Job:
        with self._changed:
            job = self.get(id).model_copy(update=changes)
            self._keep(job)
            self._changed.notify_all()
        return job

    def _keep(self, job: Job) -> None:
        self._jobs[job.id] = job
        self._tell(job)
