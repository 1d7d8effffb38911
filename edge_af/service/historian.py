"""From the station's news to the history: the one place that knows both."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime

from edge_af.journal import Journal
from edge_af.journal_file import Entry
from edge_af.service.models import Event, Fault, Job, Status
from edge_af.service.station import Station


@contextmanager
def keeping_history(station: Station, journal: Journal) -> Iterator[None]:
    """Keep what the station does in the journal, from the start of the service to its stop.

    Enter it before the station, so that it misses nothing. Both the journal and the station are the
    caller's; the journal must have been entered.
    """
    journal.add(Entry(at=datetime.now(UTC), kind="start"))
    historian = Historian()
    with station.subscribe() as news:

        def listen() -> None:
            for event in news:
                for entry in historian.entries_of(event):
                    journal.add(entry)

        thread = threading.Thread(target=listen, name="historian", daemon=True)
        thread.start()
        try:
            yield
        finally:
            news.close()
            thread.join()
            journal.add(Entry(at=datetime.now(UTC), kind="stop"))


class Historian:
    """Makes entries of events: one of every job that ends, one of every new fault."""

    def __init__(self) -> None:
        self._model: str | None = None
        self._fault: Fault | None = None
        self._last_job = ""

    def entries_of(self, event: Event) -> Iterator[Entry]:
        """Yield what is worth keeping of an event."""
        match event.data:
            case Job() as job if job.ended and job.id != self._last_job:
                self._last_job = job.id
                yield self._of_job(job)
            case Status() as status:
                self._model = status.model
                if status.fault is not None and status.fault != self._fault:
                    yield Entry(
                        at=datetime.now(UTC),
                        kind="fault",
                        outcome=status.fault.name,
                        end_um=status.position_um,
                        model=status.model,
                        note=status.fault.cause,
                    )
                self._fault = status.fault

    def _of_job(self, job: Job) -> Entry:
        result = job.result or {}
        ended_at = job.ended_at or datetime.now(UTC)
        return Entry(
            at=ended_at,
            kind=job.kind,
            outcome=(job.kind == "focus" and result.get("outcome")) or job.state,
            start_um=result.get("start_um"),
            end_um=result.get("end_um"),
            method=result.get("method"),
            frames=result.get("frames"),
            moves=result.get("moves"),
            time_s=result.get("time_s", (ended_at - job.started_at).total_seconds()),
            model=self._model if job.kind == "focus" else None,
            note=job.error or result.get("reason") or "",
        )
