"""The GPIO header: its chip, found by label, and the libraries that drive it."""

import os
from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, version

from edge_af.doctor.finding import Finding, ok, warn
from edge_af.doctor.system import System
from hw.clock import WallClock
from hw.pins import PinError
from hw.pins_lgpio import CHIP_LABELS, LgpioPins

_IN_GROUP = "sudo usermod -aG gpio $USER, then log out and in again"


def chip(system: System) -> Iterator[Finding]:
    """Check that the chip of the header is there, and that this user may open it."""
    if not system.is_pi:
        yield ok("gpio", "does not apply: not a Raspberry Pi")
        return
    labels = {
        chip.name: label.read_text().strip()
        for label in system.glob("/sys/class/gpio/gpiochip*/label")
        for chip in label.parent.glob("device/gpiochip*")
    }
    header = [name for name, label in labels.items() if label in CHIP_LABELS]
    if not header:
        there = [f"{name} ({label})" for name, label in sorted(labels.items())]
        yield warn(
            "gpio",
            f"no chip is labelled {' or '.join(CHIP_LABELS)}; there is "
            f"{', '.join(there) or 'none'}. A motor on the header needs it",
            "use the kernel of Raspberry Pi OS; in a container, pass /dev/gpiochip* and /sys in",
        )
    for name in header:
        found = f"/dev/{name} ({labels[name]})"
        device = system.path(f"/dev/{name}")
        if os.access(device, os.R_OK | os.W_OK, effective_ids=True):
            yield ok("gpio", found)
        else:
            yield warn("gpio", f"{found} may not be opened by this user", _IN_GROUP)


def libraries(system: System) -> Iterator[Finding]:
    """Check that the libraries are there which `pins` in a motor's settings may name."""
    if not system.is_pi:
        return
    try:
        with LgpioPins(WallClock()):  # takes no line, so nothing moves
            yield ok("pins", 'pins = "lgpio" works')
    except PinError as error:
        found, _, cure = str(error).partition("; ")
        yield warn("pins", found, cure)
    if _version("rpi-lgpio") is None and (original := _version("RPi.GPIO")) is not None:
        # Both are imported by that name.
        yield warn(
            "pins",
            f'pins = "RPi.GPIO" is RPi.GPIO {original}, which knows no Pi 5 and no newer kernel',
            "pip uninstall RPi.GPIO; sudo apt install python3-rpi-lgpio",
        )


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None
