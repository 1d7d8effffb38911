"""An ASGI application on an event loop of its own."""

import asyncio
from collections.abc import Awaitable
from concurrent.futures import Future
from typing import TypeVar

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from edge_af.server.loops import LoopThread

_T = TypeVar("_T")


class Apart:
    """Hands requests to an application on another loop, and its answers back.

    The loop that talks to the network then runs no code of the application: whatever blocks there,
    this one still takes requests, `stop` among them.

    A way from loop to loop costs more than a short answer does, so an answer takes as few as it
    can: its head waits for a body that follows at once, and nobody waits there for its last part.
    """

    def __init__(self, app: ASGIApp, loop: LoopThread) -> None:
        self._app = app
        self._loop = loop

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        here = asyncio.get_running_loop()
        waiting: list[Message] = []
        last: Future[None] | None = None

        async def send_all(*messages: Message) -> None:
            for message in messages:
                await send(message)

        async def receive_there() -> Message:
            return await asyncio.wrap_future(_begin(receive(), here))

        async def send_there(message: Message) -> None:
            nonlocal last
            if _body_follows(message):
                waiting.append(message)
                return
            sent = _begin(send_all(*waiting, message), here)
            waiting.clear()
            if message.get("more_body", True):
                await asyncio.wrap_future(sent)
            else:
                last = sent

        await self._loop.do(_call(self._app(scope, receive_there, send_there)))
        if last is not None:
            await asyncio.wrap_future(last)


def _body_follows(message: Message) -> bool:
    """Tell whether this is the head of an answer of known length, which is ready then."""
    return message["type"] == "http.response.start" and any(
        name == b"content-length" for name, _ in message.get("headers", ())
    )


def _begin(work: Awaitable[_T], loop: asyncio.AbstractEventLoop) -> Future[_T]:
    return asyncio.run_coroutine_threadsafe(_call(work), loop)


async def _call(work: Awaitable[_T]) -> _T:
    return await work
