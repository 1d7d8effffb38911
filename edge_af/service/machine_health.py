"""How the processor fares: its temperature, and what a Pi's firmware holds back."""

from contextlib import suppress
from subprocess import TimeoutExpired

from edge_af.doctor.system import System
from edge_af.doctor.throttling import throttling

_THERMAL = "/sys/class/thermal/thermal_zone0/temp"


def temperature_c(system: System) -> float | None:
    """Return the processor's temperature; None where the system does not tell.

    https://docs.kernel.org/driver-api/thermal/sysfs-api.html: millidegrees Celsius.
    """
    with suppress(OSError, ValueError):
        text = system.text(_THERMAL)
        return None if text is None else int(text) / 1000
    return None


def throttled(system: System) -> list[str]:
    """Return what holds the processor back now; nothing off a Pi. May take a while."""
    if not system.is_pi:
        return []
    with suppress(OSError, ValueError, TimeoutExpired):
        done = system.run("vcgencmd", "get_throttled")
        if done is not None and done.returncode == 0:
            return list(throttling(done.stdout).now)
    return []
