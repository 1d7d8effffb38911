"""A real `edge-af run` on a virtual microscope, and an API in this process."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx

from edge_af.client import Microscope, connect
from edge_af.client_line import NoServiceError
from edge_af.config import Config
from edge_af.server.app import make_app
from edge_af.server.listening import Listening, entrances
from edge_af.service.models import Status
from edge_af.service.station import Station

COMMAND = (sys.executable, "-c", "import sys; from edge_af.cli import main; sys.exit(main())")
_PATIENCE_S = 60.0


@dataclass
class Service:
    """A service process, and where it listens."""

    process: subprocess.Popen[str]
    socket: Path
    log: Path

    def connect(self) -> Microscope:
        """Return a client once the instrument is connected."""
        until_s = time.monotonic() + _PATIENCE_S
        while time.monotonic() < until_s and self.process.poll() is None:
            try:
                microscope = connect(self.socket)
            except NoServiceError:
                time.sleep(0.1)
                continue
            wait_for(microscope, lambda now: now.state not in ("off", "starting"))
            return microscope
        raise AssertionError(f"no service: {self.log.read_text()}")

    def about(self) -> str:
        """Return what Linux says of its process (proc_pid_status(5))."""
        return Path(f"/proc/{self.process.pid}/status").read_text()

    def signal(self, number: int) -> None:
        """Send it a signal."""
        self.process.send_signal(number)


@contextmanager
def service(folder: Path, environment: Mapping[str, str] | None = None) -> Iterator[Service]:
    """Run a service whose settings and state are in `folder`; at the end it is told to stop."""
    config, socket, log = folder / "config.toml", folder / "s.sock", folder / "log"
    config.write_text(
        f'state_folder = "{folder / "state"}"\n[virtual]\nseed = 3\n[server]\nsocket = "{socket}"\n'
    )
    with log.open("a") as written:
        process = subprocess.Popen(
            [*COMMAND, "run", "--config", str(config)],
            stderr=written,
            text=True,
            env={**os.environ, **(environment or {})},
        )
    try:
        yield Service(process, socket, log)
    finally:
        if process.poll() is None:
            process.send_signal(signal.SIGTERM)
        process.wait(_PATIENCE_S)


def wait_for(microscope: Microscope, is_so, within_s: float = _PATIENCE_S) -> Status:
    """Return the first status of which `is_so` holds."""
    until_s = time.monotonic() + within_s
    while not is_so(now := microscope.status()):
        assert time.monotonic() < until_s, now
        time.sleep(0.02)
    return now


@contextmanager
def api(folder: Path, **server) -> Iterator[tuple[Station, Config, str]]:
    """Serve an API in this process; yields station, settings and address of its port."""
    settings = Config.model_validate(
        {
            "state_folder": folder / "state",
            "virtual": {"seed": 3},
            "server": {"socket": folder / "s.sock", "port": free_port(), **server},
        }
    )
    with (
        entrances(settings.server, settings.state_folder) as doors,
        Station(lambda: settings) as station,
    ):
        app = make_app(station, settings)
        with Listening(app, doors, station.stop):
            until_s = time.monotonic() + _PATIENCE_S
            while station.status().state in ("off", "starting"):
                assert time.monotonic() < until_s
                time.sleep(0.05)
            yield station, settings, f"http://127.0.0.1:{settings.server.port}"


def free_port() -> int:
    """Return a port that is free now."""
    import socket

    with socket.create_server(("127.0.0.1", 0)) as listening:
        return listening.getsockname()[1]


def with_token(settings: Config, address: str) -> httpx.Client:
    """Return a client that knows the token."""
    token = (settings.state_folder / "token").read_text().strip()
    return httpx.Client(base_url=address, headers={"authorization": f"Bearer {token}"}, timeout=30)
