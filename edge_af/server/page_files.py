"""The page, as static files."""

from os import PathLike
from typing import Any

from starlette.responses import Response
from starlette.routing import Match, Mount
from starlette.staticfiles import StaticFiles
from starlette.types import Scope

_HEADERS = {
    "cache-control": "no-cache",
    "content-security-policy": "default-src 'none'; script-src 'self'; style-src 'self'; "
    "img-src 'self' blob:; connect-src 'self'; base-uri 'none'; form-action 'none'; "
    "frame-ancestors 'none'",
    "referrer-policy": "no-referrer",
    "x-content-type-options": "nosniff",
}


class PageFiles(StaticFiles):
    """Files of a folder, index.html at its root, that can load nothing from elsewhere."""

    def __init__(self, folder: PathLike[str]) -> None:
        super().__init__(directory=folder, html=True)

    def file_response(self, *args: Any, **named: Any) -> Response:
        """Return the answer that holds a file."""
        answer = super().file_response(*args, **named)
        answer.headers.update(_HEADERS)
        return answer


class PageRoute(Mount):
    """Takes whatever is not of the API."""

    def __init__(self, folder: PathLike[str]) -> None:
        super().__init__("/", PageFiles(folder))

    def matches(self, scope: Scope) -> tuple[Match, Scope]:
        """Tell whether a request is for the page."""
        if scope["path"].startswith("/api/") or scope["path"] == "/metrics":
            return Match.NONE, {}
        return super().matches(scope)
