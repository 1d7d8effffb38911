"""What the machine is and how it fares: figures mean little without."""

import os
import platform
from dataclasses import dataclass
from pathlib import Path

from edge_af.doctor.system import System


@dataclass(frozen=True, slots=True)
class Machine:
    """Who measures. `pinned` says that the process may not use all cores."""

    board: str
    cores: int
    pinned: bool
    governor: str | None


@dataclass(frozen=True, slots=True)
class Health:
    """How warm and how fast it is now; None where the machine does not say.

    `throttled` are the flags of `vcgencmd get_throttled` in hexadecimal, on a Raspberry Pi.
    """

    temperature_c: float | None
    clock_mhz: float | None
    throttled: str | None


_CPU = "/sys/devices/system/cpu/cpu0/cpufreq"


def machine(system: System) -> Machine:
    """Return what this machine is."""
    cores = os.cpu_count() or 1
    return Machine(
        board=system.board or platform.machine(),
        cores=cores,
        pinned=len(os.sched_getaffinity(0)) < cores,
        governor=system.text(f"{_CPU}/scaling_governor"),
    )


def health(system: System) -> Health:
    """Return how it fares now."""
    zones = system.glob("/sys/class/thermal/thermal_zone*/temp")
    clock_khz = system.text(f"{_CPU}/scaling_cur_freq")
    flags = system.run("vcgencmd", "get_throttled") if system.is_pi else None
    return Health(
        temperature_c=max((int(zone.read_text()) / 1000 for zone in zones), default=None),
        clock_mhz=None if clock_khz is None else int(clock_khz) / 1000,
        throttled=flags.stdout.strip().removeprefix("throttled=") if flags else None,
    )


def resident_mb(status: Path = Path("/proc/self/status")) -> float | None:
    """Return the resident memory of this process in 10^6 bytes, None where there is no /proc.

    The kernel counts it in KiB, which it calls kB (proc(5)).
    """
    try:
        lines = status.read_text().splitlines()
    except OSError:
        return None
    sizes = [line.split()[1] for line in lines if line.startswith("VmRSS:")]
    return int(sizes[0]) * 1024 / 1e6 if sizes else None
