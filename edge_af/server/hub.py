"""The service's events, for any number of clients on one event loop."""

import asyncio
import threading
from collections import deque
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from edge_af.service.events import Events, Subscription
from edge_af.service.models import Event, Job, LogLine
from edge_af.service.station import Station

LOG_LINES = 500
"""So many are kept."""
_RECHECK_S = 1.0


class Hub:
    """Reads the station's events on one thread and wakes whoever waits for them on the loop."""

    def __init__(self, station: Station, count: Callable[[Event], None]) -> None:
        """Tell `count` of every event too, on that thread."""
        self._station = station
        self._count = count
        self._events = Events()
        self._news = asyncio.Event()
        self.log: deque[LogLine] = deque(maxlen=LOG_LINES)
        """The latest lines, the oldest first."""

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Read events while in it."""
        loop = asyncio.get_running_loop()
        with self._station.subscribe() as subscription:
            reader = threading.Thread(
                target=self._read, args=(subscription, loop), name="events", daemon=True
            )
            reader.start()
            try:
                yield
            finally:
                self._events.close()
                self._wake()

    def subscribe(self) -> Subscription:
        """Return a subscription to be emptied with `get(0)` after each `news`."""
        return self._events.subscribe()

    async def news(self, timeout_s: float) -> None:
        """Return when something has happened, or the time is over."""
        try:
            async with asyncio.timeout(timeout_s):
                await self._news.wait()
        except TimeoutError:
            return

    async def ended(self, id: str, timeout_s: float) -> Job:
        """Return a job once it has ended or waits for a person, or as it is after the time."""
        loop = asyncio.get_running_loop()
        until_s = loop.time() + timeout_s
        while True:
            job, left_s = self._station.job(id), until_s - loop.time()
            if job.ended or job.state == "waiting" or left_s <= 0:
                return job
            await self.news(min(left_s, _RECHECK_S))

    def _read(self, subscription: Subscription, loop: asyncio.AbstractEventLoop) -> None:
        for event in subscription:
            if isinstance(event.data, LogLine):
                self.log.append(event.data)
            self._count(event)
            self._events.publish(event)
            try:
                loop.call_soon_threadsafe(self._wake)
            except RuntimeError:  # the loop has been closed
                return

    def _wake(self) -> None:
        self._news.set()
        self._news = asyncio.Event()
