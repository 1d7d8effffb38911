"""The history on disk: one SQLite file, which `edge_af.journal` writes and anyone may read.

docs/decisions/history.md says why it is written the way it is.
"""

import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Annotated, Any
from urllib.parse import quote

from pydantic import (
    AfterValidator,
    AwareDatetime,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    ValidationError,
)

from edge_af.errors import EdgeAfError
from edge_af.journal_kinds import EntryKind

FILE_NAME = "history.sqlite"
DAMAGED_NAME = "history.damaged.sqlite"
"""Where a file that cannot be used is put; one that was there before gives way."""

_FORMAT = 1
_LONGEST_NOTE = 500
_PAGES_TO_CHECKPOINT = 250
_LOG_BYTES = 2**20
_PATIENCE_S = 5.0


def _to_ms_utc(time: datetime) -> datetime:
    time = time.astimezone(UTC)
    return time.replace(microsecond=time.microsecond // 1000 * 1000)


def _cut(text: object) -> object:
    return text[:_LONGEST_NOTE] if isinstance(text, str) else text


class Entry(BaseModel):
    """Something that the instrument did. What does not apply is None, or empty.

    `outcome` is "focused" or "abstained" of a focus that
    ended by itself; "done", "failed", "cancelled" or "stopped" of another command; the name of a
    fault. `note` is a reason or an error. Positions are counted stage positions.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    at: Annotated[AwareDatetime, AfterValidator(_to_ms_utc)]
    kind: EntryKind
    outcome: str = ""
    start_um: float | None = None
    end_um: float | None = None
    method: str | None = None
    frames: int | None = None
    moves: int | None = None
    time_s: float | None = None
    model: str | None = None
    note: Annotated[str, BeforeValidator(_cut)] = ""


COLUMNS = tuple(Entry.model_fields)

_SCHEMA = """CREATE TABLE entries (
    id INTEGER PRIMARY KEY, at TEXT NOT NULL, kind TEXT NOT NULL, outcome TEXT NOT NULL,
    start_um REAL, end_um REAL, method TEXT, frames INTEGER, moves INTEGER, time_s REAL,
    model TEXT, note TEXT NOT NULL
)"""
_INSERT = f"INSERT INTO entries ({','.join(COLUMNS)}) VALUES ({','.join('?' * len(COLUMNS))})"
_SELECT = (
    f"SELECT {','.join(COLUMNS)} FROM entries WHERE (?1 IS NULL OR at >= ?1) "
    "AND (?2 IS NULL OR kind = ?2) ORDER BY id DESC LIMIT ?3"
)
# The ends are found by walking from them, so no index has to be written along. Of the rows in
# front of the first that is young enough, all go.
_DROP_OLD = (
    "DELETE FROM entries WHERE id < (SELECT id FROM entries WHERE at >= ? ORDER BY id LIMIT 1)"
)
_DROP_MANY = "DELETE FROM entries WHERE id <= (SELECT max(id) FROM entries) - ?"


class DamagedError(EdgeAfError):
    """The file is no history, or damaged."""


def iso_utc(time: datetime) -> str:
    """Return the time in UTC to the millisecond, such as 2026-01-02T03:04:05.678Z."""
    return time.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def as_row(entry: Entry) -> dict[str, Any]:
    """Return an entry as it is kept and shown, with its time as text."""
    return entry.model_dump() | {"at": iso_utc(entry.at)}


class JournalFile:
    """The file, open for writing; for one thread at a time. All raise sqlite3.Error on trouble."""

    def __init__(self, path: Path) -> None:
        """Open the file, made if need be. Raises DamagedError if it is no history or damaged."""
        self._connection = sqlite3.connect(
            path, timeout=_PATIENCE_S, isolation_level=None, check_same_thread=False
        )
        try:
            with _damage_told():
                self._prepare()
        except BaseException:
            self._connection.close()
            raise

    def _prepare(self) -> None:
        run = self._connection.execute
        run("PRAGMA journal_mode = WAL")
        run("PRAGMA synchronous = NORMAL")
        run(f"PRAGMA wal_autocheckpoint = {_PAGES_TO_CHECKPOINT}")
        run(f"PRAGMA journal_size_limit = {_LOG_BYTES}")
        if not _has_tables(self._connection):
            with self._transaction():
                run(_SCHEMA)
                run(f"PRAGMA user_version = {_FORMAT}")
        _require_format(self._connection)
        if (found := run("PRAGMA quick_check(1)").fetchone()[0]) != "ok":
            raise DamagedError(" ".join(found.split()))

    def write(self, entries: Sequence[Entry], keep_days: int, keep_rows: int) -> None:
        """Add entries and drop what is too old or too much, as one: all of it or nothing."""
        oldest = datetime.now(UTC) - timedelta(days=keep_days)
        rows = [tuple(as_row(entry).values()) for entry in entries]
        with _damage_told(), self._transaction():
            self._connection.executemany(_INSERT, rows)
            self._connection.execute(_DROP_OLD, (iso_utc(oldest),))
            self._connection.execute(_DROP_MANY, (keep_rows,))

    def read(self, since: datetime | None, limit: int, kind: EntryKind | None) -> list[Entry]:
        """Return the latest entries, the oldest of them first."""
        return _select(self._connection, since, limit, kind)

    def close(self) -> None:
        """Close the file."""
        self._connection.close()

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        self._connection.execute("BEGIN IMMEDIATE")
        try:
            yield
            self._connection.execute("COMMIT")
        except BaseException:
            if self._connection.in_transaction:
                self._connection.execute("ROLLBACK")
            raise


def read_entries(
    path: Path,
    since: datetime | None = None,
    limit: int = 1000,
    kind: EntryKind | None = None,
) -> list[Entry]:
    """Return the latest entries of a file, the oldest first; leaves no trace and needs no service.

    Raises FileNotFoundError, PermissionError, DamagedError, and sqlite3.Error if someone keeps the
    file locked.
    """
    with path.open("rb"):
        pass  # for an error that says why
    # A file with no log beside it is at rest. Told so, SQLite makes none either, for which it
    # would need the right to write.
    at_rest = not path.with_name(f"{path.name}-wal").exists()
    address = f"file:{quote(str(path.absolute()))}?mode=ro{'&immutable=1' if at_rest else ''}"
    with closing(sqlite3.connect(address, timeout=_PATIENCE_S, uri=True)) as connection:
        with _damage_told():
            if not _has_tables(connection):
                return []  # just being made
            _require_format(connection)
        return _select(connection, since, limit, kind)


def _has_tables(connection: sqlite3.Connection) -> bool:
    return connection.execute("SELECT 1 FROM sqlite_schema").fetchone() is not None


def _require_format(connection: sqlite3.Connection) -> None:
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    columns = [row[1] for row in connection.execute("PRAGMA table_info(entries)")]
    if version != _FORMAT or columns != ["id", *COLUMNS]:
        raise DamagedError("it is not a history that this version can use")


def _select(
    connection: sqlite3.Connection, since: datetime | None, limit: int, kind: EntryKind | None
) -> list[Entry]:
    first = None if since is None else iso_utc(since)
    with _damage_told():
        rows = connection.execute(_SELECT, (first, kind, limit)).fetchall()
        rows.reverse()
        return [Entry.model_validate(dict(zip(COLUMNS, row, strict=True))) for row in rows]


@contextmanager
def _damage_told() -> Iterator[None]:
    try:
        yield
    except ValidationError as error:
        raise DamagedError(f"an entry cannot be read: {error.errors()[0]['msg']}") from error
    except sqlite3.DatabaseError as error:
        code = getattr(error, "sqlite_errorcode", 0) & 0xFF  # without the extension
        if code in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB):
            raise DamagedError(str(error)) from error
        raise
