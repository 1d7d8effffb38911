"""How long edge-af takes to start: its help, and its service until that is ready."""

import os
import re
import socket
import subprocess
import sys
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from edge_af.bench.timing import Timing
from edge_af.errors import UserError

_PYTHON = (sys.executable, "-c")
_EDGE_AF = (*_PYTHON, "import sys; from edge_af.cli import main; sys.exit(main())")
_PATIENCE_S = 60.0
_LOOK_EVERY_S = 0.5
"""Whether the service still runs, while it tells nothing."""

_IMPORTED = re.compile(r"import time: +(?P<self_us>\d+) \| +\d+ \| +(?P<module>\S+)")


@dataclass(frozen=True, slots=True)
class Start:
    """What starting takes, each from the start of its process.

    `python_ms` is `python -c pass`, `help_extra_ms` what `edge-af --help` takes longer than that
    in the same round, `ready_ms` the service on a virtual microscope until it tells systemd that
    it is ready. `imports_ms` is how long the code of each package of the service took to import,
    the slowest first, by `python -X importtime`.
    """

    python_ms: Timing
    help_extra_ms: Timing
    ready_ms: Timing
    imports_ms: dict[str, float]


def measured(rounds: Iterable[object]) -> Start:
    """Start all of them once in each of `rounds`.

    Raises UserError if the service does not come up.
    """
    python_s, extra_s, ready_s = [], [], []
    for _ in rounds:
        python_s.append(_run_s(*_PYTHON, "pass"))
        extra_s.append(_run_s(*_EDGE_AF, "--help") - python_s[-1])
        ready_s.append(_ready({})[0])
    _, log = _ready({"PYTHONPROFILEIMPORTTIME": "1"})
    return Start(Timing.of(python_s), Timing.of(extra_s), Timing.of(ready_s), imports_ms(log))


def imports_ms(log: str) -> dict[str, float]:
    """Return what the modules of each package took, the slowest package first."""
    total_ms: dict[str, float] = {}
    for line in _IMPORTED.finditer(log):
        package = line["module"].partition(".")[0]
        total_ms[package] = total_ms.get(package, 0.0) + int(line["self_us"]) / 1000
    return dict(sorted(total_ms.items(), key=lambda item: -item[1]))


def _run_s(*command: str) -> float:
    began_s = time.perf_counter()
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    return time.perf_counter() - began_s


def _ready(environment: Mapping[str, str]) -> tuple[float, str]:
    """Return how long a service took to be ready, and what it wrote to its log."""
    with TemporaryDirectory(prefix="edge-af-") as folder, _notified(folder) as told:
        config, log = Path(folder, "config.toml"), Path(folder, "log")
        config.write_text(
            f'state_folder = "{folder}/state"\n[virtual]\n[server]\nsocket = "{folder}/socket"\n'
        )
        given = {**os.environ, **environment, "NOTIFY_SOCKET": f"{folder}/notify"}
        began_s = time.perf_counter()
        with log.open("w") as written:
            service = subprocess.Popen(
                [*_EDGE_AF, "run", "--config", str(config)], stderr=written, env=given
            )
        try:
            if not _becomes_ready(told, service):
                raise UserError(
                    f"the service ended, or was not ready within {_PATIENCE_S:.0f} s; its log: "
                    f"{log.read_text()[-500:]}"
                )
            took_s = time.perf_counter() - began_s
        finally:
            service.terminate()
            service.wait()
        return took_s, log.read_text()


@contextmanager
def _notified(folder: str) -> Iterator[socket.socket]:
    """Listen as systemd does to what a service tells it (sd_notify(3))."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as told:
        told.bind(f"{folder}/notify")
        told.settimeout(_LOOK_EVERY_S)
        yield told


def _becomes_ready(told: socket.socket, service: subprocess.Popen[bytes]) -> bool:
    until_s = time.monotonic() + _PATIENCE_S
    while service.poll() is None and time.monotonic() < until_s:
        with suppress(TimeoutError):
            if b"READY=1" in told.recv(4096):
                return True
    return False
