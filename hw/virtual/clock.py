"""Time that jumps, so that a second on the instrument takes microseconds in a test."""

import heapq
import itertools
import math
import threading
from collections.abc import Callable


class SimulatedClock:
    """A clock that stands still until someone waits on it, and then jumps to where they wait for.

    Safe to use from several threads: time never runs backwards, and a wait by any of them moves
    time for all.
    """

    def __init__(self, start_s: float = 0.0) -> None:
        self._now_s = start_s
        self._due: list[tuple[float, int, Callable[[], None]]] = []
        self._order = itertools.count()
        self._lock = threading.Lock()

    def now_s(self) -> float:
        """Return the simulated time in seconds."""
        with self._lock:
            return self._now_s

    def wait_until_s(self, time_s: float) -> None:
        """Jump to `time_s`, running on the way, in order, each action that falls due.

        Raises ValueError if `time_s` is not finite.
        """
        if not math.isfinite(time_s):
            raise ValueError(f"cannot wait until {time_s} s: the time must be finite")
        while True:
            with self._lock:
                time_s = max(self._now_s, time_s)
                if not self._due or self._due[0][0] > time_s:
                    self._now_s = time_s
                    return
                due_s, _, action = heapq.heappop(self._due)
                self._now_s = max(self._now_s, due_s)
            action()  # without the lock: it may read the clock, also from a thread it waits for

    def at(self, time_s: float, action: Callable[[], None]) -> None:
        """Run `action` when time passes `time_s`, in the thread whose wait makes it pass.

        If that time is already past, the next wait runs it. Equal times run in the order given.
        """
        with self._lock:
            heapq.heappush(self._due, (time_s, next(self._order), action))
