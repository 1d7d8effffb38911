"""The base that everything else stands on: board, system, Python, groups."""

import os
import platform
import shlex
import struct
import sys
from collections.abc import Iterator

from edge_af.doctor.finding import Finding, fail, ok, warn
from edge_af.doctor.system import System

_OLDEST_DEBIAN = 12
_GROUPS_OF_A_PI = ("dialout", "gpio", "video")


def board(system: System) -> Iterator[Finding]:
    """Say which machine this is."""
    if system.is_pi:
        yield ok("board", f"{system.board}")
    else:
        yield ok("board", f"{system.board or platform.machine()}: not a Raspberry Pi")


def operating_system(system: System) -> Iterator[Finding]:
    """Check that the system is one whose packages are recent enough."""
    release = dict(
        word.split("=", 1)
        for word in shlex.split(system.text("/etc/os-release") or "")
        if "=" in word
    )
    name = release.get("PRETTY_NAME", "an unnamed system")
    version = release.get("VERSION_ID", "")
    is_debian = release.get("ID") in ("debian", "raspbian")
    if is_debian and version.isdecimal() and int(version) < _OLDEST_DEBIAN:
        yield fail(
            "system",
            f"{name}; version {_OLDEST_DEBIAN} or later is needed",
            "write a current 64-bit Raspberry Pi OS to the card",
        )
    else:
        yield ok("system", name)


def kernel(system: System) -> Iterator[Finding]:
    """Check that Python, and so the system below it, is 64-bit."""
    bits = 8 * struct.calcsize("P")
    release = system.text("/proc/sys/kernel/osrelease") or platform.release()
    found = f"{release}, {platform.machine()}, Python is a {bits}-bit program"
    if bits < 64:
        cure = "install a 64-bit Raspberry Pi OS: there is no model runtime for 32 bits"
        yield fail("kernel", found, cure)
    else:
        yield ok("kernel", found)


def python() -> Iterator[Finding]:
    """Say which Python runs this, and where from."""
    version = platform.python_version()
    where = f"venv {sys.prefix}" if sys.prefix != sys.base_prefix else sys.prefix
    yield ok("python", f"{version}, {where}")


def groups(system: System) -> Iterator[Finding]:
    """Check that the user is in the groups that own the devices."""
    if os.geteuid() == 0:
        yield ok("groups", "root, who may open every device")
        return
    entries = (line.split(":") for line in (system.text("/etc/group") or "").splitlines())
    ids = {entry[0]: int(entry[2]) for entry in entries if len(entry) > 2}
    # A motor on a serial board is possible everywhere, the rest only on a Pi.
    wanted = [name for name in (_GROUPS_OF_A_PI if system.is_pi else ("dialout",)) if name in ids]
    mine = {os.getegid(), *os.getgroups()}
    missing = [name for name in wanted if ids[name] not in mine]
    if missing:
        yield warn(
            "groups",
            f"the user is not in {' and '.join(missing)}",
            f"sudo usermod -aG {','.join(missing)} $USER, then log out and in again",
        )
    else:
        yield ok("groups", f"the user is in {', '.join(wanted) or 'no group that is needed here'}")
