"""GPIO lines through lgpio, the library that knows the character device of the kernel."""

import importlib
import os
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, Final, Self

from hw.clock import Clock
from hw.pins import PinError, Pull, Pulses
from hw.pulses_lgpio import LgpioPulses

CHIP_LABELS: Final = ("pinctrl-rp1", "pinctrl-bcm2711", "pinctrl-bcm2835")
"""The chip with the header's pins: on a Pi 5, a Pi 4, and all before, by their kernel drivers.

Its number says nothing: a kernel update moved it.
"""
_CHIPS: Final = 32


class LgpioPins:
    """Pins whose pulses lgpio plays in its own thread; `clock` must run in real time."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._lgpio: Any = None
        self._handle: int | None = None
        self._groups: dict[int, list[int]] = {}

    def claim_outputs(self, levels: Mapping[int, bool]) -> None:
        """Make the pins outputs, at these levels, that change in the same instant."""
        pins = list(levels)
        with _told(f"use GPIO {', '.join(map(str, pins))} as output"):
            self._lgpio.group_claim_output(self._handle, pins, [int(levels[pin]) for pin in pins])
        self._groups |= dict.fromkeys(pins, pins)

    def claim_input(self, pin: int, pull: Pull) -> None:
        """Make the pin an input."""
        with _told(f"use GPIO {pin} as an input"):
            flags = {
                "up": self._lgpio.SET_PULL_UP,
                "down": self._lgpio.SET_PULL_DOWN,
                "none": self._lgpio.SET_PULL_NONE,
            }
            self._lgpio.gpio_claim_input(self._handle, pin, flags[pull])

    def write(self, levels: Mapping[int, bool]) -> None:
        """Set outputs of one group now, all in the same instant."""
        group = self._groups[next(iter(levels))]
        bits = sum(1 << group.index(pin) for pin, level in levels.items() if level)
        mask = sum(1 << group.index(pin) for pin in levels)
        with _told(f"set GPIO {', '.join(map(str, levels))}"):
            self._lgpio.group_write(self._handle, group[0], bits, mask)

    def read(self, pin: int) -> bool:
        """Return the level of a pin."""
        with _told(f"read GPIO {pin}"):
            return bool(self._lgpio.gpio_read(self._handle, pin))

    def pulses(self, pin: int) -> Pulses:
        """Return a player that is lgpio's thread."""
        assert self._handle is not None, "enter first"
        return LgpioPulses(self._lgpio, self._handle, pin, self._clock)

    def __enter__(self) -> Self:
        # It leaves a pipe in its working folder, which else is the current one.
        os.environ.setdefault("LG_WD", tempfile.gettempdir())
        try:
            self._lgpio = importlib.import_module("lgpio")
        except ImportError:
            raise PinError(
                'pins = "lgpio" needs lgpio, which is not installed; apt install python3-lgpio, or '
                "pip install lgpio on Python 3.11 or 3.12"
            ) from None
        self._handle = self._open_chip()
        return self

    def __exit__(self, *error: object) -> None:
        handle, self._handle = self._handle, None
        self._groups.clear()
        if handle is not None:
            with suppress(Exception):  # the lines are the kernel's to take back
                self._lgpio.gpiochip_close(handle)

    def _open_chip(self) -> int:
        others = []
        for number in range(_CHIPS):
            try:
                handle = int(self._lgpio.gpiochip_open(number))
            except self._lgpio.error:
                continue
            _, _, _, label = self._lgpio.gpio_get_chip_info(handle)
            if label in CHIP_LABELS:
                return handle
            others.append(f"gpiochip{number} ({label})")
            self._lgpio.gpiochip_close(handle)
        present = sorted(path.name for path in Path("/dev").glob("gpiochip*"))
        if present and not others:
            raise PinError(
                f"not allowed to open {', '.join(present)}; sudo usermod -aG gpio $USER, then log "
                "in again"
            )
        raise PinError(
            f"no GPIO chip is labelled {' or '.join(CHIP_LABELS)}; there is "
            f"{', '.join(others) or 'none at all'}: connect the motor to a Raspberry Pi"
        )


@contextmanager
def _told(what: str) -> Iterator[None]:
    try:
        yield
    except Exception as error:  # lgpio.error, a class that is known only after the import
        raise PinError(
            f"lgpio cannot {what}: {error}; check that no other program uses the pin, and that you "
            "are in the group gpio"
        ) from error
