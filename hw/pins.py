"""GPIO lines behind one small protocol, and what plays pulses on them."""

from collections.abc import Mapping
from typing import Literal, Protocol, Self

from hw.clock import Clock
from hw.stage import StageFault

Backend = Literal["lgpio", "RPi.GPIO"]
Pull = Literal["up", "down", "none"]


class PinError(StageFault):
    """A GPIO line could not be had, or failed."""


class Pulses(Protocol):
    """Pulses on one output, which is low between them. Every method raises PinError.

    They are handed over up to `lead_s` ahead, and the player keeps their time, which may be a
    thread of its own. What was handed over is played to its end.
    """

    lead_s: float
    """How far ahead of its time a pulse may be handed over; 0 if the calling thread plays it."""
    jitter_s: float
    """How late the player may be: a high or low that is longer will not be swallowed by that."""

    def rest(self, rest_s: float) -> float:
        """Begin a run with no pulse for `rest_s`, and return when that began."""
        ...

    def pulse(self, at_s: float, high_s: float, low_s: float, rest_s: float) -> float:
        """Be high from `at_s`, or as soon as possible after, and return when that began.

        At least `high_s` later comes a low of at least `low_s`. The next pulse is not due for
        `rest_s` after the start of this one; 0 after the last of a run.
        """
        ...

    def finish(self) -> None:
        """Wait until all that was handed over has been played."""
        ...


class Pins(Protocol):
    """GPIO lines of one board, by BCM number; opened on enter, given back on exit.

    Every method raises PinError.
    """

    def claim_outputs(self, levels: Mapping[int, bool]) -> None:
        """Make the pins outputs, at these levels, as a group that is written together."""
        ...

    def claim_input(self, pin: int, pull: Pull) -> None:
        """Make the pin an input."""
        ...

    def write(self, levels: Mapping[int, bool]) -> None:
        """Set all or some outputs of one group now."""
        ...

    def read(self, pin: int) -> bool:
        """Return the level of a pin."""
        ...

    def pulses(self, pin: int) -> Pulses:
        """Return the player of an output that is alone in its group."""
        ...

    def __enter__(self) -> Self: ...

    def __exit__(self, *error: object) -> None: ...


class DirectPulses:
    """Pulses that the calling thread makes: a late edge delays those that follow it."""

    lead_s = 0.0
    jitter_s = 0.0

    def __init__(self, pins: Pins, pin: int, clock: Clock) -> None:
        self._pins = pins
        self._clock = clock
        self._high, self._low = {pin: True}, {pin: False}

    def rest(self, rest_s: float) -> float:  # noqa: ARG002 - the caller waits
        """Return the time."""
        return self._clock.now_s()

    def pulse(self, at_s: float, high_s: float, low_s: float, rest_s: float) -> float:  # noqa: ARG002
        """Make one pulse, and return when it began; its end has passed."""
        clock = self._clock
        clock.wait_until_s(at_s)
        begun_s = clock.now_s()
        self._pins.write(self._high)
        clock.wait_until_s(clock.now_s() + high_s)
        self._pins.write(self._low)
        clock.wait_until_s(clock.now_s() + low_s)
        return begun_s

    def finish(self) -> None:
        """Nothing is left to be played."""


def open_pins(backend: Backend, clock: Clock) -> Pins:
    """Return the lines of this board through a library, which is imported when they are opened."""
    if backend == "lgpio":
        from hw.pins_lgpio import LgpioPins

        return LgpioPins(clock)
    from hw.pins_rpi import RpiPins

    return RpiPins(clock)
