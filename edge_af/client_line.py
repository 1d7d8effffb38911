"""What the client says to the service, and what it makes of the answers."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, NoReturn, TypeVar

import httpx
from pydantic import TypeAdapter, ValidationError

from edge_af.errors import EdgeAfError, UserError
from edge_af.service.models import Job

_CONNECT_S = 3.0
_ANSWER_S = 10.0

_T = TypeVar("_T")


class ServiceError(EdgeAfError):
    """The service refused, or cannot be reached; `cure` says what to do about it."""

    def __init__(self, error: str, cure: str = "") -> None:
        super().__init__(f"{error}; {cure}" if cure else error)
        self.cure = cure


class NoServiceError(ServiceError):
    """No service answers there."""


class BusyError(ServiceError):
    """Another command runs, or it cannot be done now."""


class RefusedError(ServiceError, UserError):
    """What was asked makes no sense, is not there, or is not allowed."""


class CommandError(ServiceError):
    """A command began and did not come to its end; `job` says more."""

    def __init__(self, job: Job) -> None:
        why = job.error or f"the {job.kind} was {job.state}"
        super().__init__(why, "see `edge-af status`" if job.state == "failed" else "")
        self.job = job


class StillRunningError(ServiceError):
    """The time is over and the command still runs; `job` says which."""

    def __init__(self, job: Job) -> None:
        super().__init__(f"the {job.kind} still runs", "wait for it longer, or stop it")
        self.job = job


class Line:
    """Requests to one service. Usable from several threads."""

    def __init__(
        self, transport: httpx.BaseTransport, base: str, token: str | None, place: str
    ) -> None:
        """Ask `base`, an address, by way of `transport`; errors call it `place`."""
        self._place = place
        self._http = httpx.Client(
            transport=transport,
            base_url=f"{base}/api/v1/",
            headers={} if token is None else {"authorization": f"Bearer {token}"},
            timeout=httpx.Timeout(_ANSWER_S, connect=_CONNECT_S),
            trust_env=False,  # a microscope is not behind the proxy of the web
        )

    def ask(
        self, kind: type[_T], method: str, path: str, body: Any = None, **params: float | str
    ) -> _T:
        """Return the answer as a `kind`. Raises ServiceError."""
        content = self.content(method, path, body, **params)
        try:
            return TypeAdapter(kind).validate_json(content)
        except ValidationError as error:
            raise ServiceError(
                f"{self._place} gave an answer that this client does not understand",
                "use the same version of edge-af on both sides",
            ) from error

    def content(self, method: str, path: str, body: Any = None, **params: float | str) -> bytes:
        """Return the answer as it came. Raises ServiceError."""
        wait_s = _ANSWER_S + float(params.get("timeout_s", 0.0))
        timeout = httpx.Timeout(wait_s, connect=_CONNECT_S)
        with self._faults_told():
            answer = self._http.request(method, path, json=body, params=params, timeout=timeout)
            if answer.is_error:
                self._refuse(answer)
            return answer.content

    def lines(self, path: str, silence_s: float) -> Iterator[str]:
        """Yield the lines of an answer that goes on. Raises ServiceError."""
        with (
            self._faults_told(),
            self._http.stream("GET", path, timeout=httpx.Timeout(silence_s)) as answer,
        ):
            if answer.is_error:
                answer.read()
                self._refuse(answer)
            yield from answer.iter_lines()

    def close(self) -> None:
        """Close its connections."""
        self._http.close()

    def _refuse(self, answer: httpx.Response) -> NoReturn:
        try:
            told = answer.json()
            error, cure = str(told["error"]), str(told["cure"])
        except (ValueError, KeyError, TypeError):
            raise ServiceError(
                f"{self._place} answered {answer.status_code} and no reason", "is it an edge-af?"
            ) from None
        if answer.status_code == httpx.codes.CONFLICT:
            raise BusyError(error, cure)
        raise (RefusedError if answer.is_client_error else ServiceError)(error, cure)

    @contextmanager
    def _faults_told(self) -> Iterator[None]:
        try:
            yield
        except httpx.HTTPError as error:
            raise NoServiceError(
                f"no answer from {self._place} ({str(error) or type(error).__name__})",
                "does its service run?",
            ) from error
