"""A microscope whose service runs, here or on the network.

from edge_af.client import connect

with connect() as microscope:
    answer = microscope.focus()
    print(answer.outcome, answer.end_um)
"""

import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Self
from urllib.parse import urlsplit

import httpx
from pydantic import BaseModel

from edge_af.client_line import (
    BusyError,
    CommandError,
    Line,
    NoServiceError,
    RefusedError,
    ServiceError,
    StillRunningError,
)
from edge_af.errors import UserError
from edge_af.server.answers import Reloaded, Stopped
from edge_af.server.settings import sockets_to_try, someone_listens
from edge_af.service.models import (
    Belief,
    Event,
    FocusAnswer,
    Job,
    LogLine,
    Moved,
    Position,
    Status,
)

__all__ = [
    "BusyError",
    "CommandError",
    "Microscope",
    "NoServiceError",
    "RefusedError",
    "ServiceError",
    "StillRunningError",
    "connect",
]

_ONE_WAIT_S = 30.0
"""So long one request waits for a job before the next one does."""
_SILENCE_S = 30.0
"""The service gives a sign of life more often than this."""


def connect(where: str | Path | None = None, token: str | None = None) -> "Microscope":
    """Return the microscope whose service listens at `where`.

    That is the path of its socket, or its address such as http://scope-3.local:8080, which asks for
    a token; by default the socket of this machine's own service. Raises UserError for anything
    else, NoServiceError if nobody listens there.
    """
    text = "" if where is None else str(where)
    if urlsplit(text).scheme in ("http", "https"):
        return _reached(Line(httpx.HTTPTransport(), text.rstrip("/"), token, text))
    if "://" in text:
        raise UserError(f"{text} is no address; give http://HOST:PORT, or the path of a socket")
    paths = sockets_to_try() if where is None else [Path(where)]
    for path in paths:
        if _is_open_to_us(path) and someone_listens(path):
            line = Line(httpx.HTTPTransport(uds=str(path)), "http://localhost", token, str(path))
            return _reached(line)
    raise NoServiceError(
        f"no service listens at {' or '.join(map(str, paths))}",
        "start it with `sudo systemctl start edge-af`, or with `edge-af run`",
    )


def _is_open_to_us(path: Path) -> bool:
    try:
        if not path.is_socket():
            return False
        allowed = os.access(path, os.W_OK)
    except PermissionError:
        allowed = False
    if not allowed:
        raise RefusedError(
            f"you may not use {path}",
            "`ls -ld` of it and its folder shows the group to be in: sudo usermod -aG GROUP $USER, "
            "then log in again",
        )
    return True


def _reached(line: Line) -> "Microscope":
    try:
        line.ask(Status, "GET", "status")
    except ServiceError:
        line.close()
        raise
    return Microscope(line)


