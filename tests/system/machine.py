"""A Debian that boots with real systemd, in a container, to install the service on.

The image and the wheels that the service needs are made once and kept in `.machines`; the machine
itself has no network. Needs root, systemd-nspawn and debootstrap.
"""

import hashlib
import json
import os
import platform
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import tomllib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from checkout import ROOT, require_index, run

_PACKAGES = "systemd,systemd-sysv,dbus,udev,make,python3,python3-venv"
_PYTHON = {"bookworm": "3.11", "trixie": "3.13"}
_MIRROR = "http://deb.debian.org/debian"
_KEPT = ROOT / ".machines"
_LIBC = ("manylinux2014", *(f"manylinux_2_{minor}" for minor in (17, 26, 27, 28, 31, 34, 35)))


def require_containers() -> None:
    """Skip the test where no container can boot, and say what is missing."""
    if os.geteuid() != 0:
        pytest.skip("needs root, to boot a container")
    for program, package in (("systemd-nspawn", "systemd-container"), ("debootstrap",) * 2):
        if shutil.which(program) is None:
            pytest.skip(f"needs {program}: apt-get install {package}")
    if "cgroup2" not in Path("/proc/self/mounts").read_text():
        pytest.skip("needs cgroup2, which systemd in a container is kept in")


class Machine:
    """A machine with the checkout at /checkout; `run` speaks to it as root."""

    def __init__(self, suite: str, folder: Path) -> None:
        """Make a machine of an image of Debian `suite`; what it changes goes to `folder`."""
        self._folder = folder
        self._image, self._wheels = _image(suite), _wheels(suite)
        self._container: subprocess.Popen[bytes] | None = None
        self._root = folder / "root"
        for name in ("changes", "work", "root"):
            (folder / name).mkdir()
        self._mount()

    def boot(self) -> None:
        """Switch it on, and wait until it is up."""
        # On a host that systemd runs, it gives the container a place among its control groups.
        place = [] if Path("/run/systemd/system").is_dir() else ["--keep-unit"]
        command = [
            *("systemd-nspawn", "--quiet", "--boot", f"--directory={self._root}", *place),
            *("--private-network", "--register=no", "--console=pipe"),
            f"--machine=edge-af-{os.getpid()}",
            f"--bind-ro={ROOT}:/checkout",
            f"--bind-ro={self._wheels}:/wheels",
        ]
        with (self._folder / "console.log").open("ab") as console:
            self._container = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=console,
                stderr=console,
                start_new_session=True,
            )
        self.wait_until(self._is_up, "the machine is up", within_s=60)

    def power_cut(self) -> None:
        """Take its power away in the middle of whatever it does."""
        os.kill(self._leader(), signal.SIGKILL)
        assert self._container is not None
        self._container.wait(30)
        self._container = None

    def run(
        self, *command: str, fine: tuple[int, ...] = (0,), **environment: str
    ) -> subprocess.CompletedProcess[str]:
        """Run a command in it, which must end with one of the codes that are `fine`."""
        done = self._run(command, **environment)
        assert done.returncode in fine, f"{' '.join(command)}: {done.stdout}{done.stderr}"
        return done

    def ask(self, *command: str) -> dict[str, Any]:
        """Run a command of ours in it that answers in JSON."""
        answer: dict[str, Any] = json.loads(self.run(*command, "--json", fine=(0, 1)).stdout)
        return answer

    def unit(self, name: str) -> str:
        """Return a property of the service, as systemd has it."""
        shown = self.run("systemctl", "show", "edge-af", f"--property={name}", "--value")
        return shown.stdout.strip()

    def wait_until(self, true: Callable[[], bool], what: str, within_s: float = 30) -> None:
        """Wait for something to become true."""
        end_s = time.monotonic() + within_s
        while not true():
            assert time.monotonic() < end_s, f"waited {within_s} s in vain: {what}"
            time.sleep(0.05)

    def remove(self) -> None:
        """Switch it off and forget it."""
        if self._container is not None:
            self.power_cut()
        subprocess.run(["umount", str(self._root)], check=True)

    def _mount(self) -> None:
        layers = f"lowerdir={self._image},upperdir={self._folder / 'changes'}"
        command = ["mount", "-t", "overlay", "overlay", "-o"]
        command += [f"{layers},workdir={self._folder / 'work'}", str(self._root)]
        mounted = subprocess.run(command, capture_output=True, text=True, check=False)
        if mounted.returncode != 0:
            pytest.skip(f"cannot lay a file system over the image: {mounted.stderr.strip()}")

    def _is_up(self) -> bool:
        assert self._container is not None
        if self._container.poll() is not None:
            log = (self._folder / "console.log").read_text(errors="replace")
            pytest.skip(f"no container boots here: {log.strip().splitlines()[-1:]}")
        done = self._run(("systemctl", "is-system-running"))
        return done.stdout.strip() in ("running", "degraded")

    def _run(
        self, command: tuple[str, ...], **environment: str
    ) -> subprocess.CompletedProcess[str]:
        known = {
            "PATH": "/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
            "HOME": "/root",
            "LANG": "C.UTF-8",
            "PIP_NO_INDEX": "1",
            "PIP_FIND_LINKS": "/wheels",
        }
        try:
            inside = ["nsenter", f"--target={self._leader()}"]
        except LookupError as error:
            return subprocess.CompletedProcess(command, 1, "", str(error))
        inside += ["--mount", "--uts", "--ipc", "--net", "--pid", "--root", "--wd"]
        return subprocess.run(
            [*inside, "--", *command],
            env=known | environment,
            capture_output=True,
            text=True,
            timeout=600,  # to install takes minutes where much else goes on
            check=False,
        )

    def _leader(self) -> int:
        """Return the process that is number 1 in the machine. Raises LookupError if it is off."""
        assert self._container is not None
        pid = self._container.pid
        try:
            for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split():
                status = Path(f"/proc/{child}/status").read_text()
                if re.search(r"^NSpid:.*\s1$", status, re.MULTILINE):
                    return int(child)
        except FileNotFoundError:
            pass
        raise LookupError("the machine is off")


