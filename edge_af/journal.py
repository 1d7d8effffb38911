"""The history of an instrument. Keeping it never holds up or breaks what the instrument does."""

import logging
import sqlite3
import threading
from collections import deque
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Self

from edge_af.journal_file import (
    DAMAGED_NAME,
    FILE_NAME,
    DamagedError,
    Entry,
    JournalFile,
)
from edge_af.journal_kinds import EntryKind
from edge_af.settings import HistorySettings

_log = logging.getLogger(__name__)

_MOST_WAITING = 1000
_ENOUGH_TO_WRITE = 200
_AT_ONCE: frozenset[EntryKind] = frozenset({"start", "stop", "fault", "calibrate"})
"""Seldom, and what one looks for after something went wrong."""


class Journal:
    """Keeps entries in a file in the state folder; a thread of its own writes them.

    Whatever is wrong with the file or its disk is told in `fault` and in the log, never raised. The
    latest entries then wait in memory until it can be written again.
    """

    def __init__(self, folder: Path, settings: HistorySettings | None = None) -> None:
        """Nothing is opened or begun before the journal is entered."""
        self._folder = folder
        self._settings = settings or HistorySettings()
        self._waiting: deque[Entry] = deque()
        self._changed = threading.Condition()
        self._hurry = False
        self._closing = False
        self._writing = threading.Lock()
        self._file: JournalFile | None = None
        self._fault: str | None = None
        self._thread = threading.Thread(target=self._write_on, name="journal", daemon=True)

    @property
    def fault(self) -> str | None:
        """Why entries wait in memory; None while they reach the file."""
        return self._fault

    def add(self, entry: Entry) -> None:
        """Take an entry; at once, from any thread."""
        with self._changed:
            self._waiting.append(entry)
            self._hurry |= entry.kind in _AT_ONCE
            self._changed.notify()

    def entries(
        self, since: datetime | None = None, limit: int = 1000, kind: EntryKind | None = None
    ) -> list[Entry]:
        """Return the latest entries, the oldest of them first; those not yet written as well."""
        with self._writing:
            found = self._read(since, limit, kind)
            with self._changed:
                waiting = list(self._waiting)
        found += [
            entry
            for entry in waiting
            if (since is None or entry.at >= since) and (kind is None or entry.kind == kind)
        ]
        return found[-limit:]

    def _read(self, since: datetime | None, limit: int, kind: EntryKind | None) -> list[Entry]:
        try:
            try:
                return self._opened().read(since, limit, kind)
            except DamagedError as error:
                self._set_aside(error)
        except (sqlite3.Error, OSError) as error:
            self._troubled(error)
        return []

    def flush(self) -> None:
        """Write what waits. Does not raise; see `fault`."""
        with self._writing:
            try:
                try:
                    self._write()
                except DamagedError as error:
                    self._set_aside(error)
                    self._write()
            except (DamagedError, sqlite3.Error, OSError) as error:
                self._troubled(error)

    def _write(self) -> None:
        with self._changed:
            self._hurry = False
            batch = list(self._waiting)
        if not batch:
            return
        self._opened().write(batch, self._settings.keep_days, self._settings.keep_rows)
        with self._changed:
            for _ in batch:
                self._waiting.popleft()
        if self._fault is not None:
            _log.info("the history is written again")
            self._fault = None

    def _opened(self) -> JournalFile:
        path = self._folder / FILE_NAME
        if self._file is None or not path.exists():  # someone may have removed it
            self._close()
            self._folder.mkdir(parents=True, exist_ok=True)
            self._file = JournalFile(path)
        return self._file

    def _close(self) -> None:
        if self._file is not None:
            with suppress(sqlite3.Error):
                self._file.close()
            self._file = None

    def _set_aside(self, damage: DamagedError) -> None:
        """Put the file under another name, and tell of it: in the log, and in the new file."""
        self._close()
        for suffix in ("-wal", "-shm", ""):
            path, aside = (self._folder / f"{name}{suffix}" for name in (FILE_NAME, DAMAGED_NAME))
            aside.unlink(missing_ok=True)
            with suppress(FileNotFoundError):
                path.rename(aside)
        note = f"the history was damaged ({damage}) and is now {DAMAGED_NAME}; a new one begins"
        _log.warning("%s", note)
        with self._changed:
            self._waiting.appendleft(
                Entry(at=datetime.now(UTC), kind="fault", outcome="history-damaged", note=note)
            )
            self._changed.notify()

    def _troubled(self, error: Exception) -> None:
        self._close()
        fault = f"cannot keep the history in {self._folder}: {error}"
        if fault != self._fault:
            _log.warning("%s; the latest entries wait in memory", fault)
        self._fault = fault
        with self._changed:
            self._hurry = False  # it is tried again in its time
            while len(self._waiting) > _MOST_WAITING:
                self._waiting.popleft()

    def _write_on(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._waiting or self._closing)
                self._changed.wait_for(self._is_due, self._settings.commit_s)
                closing = self._closing
            self.flush()
            if closing:
                return

    def _is_due(self) -> bool:
        enough = len(self._waiting) >= _ENOUGH_TO_WRITE and self._fault is None
        return self._closing or self._hurry or enough

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *error: object) -> None:
        with self._changed:
            self._closing = True
            self._changed.notify()
        self._thread.join()
        self._close()
