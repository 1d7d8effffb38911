"""News for whoever wants it; one who is slow misses some, and holds up nobody."""

import threading
from collections import OrderedDict
from collections.abc import Hashable, Iterator
from typing import Self

from edge_af.service.models import Event, Job

_MOST_WAITING = 256


class Subscription:
    """News since it was made. Iterate over it in any one thread; `close` ends that from another.

    What still waits to be fetched is bounded: a newer status, position, belief or state of a job
    takes the place of the one before, and of anything else the oldest is dropped.
    """

    def __init__(self, events: "Events") -> None:
        self._events = events
        self._waiting: OrderedDict[Hashable, Event] = OrderedDict()
        self._changed = threading.Condition()
        self._closed = False
        self._number = 0

    def get(self, timeout_s: float | None = None) -> Event | None:
        """Return the next event; None if none comes in time, or the subscription is closed."""
        with self._changed:
            self._changed.wait_for(lambda: self._waiting or self._closed, timeout_s)
            if not self._waiting:
                return None
            return self._waiting.popitem(last=False)[1]

    @property
    def closed(self) -> bool:
        """Whether no more news will come."""
        return self._closed

    def close(self) -> None:
        """Want no more news. From any thread."""
        self._events.remove(self)
        with self._changed:
            self._closed = True
            self._changed.notify_all()

    def put(self, event: Event) -> None:
        """Take an event in; never waits for the reader."""
        with self._changed:
            if self._closed:
                return
            self._number += 1
            key = _key(event) or self._number
            self._waiting.pop(key, None)
            self._waiting[key] = event
            if len(self._waiting) > _MOST_WAITING:
                self._waiting.popitem(last=False)
            self._changed.notify_all()

    def __iter__(self) -> Iterator[Event]:
        while True:
            event = self.get()
            if event is None:
                return
            yield event

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()


def _key(event: Event) -> Hashable | None:
    """Return what a later event replaces this one by; None if none does."""
    if event.kind == "log":
        return None
    return ("job", event.data.id) if isinstance(event.data, Job) else event.kind


class Events:
    """Hands news on to all subscriptions."""

    def __init__(self) -> None:
        self._subscriptions: tuple[Subscription, ...] = ()
        self._lock = threading.Lock()
        self._closed = False

    def __bool__(self) -> bool:
        """Tell whether anyone listens."""
        return bool(self._subscriptions)

    def subscribe(self) -> Subscription:
        """Return a new subscription."""
        subscription = Subscription(self)
        with self._lock:
            self._subscriptions += (subscription,)
            closed = self._closed
        if closed:
            subscription.close()
        return subscription

    def remove(self, subscription: Subscription) -> None:
        """Hand no more on to `subscription`."""
        with self._lock:
            self._subscriptions = tuple(s for s in self._subscriptions if s is not subscription)

    def publish(self, event: Event) -> None:
        """Hand `event` on; never waits for a reader."""
        for subscription in self._subscriptions:
            subscription.put(event)

    def close(self) -> None:
        """End all subscriptions, those to come as well."""
        with self._lock:
            self._closed = True
            open_ones = self._subscriptions
        for subscription in open_ones:
            subscription.close()