class Microscope:
    """Commands and questions to a service. Usable from several threads.

    All methods raise ServiceError: RefusedError for what makes no sense or is not allowed,
    BusyError, NoServiceError; those that wait for a command CommandError and StillRunningError too.
    """

    def __init__(self, line: Line) -> None:
        """Make it with `connect`."""
        self._line = line

    def status(self) -> Status:
        """Return how things stand."""
        return self._line.ask(Status, "GET", "status")

    def focus(
        self, x_um: float | None = None, y_um: float | None = None, timeout_s: float = 120.0
    ) -> FocusAnswer:
        """Focus, and return what came of it: see its `outcome`.

        With the field's place on the slide it starts where the focus map expects the focus.
        """
        at = None if x_um is None else {"x_um": x_um, "y_um": y_um}
        job = self._run("focus", at, timeout_s)
        return FocusAnswer.model_validate(job.result)

    def move_to(self, position_um: float, timeout_s: float = 120.0) -> Moved:
        """Move to a counted stage position."""
        return Moved.model_validate(self._run("move", {"to_um": position_um}, timeout_s).result)

    def move_by(self, distance_um: float, timeout_s: float = 120.0) -> Moved:
        """Move by a distance."""
        return Moved.model_validate(self._run("move", {"by_um": distance_um}, timeout_s).result)

    def home(self, timeout_s: float = 120.0) -> Moved:
        """Run to the end stop; the position is trusted then."""
        return Moved.model_validate(self._run("home", None, timeout_s).result)

    def confirm(self) -> Status:
        """Have the counted position trusted: you have seen that the stage stands there."""
        return self._line.ask(Status, "POST", "confirm")

    def stop(self) -> None:
        """Stop the motor now, and whatever runs; tracking is off."""
        self._line.ask(Stopped, "POST", "stop")

    def track(self, on: bool) -> Status:
        """Hold the focus against drift from now on, or no more."""
        return self._line.ask(Status, "POST", "track", {"on": on})

    def calibrate(self, fields: int = 3) -> Job:
        """Begin to measure the axis; see `job`, and `proceed` between fields."""
        return self._line.ask(Job, "POST", "calibrate", {"fields": fields})

    def collect(self, name: str, range_um: float = 13.0, step_um: float = 0.5) -> Job:
        """Begin to take a focal stack to a file `name` (any.ome.tif) in its state folder."""
        wanted = {"name": name, "range_um": range_um, "step_um": step_um}
        return self._line.ask(Job, "POST", "collect", wanted)

    def reload(self) -> None:
        """Let it read settings and model anew. Raises RefusedError if it keeps the old ones."""
        told = self._line.ask(Reloaded, "POST", "reload")
        if not told.reloaded:
            raise RefusedError(f"the old settings stay: {told.reason}")

    def job(self, id: str) -> Job:
        """Return a job as it is now."""
        return self._line.ask(Job, "GET", f"jobs/{id}")

    def jobs(self) -> list[Job]:
        """Return the latest jobs, the newest first."""
        return self._line.ask(list[Job], "GET", "jobs")

    def cancel(self, id: str) -> Job:
        """End a job; the motor stops where it is."""
        return self._line.ask(Job, "DELETE", f"jobs/{id}")

    def proceed(self, id: str) -> Job:
        """Go on with a job that is `waiting`."""
        return self._line.ask(Job, "POST", f"jobs/{id}/proceed")

    def history(self, limit: int = 200) -> list[dict[str, Any]]:
        """Return the latest entries of the history, the oldest of them first."""
        return self._line.ask(list[dict[str, Any]], "GET", "history", limit=limit)

    def logs(self, lines: int = 100) -> list[LogLine]:
        """Return the latest lines of the service's log, the oldest of them first."""
        return self._line.ask(list[LogLine], "GET", "logs", lines=lines)

    def frame(self, fresh: bool = False) -> bytes:
        """Return the latest frame, or one taken now, as a JPEG."""
        return self._line.content("GET", "frame", fresh=str(fresh).lower())

    def events(self) -> Iterator[Event]:
        """Yield what happens, how things stand first, until the service ends."""
        kind = ""
        for line in self._line.lines("events", _SILENCE_S):
            name, _, value = line.partition(": ")
            if name == "event":
                kind = value
            elif name == "data" and kind in _EVENTS:
                data = _EVENTS[kind].model_validate_json(value)
                yield Event.model_validate({"kind": kind, "data": data})

    def close(self) -> None:
        """Close its connections."""
        self._line.close()

    def wait(self, id: str, timeout_s: float) -> Job:
        """Return a job when it has ended or waits for a person, or as it is after the time."""
        until_s = time.monotonic() + timeout_s
        while True:
            left_s = max(0.0, until_s - time.monotonic())
            job = self._line.ask(Job, "GET", f"jobs/{id}", timeout_s=min(left_s, _ONE_WAIT_S))
            if job.ended or job.state == "waiting" or left_s == 0.0:
                return job

    def _run(self, command: str, body: object, timeout_s: float) -> Job:
        first_s = min(timeout_s, _ONE_WAIT_S)
        job = self._line.ask(Job, "POST", command, body, timeout_s=first_s)
        if not job.ended:
            job = self.wait(job.id, timeout_s - first_s)
        if not job.ended:
            raise StillRunningError(job)
        if job.state != "done":
            raise CommandError(job)
        return job

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()


_EVENTS: dict[str, type[BaseModel]] = {
    "status": Status,
    "job": Job,
    "belief": Belief,
    "position": Position,
    "log": LogLine,
}
