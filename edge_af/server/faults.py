"""Errors as answers: one schema, whatever went wrong."""

import http
from collections.abc import Iterable, Mapping, Sequence

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.routing import APIRoute
from starlette.exceptions import HTTPException
from starlette.responses import JSONResponse
from starlette.routing import BaseRoute

from edge_af.errors import EdgeAfError, UserError
from edge_af.instrument import BusyError
from edge_af.server.answers import ErrorAnswer
from edge_af.service.station import NoJobError
from hw.errors import HardwareError

_CURES = {
    404: "see the OpenAPI for what there is",
    405: "see the header Allow for what this path takes",
    422: "see the OpenAPI for what this path takes",
}
_SEE_STATUS = "see the status for the fault and its cure"


class NotFoundError(UserError):
    """There is no such thing here."""


class TakenError(EdgeAfError):
    """The name is taken."""


def refused(
    status: int, message: str, cure: str, headers: Mapping[str, str] | None = None
) -> JSONResponse:
    """Return an answer that says what was wrong."""
    answer = ErrorAnswer(error=message, cure=cure)
    return JSONResponse(answer.model_dump(), status, headers=dict(headers or {}))


def _methods(routes: Iterable[BaseRoute], path: str) -> list[str]:
    found: set[str] = set()
    for route in routes:
        if isinstance(route, APIRoute) and route.path_regex.match(path):
            found |= route.methods or set()
    return sorted(found)


def handle_errors(app: FastAPI, routes: Sequence[BaseRoute]) -> None:
    """Let `app`, which has `routes`, answer every error in the one schema."""

    @app.exception_handler(RequestValidationError)
    async def invalid(_: Request, error: RequestValidationError) -> JSONResponse:
        fault = error.errors()[0]
        where = ".".join(str(part) for part in fault["loc"])
        return refused(422, f"{where}: {fault['msg']}", _CURES[422])

    @app.exception_handler(HTTPException)
    async def plain(request: Request, error: HTTPException) -> JSONResponse:
        if error.status_code == 400:  # what was sent is not even JSON
            return refused(422, "the body cannot be read", _CURES[422])
        headers = dict(error.headers or {})
        if error.status_code == 405:  # a route knows its own methods only
            headers["Allow"] = ", ".join(_methods(routes, request.url.path)) or headers["Allow"]
        phrase = http.HTTPStatus(error.status_code).phrase.lower()
        return refused(error.status_code, phrase, _CURES.get(error.status_code, ""), headers)

    @app.exception_handler(EdgeAfError)
    async def ours(_: Request, error: EdgeAfError) -> JSONResponse:
        status = 409
        if isinstance(error, UserError):
            status = 404 if isinstance(error, NoJobError | NotFoundError) else 422
        cure = "wait for its end, or stop it" if isinstance(error, BusyError) else _SEE_STATUS
        message, *told = str(error).split("; ", 1)
        return refused(status, message, told[0] if told else cure)

    @app.exception_handler(HardwareError)
    async def hardware(_: Request, error: HardwareError) -> JSONResponse:
        return refused(503, str(error), _SEE_STATUS)

    @app.exception_handler(Exception)
    async def unexpected(_: Request, __: Exception) -> JSONResponse:  # its trace goes to the log
        return refused(500, "the service failed", "see its log, and tell its makers")