@contextmanager
def machine(suite: str, folder: Path) -> Iterator[Machine]:
    """Lend a machine that has booted."""
    made = Machine(suite, folder)
    try:
        made.boot()
        yield made
    finally:
        made.remove()


def _image(suite: str) -> Path:
    def make(folder: Path) -> subprocess.CompletedProcess[str]:
        return run(
            [
                "debootstrap",
                "--variant=minbase",
                f"--include={_PACKAGES}",
                suite,
                str(folder),
                _MIRROR,
            ],
            ROOT,
        )

    return _kept(suite, _PACKAGES, make)


def _wheels(suite: str) -> Path:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    table = project["project"]
    wanted = [
        *table["dependencies"],
        *table["optional-dependencies"]["pi"],
        *project["build-system"]["requires"],
    ]

    def make(folder: Path) -> subprocess.CompletedProcess[str]:
        require_index()
        return run(
            [
                *(sys.executable, "-m", "pip", "download", "--quiet", f"--dest={folder}"),
                *("--only-binary=:all:", f"--python-version={_PYTHON[suite]}"),
                *(f"--platform={made_for}_{platform.machine()}" for made_for in _LIBC),
                *wanted,
            ],
            ROOT,
        )

    return _kept(f"wheels-{suite}", repr(wanted), make)


def _kept(
    name: str, made_of: str, make: Callable[[Path], subprocess.CompletedProcess[str]]
) -> Path:
    """Return a folder that was made of that before, or make it now: whole, or not at all."""
    folder = _KEPT / f"{name}-{hashlib.sha256(made_of.encode()).hexdigest()[:12]}"
    if folder.exists():
        return folder
    _KEPT.mkdir(exist_ok=True)
    unfinished = Path(tempfile.mkdtemp(dir=_KEPT))
    unfinished.chmod(0o755)
    try:
        done = make(unfinished)
        if done.returncode != 0:
            last = (done.stderr or done.stdout).strip().splitlines()[-1:]
            pytest.skip(f"cannot make {name}, and without network that is no fault: {last}")
        if not folder.exists():
            unfinished.rename(folder)
    finally:
        shutil.rmtree(unfinished, ignore_errors=True)
    return folder
