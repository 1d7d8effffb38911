"""The sockets that the service listens on, and the threads that serve them."""

import asyncio
import errno
import os
import socket
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import (
    ExitStack,
    asynccontextmanager,
    contextmanager,
    suppress,
)
from dataclasses import dataclass
from pathlib import Path
from typing import Self

import uvicorn
from fastapi import FastAPI

from edge_af.errors import UserError
from edge_af.server.apart import Apart
from edge_af.server.auth import Access, kept_token, own_names
from edge_af.server.door import API, Door
from edge_af.server.loops import LoopThread, held
from edge_af.server.settings import ServerSettings, someone_listens
from edge_af.server.shared import Shared

_WAITING = 128
_GROUP_MAY_WRITE = 0o660
_LAST_WORDS_S = 2
_KEEP_S = 75
"""So long a connection may idle: a client that asks just as it is closed sees an error."""


@dataclass(frozen=True, slots=True)
class Entrance:
    """A socket that listens, and who may come in by it; None lets in whoever can open it."""

    socket: socket.socket
    access: Access | None
    name: str


@contextmanager
def entrances(settings: ServerSettings, state_folder: Path) -> Iterator[list[Entrance]]:
    """Open the Unix socket, and the port if there is one; close them at the end.

    Raises UserError.
    """
    with ExitStack() as opened:
        made = [opened.enter_context(_unix(settings.socket))]
        if settings.port is not None:
            made.append(opened.enter_context(_port(settings, settings.port, state_folder)))
        yield made


@contextmanager
def _unix(path: Path) -> Iterator[Entrance]:
    if someone_listens(path):
        raise UserError(f"an edge-af listens at {path} already; stop that, or set another socket")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.unlink(missing_ok=True)
        listening = socket.socket(socket.AF_UNIX)
        os.fchmod(listening.fileno(), 0o600)  # until the mode is right, nobody else may come in
        listening.bind(str(path))
        path.chmod(_GROUP_MAY_WRITE)
        listening.listen(_WAITING)
    except OSError as error:
        raise UserError(
            f"cannot listen at {path}: {error.strerror or error}; set another socket in [server]"
        ) from error
    with listening:
        mine = path.stat().st_ino
        try:
            yield Entrance(listening, None, str(path))
        finally:
            with suppress(OSError):
                if path.stat().st_ino == mine:
                    path.unlink()


@contextmanager
def _port(settings: ServerSettings, port: int, state_folder: Path) -> Iterator[Entrance]:
    path = settings.token_file or state_folder / "token"
    access = Access(kept_token(path), own_names().union(settings.hosts))
    family = socket.AF_INET6 if ":" in settings.address else socket.AF_INET
    try:
        listening = socket.create_server((settings.address, port), family=family, backlog=_WAITING)
    except OSError as error:
        cure = "is another program there?" if error.errno == errno.EADDRINUSE else ""
        raise UserError(
            f"cannot listen on {settings.address} port {port}: {error.strerror}; "
            f"{cure or 'set another address or port in [server]'}"
        ) from error
    with listening:
        host = f"[{settings.address}]" if family == socket.AF_INET6 else settings.address
        bound = listening.getsockname()[1]
        yield Entrance(listening, access, f"http://{host}:{bound}/ (token in {path})")


class Listening:
    """Serves an application from enter to exit.

    One loop talks to the network and runs the doors, another the application (`Apart` says why).
    """

    def __init__(self, app: FastAPI, entries: Sequence[Entrance], stop: Callable[[], None]) -> None:
        """Call `stop` when asked to stop."""
        self._app = app
        self._network, self._inner = LoopThread("network"), LoopThread("api")
        behind = Shared(Apart(app, self._inner), f"{API}/status")  # what many ask, and often
        self._servers = [
            (uvicorn.Server(_config(Door(behind, stop, entry.access))), entry.socket)
            for entry in entries
        ]
        self._running = ExitStack()

    def ask(self) -> Callable[[], bool]:
        """Return what tells later whether both loops have got round to new work since."""
        asked = [self._network.ask(), self._inner.ask()]
        return lambda: all(one.is_set() for one in asked)

    def __enter__(self) -> Self:
        with ExitStack() as started:
            started.enter_context(self._network)
            started.enter_context(self._inner)
            # First the application ends, and its streams with it; then the connections can.
            started.enter_context(held(self._network, self._serving()))
            started.enter_context(held(self._inner, self._app.router.lifespan_context(self._app)))
            self._running = started.pop_all()
        return self

    def __exit__(self, *error: object) -> None:
        self._running.close()

    @asynccontextmanager
    async def _serving(self) -> AsyncIterator[None]:
        tasks = [
            asyncio.create_task(server.serve(sockets=[listening]))
            for server, listening in self._servers
        ]
        try:
            yield
        finally:
            for server, _ in self._servers:
                server.should_exit = True
            await asyncio.gather(*tasks, return_exceptions=True)


def _config(door: Door) -> uvicorn.Config:
    return uvicorn.Config(
        door,
        loop="asyncio",
        http="httptools",
        ws="none",
        lifespan="off",
        interface="asgi3",
        proxy_headers=False,
        server_header=False,
        access_log=False,
        log_config=None,
        timeout_keep_alive=_KEEP_S,
        timeout_graceful_shutdown=_LAST_WORDS_S,
    )
