"""GPIO lines through RPi.GPIO, or rpi-lgpio, which has the same import and knows the Pi 5."""

import importlib
import os
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from typing import Any, Self

from hw.clock import Clock
from hw.pins import DirectPulses, PinError, Pull, Pulses


class RpiPins:
    """Pins that the calling thread sets, one after the other."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._gpio: Any = None
        self._claimed: list[int] = []

    def claim_outputs(self, levels: Mapping[int, bool]) -> None:
        """Make the pins outputs, at these levels."""
        for pin, level in levels.items():
            with _told(f"use GPIO {pin} as an output"):
                self._gpio.setup(pin, self._gpio.OUT, initial=level)
            self._claimed.append(pin)

    def claim_input(self, pin: int, pull: Pull) -> None:
        """Make the pin an input."""
        with _told(f"use GPIO {pin} as an input"):
            pulls = {
                "up": self._gpio.PUD_UP,
                "down": self._gpio.PUD_DOWN,
                "none": self._gpio.PUD_OFF,
            }
            self._gpio.setup(pin, self._gpio.IN, pull_up_down=pulls[pull])
        self._claimed.append(pin)

    def write(self, levels: Mapping[int, bool]) -> None:
        """Set outputs now."""
        for pin, level in levels.items():
            with _told(f"set GPIO {pin}"):
                self._gpio.output(pin, level)

    def read(self, pin: int) -> bool:
        """Return the level of a pin."""
        with _told(f"read GPIO {pin}"):
            return bool(self._gpio.input(pin))

    def pulses(self, pin: int) -> Pulses:
        """Return a player that runs in the calling thread."""
        return DirectPulses(self, pin, self._clock)

    def __enter__(self) -> Self:
        try:
            # rpi-lgpio stands on lgpio, which leaves a pipe in its working folder.
            os.environ.setdefault("LG_WD", tempfile.gettempdir())
            self._gpio = importlib.import_module("RPi.GPIO")
        except ImportError:
            raise PinError(
                'pins = "RPi.GPIO" needs rpi-lgpio, which is not installed; apt install '
                'python3-rpi-lgpio, pip install rpi-lgpio, or set pins = "lgpio"'
            ) from None
        except Exception as error:  # it looks for the board when it is imported
            raise PinError(
                f"RPi.GPIO does not run here: {error}; connect the motor to a Raspberry Pi, and on "
                "a Pi 5 put rpi-lgpio in the place of RPi.GPIO"
            ) from None
        with _told("number the pins as the BCM does"):
            self._gpio.setwarnings(False)
            self._gpio.setmode(self._gpio.BCM)
        return self

    def __exit__(self, *error: object) -> None:
        claimed, self._claimed = self._claimed, []
        if claimed:
            with suppress(Exception):  # the lines are the kernel's to take back
                self._gpio.cleanup(claimed)


@contextmanager
def _told(what: str) -> Iterator[None]:
    try:
        yield
    except Exception as error:  # RuntimeError, ValueError, or a class of lgpio's own
        raise PinError(
            f"RPi.GPIO cannot {what}: {error}; check that no other program uses the pin, and that "
            "you are in the group gpio"
        ) from error
