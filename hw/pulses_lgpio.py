"""Pulses that lgpio's own thread times, one handed over after the other.

What lgpio 0.2.2 does, read in its source (lgPthTx.c, lgGpio.c), and what follows from it:

- Pulses join without a gap while its queue is not empty; to one that comes when nothing plays, the
  thread wakes up to 20 ms later. So each pulse lasts until the next is due, and a run begins with
  one that is low throughout.
- What is queued is played, or dropped together with the one that plays, and nothing tells how many
  there were. So a pulse is handed over only after the one before it has begun, which the length of
  the queue tells, and nothing is dropped: the count is exact, and when a stop comes at most one
  pulse is still due, within a step period.
- A thread that is late makes the next edges at once, to catch up. So a pulse that began late puts
  the next one off by as much.
- Waves (`tx_wave`) could do the same for several pins, but one that was queued is never freed.
"""

import math
from typing import Any, Final

from hw.clock import Clock
from hw.pins import PinError

_LEAD_S: Final = 0.002
_JITTER_S: Final = 50e-6
_POLL_S: Final = 50e-6
_LATE_S: Final = 100e-6
_STUCK_S: Final = 1.0
_SHORTEST_US: Final = 11  # lgpio takes no cycle of 10 us or less


class LgpioPulses:
    """Pulses on one pin of an open chip; `clock` must run in real time."""

    lead_s = _LEAD_S
    jitter_s = _JITTER_S

    def __init__(self, lgpio: Any, handle: int, pin: int, clock: Clock) -> None:
        self._lgpio = lgpio
        self._handle = handle
        self._pin = pin
        self._clock = clock
        self._empty_queue = self._room()
        self._ends_s = clock.now_s()

    def rest(self, rest_s: float) -> float:
        """Wake lgpio's thread, wait until it plays a rest, and return when that began."""
        return self._play(self._clock.now_s(), 0, _up_us(rest_s))

    def pulse(self, at_s: float, high_s: float, low_s: float, rest_s: float) -> float:
        """Hand one pulse over, wait until it begins, and return when it did."""
        high_us = max(_up_us(high_s), 1)
        return self._play(at_s, high_us, max(_up_us(rest_s) - high_us, _up_us(low_s), 1))

    def finish(self) -> None:
        """Wait until lgpio has played all."""
        start_s = self._clock.now_s()
        try:
            while self._lgpio.tx_busy(self._handle, self._pin, self._lgpio.TX_PWM):
                self._poll(max(start_s, self._ends_s))
        except self._lgpio.error as error:
            raise self._fault(str(error)) from error

    def _play(self, at_s: float, high_us: int, low_us: int) -> float:
        try:
            if self._room() == self._empty_queue:  # nothing plays: the thread is asleep
                self._send(0, _SHORTEST_US)
                begins_s = None  # the queue will tell
            else:
                gap_us = int((at_s - self._ends_s) * 1e6)
                if gap_us > _SHORTEST_US:
                    self._send(0, gap_us)
                begins_s = max(at_s, self._ends_s)
            low_us = max(low_us, _SHORTEST_US - high_us)
            self._send(high_us, low_us)
            begun_s = self._wait_for_begin_s(begins_s)
        except self._lgpio.error as error:
            raise self._fault(str(error)) from error
        # By lgpio's own schedule, which does not shift when its thread is late.
        scheduled_s = begun_s if begins_s is None else begins_s
        self._ends_s = scheduled_s + (high_us + low_us) * 1e-6
        return begun_s

    def _wait_for_begin_s(self, begins_s: float | None) -> float:
        clock = self._clock
        if begins_s is not None:
            clock.wait_until_s(begins_s)
        start_s = clock.now_s()
        not_yet_s = -math.inf
        while self._room() < self._empty_queue - 1:
            not_yet_s = clock.now_s()
            self._poll(start_s)
        if begins_s is None or not_yet_s > begins_s + _LATE_S:
            return clock.now_s()
        return begins_s

    def _poll(self, since_s: float) -> None:
        now_s = self._clock.now_s()
        if now_s > since_s + _STUCK_S:
            raise self._fault(f"its thread has played nothing for {now_s - since_s:.1f} s")
        self._clock.wait_until_s(now_s + _POLL_S)

    def _room(self) -> int:
        return int(self._lgpio.tx_room(self._handle, self._pin, self._lgpio.TX_PWM))

    def _send(self, high_us: int, low_us: int) -> None:
        self._lgpio.tx_pulse(self._handle, self._pin, high_us, low_us, 0, 1)

    def _fault(self, why: str) -> PinError:
        return PinError(
            f"lgpio cannot play pulses on GPIO {self._pin}: {why}; connect the stage again"
        )


def _up_us(duration_s: float) -> int:
    return math.ceil(duration_s * 1e6 - 1e-3)  # rounded down, steps would come too fast
