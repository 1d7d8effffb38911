"""How the machine fares: power, temperature, memory, disk, clocks."""

import os
import shutil
import statistics
import time
from collections.abc import Iterator
from pathlib import Path

from edge_af.doctor.finding import Finding, fail, ok, warn
from edge_af.doctor.system import System
from edge_af.doctor.throttling import UNDER_VOLTAGE, Throttling, throttling
from hw.clock import WallClock

_BETTER_SUPPLY = "use the supply made for this Pi, and a short, thick cable; power the motor apart"

_HOT_C = 80.0
"""From here on the firmware slows the processor down."""
_LITTLE_MEMORY_MB = 250
_LITTLE_DISK_MB, _NO_DISK_MB = 1000, 50

_WAITS = 200
_WAIT_S = 0.001
_LATE_S = 0.005


def power(system: System) -> Iterator[Finding]:
    """Check that supply and cooling let the processor run as it should.

    The file get_throttled in sysfs is not read: the kernel logs a warning for it, and it holds
    what was true when something else asked last.
    """
    if not system.is_pi:
        yield ok("power", "does not apply: not a Raspberry Pi")
        return
    done = system.run("vcgencmd", "get_throttled")
    if done is not None and done.returncode == 0:
        yield judged(throttling(done.stdout))
        return
    alarm = _supply_alarm(system)
    if alarm is None:
        why = "is not installed" if done is None else (done.stderr + done.stdout).strip()
        yield warn(
            "power",
            f"cannot be told: vcgencmd {why}",
            "sudo apt install raspi-utils, and put the user in the group video",
        )
    elif alarm:
        yield fail("power", "under-voltage now", _BETTER_SUPPLY)
    else:
        yield ok("power", "no under-voltage now; without vcgencmd more cannot be told")


def judged(found: Throttling) -> Finding:
    """Return what to make of what the firmware says."""
    parts = []
    if found.now:
        parts.append(f"now: {', '.join(found.now)}")
    if found.before:
        parts.append(f"since boot: {', '.join(found.before)}")
    said = f"{'; '.join(parts) or 'never throttled since boot'} ({found.bits:#x})"
    if not parts:
        return ok("power", said)
    if UNDER_VOLTAGE in found.now:
        return fail("power", said, _BETTER_SUPPLY)
    cure = (
        _BETTER_SUPPLY
        if UNDER_VOLTAGE in found.before
        else "cool the processor: heat sink, fan, air"
    )
    return warn("power", said, cure)


def _supply_alarm(system: System) -> bool | None:
    """Tell whether the kernel sees too low a voltage; None if it does not watch."""
    for name in system.glob("/sys/class/hwmon/hwmon*/name"):
        if name.read_text().strip() == "rpi_volt":
            return name.with_name("in0_lcrit_alarm").read_text().strip() == "1"
    return None


def temperature(system: System) -> Iterator[Finding]:
    """Check that the hottest thermal zone is below where the processor slows down."""
    zones = system.glob("/sys/class/thermal/thermal_zone*/temp")
    if not zones:
        yield ok("temperature", "this machine has no sensor for it")
        return
    hottest_c = max(int(zone.read_text()) / 1000 for zone in zones)
    if hottest_c >= _HOT_C:
        yield warn(
            "temperature",
            f"{hottest_c:.0f} °C; from {_HOT_C:.0f} °C on the processor is slowed down",
            "cool the processor: heat sink, fan, air",
        )
    else:
        yield ok("temperature", f"{hottest_c:.0f} °C")


def memory(system: System) -> Iterator[Finding]:
    """Check that there is room for the model and some frames."""
    lines = (system.text("/proc/meminfo") or "").splitlines()
    kb = {name: int(rest.split()[0]) for name, rest in (line.split(":", 1) for line in lines)}
    free_mb, total_mb = kb["MemAvailable"] // 1024, kb["MemTotal"] // 1024
    found = f"{free_mb} MB free of {total_mb} MB"
    if free_mb < _LITTLE_MEMORY_MB:
        cure = "end other programs, or boot without a desktop: sudo raspi-config, System, Boot"
        yield warn("memory", f"{found}; {_LITTLE_MEMORY_MB} MB are needed", cure)
    else:
        yield ok("memory", found)


def disk(name: str, folder: Path) -> Iterator[Finding]:
    """Check that files can be written to `folder`, or to where it will be made."""
    there = next(place for place in (folder, *folder.parents) if place.exists())
    free_mb = shutil.disk_usage(there).free // 1_000_000
    found = f"{folder}: {free_mb:,} MB free"
    if not os.access(there, os.W_OK | os.X_OK, effective_ids=True):
        cure = f"sudo chown $USER {there}, or run where you may write"
        yield fail(name, f"{folder}: cannot be written", cure)
    elif free_mb < _NO_DISK_MB:
        yield fail(name, found, "delete what is not needed, or use a larger card")
    elif free_mb < _LITTLE_DISK_MB:
        yield warn(name, found, "make room before recording: a stack takes some 100 MB")
    else:
        yield ok(name, found)


def clock(system: System) -> Iterator[Finding]:
    """Check that the time of day, by which results are dated, is right; a Pi may forget it."""
    done = system.run("timedatectl", "show", "--property=NTPSynchronized", "--value")
    if done is None or done.returncode != 0:
        why = "timedatectl is not installed" if done is None else f"timedatectl: {done.stderr}"
        yield warn("clock", f"whether it is right cannot be told; {why}", "compare: date --utc")
    elif done.stdout.strip() != "yes":
        cure = "connect to a network and run: sudo timedatectl set-ntp true"
        yield warn("clock", "not synchronised: the dates of results may be wrong", cure)
    else:
        yield ok("clock", "synchronised with the network")


def timing() -> Iterator[Finding]:
    """Measure how late this machine wakes from short waits, as a motor's steps would be."""
    waiter, late_s = WallClock(), []
    for _ in range(_WAITS):
        due_s = time.monotonic() + _WAIT_S
        waiter.wait_until_s(due_s)
        late_s.append(time.monotonic() - due_s)
    found = (
        f"waits of {_WAIT_S * 1e3:g} ms end {statistics.median(late_s) * 1e3:.2f} ms late in the "
        f"median, {max(late_s) * 1e3:.2f} ms at worst"
    )
    if max(late_s) > _LATE_S:
        cure = "end other programs; steps played by lgpio or a motor board do not suffer from it"
        yield warn("timing", found, cure)
    else:
        yield ok("timing", found)
