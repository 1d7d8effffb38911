"""An ASGI application on an event loop of its own."""

import asyncio
from collections.abc import Awaitable
from typing import TypeVar

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from edge_af.server.loops import LoopThread

_T = TypeVar("_T")


class Apart:
    """Hands requests to an application on another loop, and its answers back.

    The loop that talks to the network then runs no code of the application: whatever blocks there,
    this one still takes requests, `stop` among them.
    """

    def __init__(self, app: ASGIApp, loop: LoopThread) -> None:
        self._app = app
        self._loop = loop

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        here = asyncio.get_running_loop()

        async def receive_there() -> Message:
            return await _on(here, receive())

        async def send_there(message: Message) -> None:
            await _on(here, send(message))

        await self._loop.do(_call(self._app(scope, receive_there, send_there)))


async def _on(loop: asyncio.AbstractEventLoop, work: Awaitable[_T]) -> _T:
    return await asyncio.wrap_future(asyncio.run_coroutine_threadsafe(_call(work), loop))


async def _call(work: Awaitable[_T]) -> _T:
    return await work
