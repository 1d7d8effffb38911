"""The one source of time, so that hardware and decisions agree on what is fresh."""

import time
from typing import Protocol


class Clock(Protocol):
    """A monotonic clock in seconds that can also be waited on."""

    def now_s(self) -> float:
        """Return the time in seconds since an arbitrary, fixed origin."""
        ...

    def wait_until_s(self, time_s: float) -> None:
        """Return once `now_s()` is at least `time_s`; at once if it already is."""
        ...


class WallClock:
    """Real time, by the monotonic clock of the operating system."""

    def now_s(self) -> float:
        """Return the monotonic time in seconds."""
        return time.monotonic()

    def wait_until_s(self, time_s: float) -> None:
        """Sleep until `time_s`."""
        remaining_s = time_s - time.monotonic()
        if remaining_s > 0:
            time.sleep(remaining_s)
