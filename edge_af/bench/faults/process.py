"""What can happen to a whole process: signals, a power cut, memory, the disk."""

import json
import os
import resource
import signal
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np

from edge_af.bench.faults.trial import Trial
from edge_af.journal_file import FILE_NAME

_MOST_WORK_S = 2.0
_ENDS_S = 30.0
_MEMORY_LEFT = 4_000_000
_ONE_PAGE = 4096

Running = subprocess.Popen[str]
Deed = Callable[[Running, Path, np.random.Generator], None]
"""Does the fault to a running process that keeps its state in a folder."""


def _sigterm(child: Running, folder: Path, rng: np.random.Generator) -> None:  # noqa: ARG001
    child.send_signal(signal.SIGTERM)


def _sigkill(child: Running, folder: Path, rng: np.random.Generator) -> None:  # noqa: ARG001
    child.kill()


def _power_cut(child: Running, folder: Path, rng: np.random.Generator) -> None:
    """Kill it, and lose what the card had not yet written of the history's latest pages."""
    child.kill()
    child.wait()
    log = folder / f"{FILE_NAME}-wal"
    if log.exists():
        os.truncate(log, int(rng.integers(log.stat().st_size + 1)))


def _memory_limit(child: Running, folder: Path, rng: np.random.Generator) -> None:  # noqa: ARG001
    """Leave it next to no memory beyond what it has."""
    pages = int(Path(f"/proc/{child.pid}/statm").read_text().split()[0])
    limit = pages * os.sysconf("SC_PAGE_SIZE") + _MEMORY_LEFT
    resource.prlimit(child.pid, resource.RLIMIT_AS, (limit, limit))


def _full_disk(child: Running, folder: Path, rng: np.random.Generator) -> None:  # noqa: ARG001
    """Let no file grow beyond one page: to the program, writes fail as on a full disk."""
    resource.prlimit(child.pid, resource.RLIMIT_FSIZE, (_ONE_PAGE, _ONE_PAGE))


def _unwritable(child: Running, folder: Path, rng: np.random.Generator) -> None:  # noqa: ARG001
    """Put a file where the state folder was: nothing can be written there, even by root."""
    folder.rename(folder.with_name("gone"))
    folder.write_text("")


PROCESS_KINDS: Mapping[str, Deed] = {
    "sigterm": _sigterm,
    "sigkill": _sigkill,
    "power cut": _power_cut,
    "memory limit": _memory_limit,
    "full disk": _full_disk,
    "read-only disk": _unwritable,
}


def process_trial(name: str, seed: int, number: int) -> Trial:
    """Do a fault of `PROCESS_KINDS` to a working service, once, at a random moment.

    It may end by itself, or is ended in order; then it starts again as systemd would start it, and
    must focus. A position counts as wrongly trusted where the service trusts it after an end that
    was not in order.
    """
    rng = np.random.default_rng([seed, number, list(PROCESS_KINDS).index(name), 59])
    child_seed = int(rng.integers(2**31))
    with TemporaryDirectory() as place:
        folder = Path(place) / "state"
        folder.mkdir()
        told = _worked(name, folder, child_seed, rng)
        if folder.is_file():
            folder.unlink()
            folder.with_name("gone").rename(folder)
        after = _told(_start(folder, child_seed, "restart"), _ENDS_S * 4)
    last = after[-1] if after else {}
    in_order = any(line.get("ended") for line in told)
    return Trial(
        fault=name,
        activity="service",
        crashed=any(line["crashes"] for line in told + after),
        wrongly_trusted=bool(last.get("trusted")) and not in_order,
        wrong_focus=any(line["wrong_focus"] for line in told + after),
        recovered=bool(last.get("recovered")) and (in_order or name != "sigterm"),
        needs_person=False,
        note=next((str(line["note"]) for line in told if "note" in line), ""),
    )


def _worked(name: str, folder: Path, seed: int, rng: np.random.Generator) -> list[dict[str, Any]]:
    """Let a service work, do the fault to it, and return what it told before it ended."""
    child = _start(folder, seed, "work")
    assert child.stdout is not None
    told = [json.loads(child.stdout.readline() or '{"crashes": 0, "wrong_focus": false}')]
    try:
        child.wait(float(rng.uniform(0, _MOST_WORK_S)))
    except subprocess.TimeoutExpired:
        PROCESS_KINDS[name](child, folder, rng)
    try:
        child.wait(_MOST_WORK_S)
    except subprocess.TimeoutExpired:
        child.send_signal(signal.SIGTERM)  # it lives on; that may be
    return told + _told(child, _ENDS_S)


def _start(folder: Path, seed: int, what: str) -> Running:
    command = [sys.executable, "-m", "edge_af.bench.faults.child", str(folder), str(seed), what]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)


def _told(child: Running, within_s: float) -> list[dict[str, Any]]:
    """Return what a process has told, once it has ended; it is killed where it does not."""
    try:
        text, _ = child.communicate(timeout=within_s)
    except subprocess.TimeoutExpired:
        child.kill()
        text, _ = child.communicate()
    lines = []
    for line in text.splitlines():
        try:
            lines.append(json.loads(line))
        except ValueError:  # the last one may be cut short
            continue
    return lines
