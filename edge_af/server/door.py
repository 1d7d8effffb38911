"""What every request passes first: who may come in, and the way to stop."""

import asyncio
import json
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from edge_af.server.auth import Access, Refusal

API = "/api/v1"
_STOP = f"{API}/stop"
_WITH_TOKEN = (f"{API}/", "/metrics")
_MOST_BYTES = 64 * 1024


class Door:
    """Lets requests through to the application; `stop` it sees to itself, at once.

    It runs on the loop that talks to the network, where nothing else does. Stopping has threads of
    its own, so that it waits for nobody.
    """

    def __init__(
        self, app: ASGIApp, stop: Callable[[], None], access: Access | None = None
    ) -> None:
        """Call `stop` when asked to stop; without `access` whoever comes may come in."""
        self._app = app
        self._stop = stop
        self._access = access
        self._stoppers = ThreadPoolExecutor(4, thread_name_prefix="stop")

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] != "http":
            return
        refusal = self._refusal(scope)
        if refusal is not None:
            await _answer(send, refusal.status, {"error": refusal.error, "cure": refusal.cure})
        elif scope["path"] == _STOP and scope["method"] == "POST":
            await asyncio.get_running_loop().run_in_executor(self._stoppers, self._stop)
            await _answer(send, 200, {"stopped": True})
        else:
            await self._app(scope, _bounded(receive), send)

    def _refusal(self, scope: Scope) -> Refusal | None:
        headers = {
            name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]
        }
        if self._access is not None:
            refusal = self._access.refuses_place(headers)
            if refusal is None and scope["path"].startswith(_WITH_TOKEN):
                refusal = self._access.refuses_person(headers)
            if refusal is not None:
                return refusal
        length = headers.get("content-length", "0")
        if not length.isdecimal() or int(length) > _MOST_BYTES:
            return _TOO_MUCH
        return None


_TOO_MUCH = Refusal(
    413, f"more than {_MOST_BYTES} bytes were sent", "see the OpenAPI for what a request may hold"
)


def _bounded(receive: Receive) -> Receive:
    """Return a `receive` that hangs up on who sends too much without having said how much."""
    taken = 0

    async def bounded() -> Message:
        nonlocal taken
        message = await receive()
        taken += len(message.get("body", b""))
        return message if taken <= _MOST_BYTES else {"type": "http.disconnect"}

    return bounded


async def _answer(send: Send, status: int, document: dict[str, object]) -> None:
    body = json.dumps(document).encode()
    headers = [(b"content-type", b"application/json"), (b"content-length", b"%d" % len(body))]
    if status == 401:
        headers.append((b"www-authenticate", b"Bearer"))
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
