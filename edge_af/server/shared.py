"""One answer for all who ask the same at about the same time."""

import asyncio

from starlette.types import ASGIApp, Message, Receive, Scope, Send

_APART_S = 0.05
"""So long after one answer the next is made, for all who have asked meanwhile."""


class Shared:
    """Lets requests through to an application, but for a GET of `path` asks it once for many.

    The answer must depend on nothing that a request brings. It is made after everyone who gets it
    has asked, so that nobody sees how things stood before. Who asks alone waits for nothing.
    """

    def __init__(self, app: ASGIApp, path: str) -> None:
        self._app = app
        self._path = path
        self._next: asyncio.Task[list[Message]] | None = None
        self._answered_s = -_APART_S

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if (scope["method"], scope["path"]) != ("GET", self._path):
            await self._app(scope, receive, send)
            return
        if self._next is None:
            self._next = asyncio.create_task(self._answer(scope, receive))
        # Who leaves takes the answer from nobody else.
        for message in await asyncio.shield(self._next):
            await send(message)

    async def _answer(self, scope: Scope, receive: Receive) -> list[Message]:
        loop = asyncio.get_running_loop()
        await asyncio.sleep(self._answered_s + _APART_S - loop.time())
        self._answered_s, self._next = loop.time(), None
        messages: list[Message] = []

        async def keep(message: Message) -> None:
            messages.append(message)

        await self._app(scope, receive, keep)
        return messages
