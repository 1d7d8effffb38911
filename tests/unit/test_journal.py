"""The history: kept in batches, bounded, and never in the way."""

import logging
import os
import signal
import sqlite3
import subprocess
import sys
import textwrap
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import get_args

import pytest
from stations import Bench, until

from edge_af.journal import Journal
from edge_af.journal_file import DamagedError, Entry, JournalFile, read_entries
from edge_af.journal_kinds import EntryKind
from edge_af.service.historian import Historian, keeping_history
from edge_af.service.models import Event, Fault, Job, JobKind, Position, Status
from edge_af.service.station import Station
from edge_af.settings import HistorySettings

ROOT = Path(__file__).parents[2]
NOW = datetime.now(UTC)
PATIENT = HistorySettings(commit_s=3600)
"""Nothing is written by itself within a test."""


def focus(number, kind="focus", age=timedelta(0), **fields):
    return Entry(at=NOW - age, kind=kind, outcome="focused", end_um=float(number), **fields)


def numbers(entries):
    return [int(entry.end_um) for entry in entries]


@pytest.fixture
def file(tmp_path):
    return tmp_path / "history.sqlite"


# --- what is kept


def test_an_entry_comes_back_as_it_was(tmp_path):
    entry = Entry(
        at=datetime.fromisoformat("2026-03-04T05:06:07.891234+02:00"),
        kind="focus",
        outcome="focused",
        start_um=-3.25,
        end_um=1.0,
        method="single shot",
        frames=3,
        moves=2,
        time_s=0.75,
        model="spectral",
        note="ätzend: 'quoted', \"twice\"\nnext line",
    )
    with Journal(tmp_path, PATIENT) as journal:
        journal.add(entry)
        journal.flush()
        assert journal.entries() == [entry]
        assert journal.fault is None
    assert read_entries(tmp_path / "history.sqlite") == [entry]
    with closing(sqlite3.connect(tmp_path / "history.sqlite")) as other:
        (row,) = other.execute("SELECT at, kind, start_um FROM entries")
    assert row == ("2026-03-04T03:06:07.891Z", "focus", -3.25)


def test_a_long_note_is_cut_and_other_nonsense_refused():
    assert len(focus(1, note="x" * 10_000).note) == 500
    for wrong in ({"end_um": float("nan")}, {"kind": "fokus"}, {"at": datetime(2026, 1, 1)}):
        with pytest.raises(ValueError, match="validation error"):
            Entry.model_validate({"at": NOW, "kind": "focus"} | wrong)


def test_what_is_not_written_yet_is_seen_as_well(tmp_path, file):
    with Journal(tmp_path, PATIENT) as journal:
        journal.add(focus(1))
        journal.flush()
        journal.add(focus(2))
        assert numbers(journal.entries()) == [1, 2]
        assert numbers(read_entries(file)) == [1]
    assert numbers(read_entries(file)) == [1, 2]  # the end writes it


def test_entries_are_chosen_by_time_kind_and_number(tmp_path):
    with Journal(tmp_path, PATIENT) as journal:
        for number in range(6):
            kind = "move" if number % 2 else "focus"
            journal.add(focus(number, kind, age=timedelta(hours=6 - number)))
            if number == 3:
                journal.flush()
        assert numbers(journal.entries(limit=2)) == [4, 5]
        assert numbers(journal.entries(kind="move")) == [1, 3, 5]
        assert numbers(journal.entries(since=NOW - timedelta(hours=3, minutes=1))) == [3, 4, 5]
        assert numbers(journal.entries(NOW - timedelta(hours=5, minutes=1), 1, "move")) == [5]


@pytest.mark.parametrize("kind", ["start", "stop", "fault", "calibrate"])
def test_what_matters_is_written_at_once(tmp_path, file, kind):
    with Journal(tmp_path, PATIENT) as journal:
        journal.add(focus(1))
        journal.add(focus(2, kind))
        until(lambda: file.exists() and numbers(read_entries(file)) == [1, 2])


def test_many_are_written_before_the_time_is_over(tmp_path, file):
    with Journal(tmp_path, PATIENT) as journal:
        for number in range(200):
            journal.add(focus(number))
        until(lambda: file.exists() and len(read_entries(file)) == 200)


def test_any_thread_may_add(tmp_path, file):
    with Journal(tmp_path, PATIENT) as journal, ThreadPoolExecutor(8) as pool:
        for number in range(400):
            pool.submit(journal.add, focus(number))
            if number % 40 == 0:
                pool.submit(journal.flush)
                pool.submit(journal.entries)
    assert sorted(numbers(read_entries(file))) == [*range(400)]


# --- how much is kept


def test_the_oldest_go_when_there_are_too_many(tmp_path, file):
    with Journal(tmp_path, HistorySettings(keep_rows=100, commit_s=3600)) as journal:
        for number in range(350):
            journal.add(focus(number))
            if number % 30 == 0:
                journal.flush()
    assert numbers(read_entries(file)) == [*range(250, 350)]


def test_the_oldest_go_when_they_are_too_old(tmp_path, file):
    with Journal(tmp_path, HistorySettings(keep_days=30, commit_s=3600)) as journal:
        for number, days in enumerate((90, 45, 31, 29, 1)):
            journal.add(focus(number, age=timedelta(days=days)))
    assert numbers(read_entries(file)) == [3, 4]


def test_the_file_stops_growing(tmp_path, file):
    def size():
        return sum(path.stat().st_size for path in tmp_path.iterdir())

    settings = HistorySettings(keep_rows=1000, commit_s=3600)
    sizes = []
    with Journal(tmp_path, settings) as journal:
        for number in range(12_000):
            journal.add(focus(number, note="x" * 80))
            if number % 200 == 199:
                journal.flush()
                sizes.append(size())
    half = len(sizes) // 2
    assert max(sizes[half:]) <= 1.1 * max(sizes[:half])  # the log is now longer, now shorter
    assert max(sizes) < 3 * 2**20
    assert [path.name for path in tmp_path.iterdir()] == [file.name]
    assert size() < 500_000


# --- kill -9, power cuts, damage, full disks

WRITER = """
import sys
from datetime import UTC, datetime
from pathlib import Path
from edge_af.journal import Journal
from edge_af.journal_file import Entry
from edge_af.settings import HistorySettings

number = int(sys.argv[2])
with Journal(Path(sys.argv[1]), HistorySettings(keep_rows=100_000)) as journal:
    while True:
        for _ in range(7):
            journal.add(Entry(at=datetime.now(UTC), kind="focus", end_um=number, note="n" * 200))
            number += 1
        journal.flush()
        assert journal.fault is None, journal.fault
        print(number, flush=True)
"""


def test_kill_9_in_mid_write_loses_no_batch_and_harms_nothing(tmp_path, file):
    number = 0
    for lines in (1, 3, 8, 20):
        with subprocess.Popen(
            [sys.executable, "-c", WRITER, str(tmp_path), str(number)],
            stdout=subprocess.PIPE,
            text=True,
            cwd=ROOT,
        ) as child:
            for _ in range(lines):
                told = int(child.stdout.readline())
            child.send_signal(signal.SIGKILL)
            told = max([told, *map(int, child.stdout.read().split("\n")[:-1])])
        kept = numbers(read_entries(file, limit=1_000_000))
        assert kept == [*range(len(kept))]  # whole batches, in order, none twice
        assert len(kept) % 7 == 0
        assert len(kept) >= told
        number = len(kept)
    with Journal(tmp_path, PATIENT) as journal:
        journal.add(focus(number))
    assert numbers(read_entries(file, limit=1_000_000)) == [*range(number + 1)]
    assert not (tmp_path / "history.damaged.sqlite").exists()


def test_after_a_power_cut_there_is_a_beginning_of_what_was(tmp_path):
    """What reached the card of the log is cut off, or was never written, anywhere."""
    live = tmp_path / "live"
    live.mkdir()
    with closing(JournalFile(live / "history.sqlite")) as file:
        for number in range(30):
            file.write([focus(number, note="n" * 100)], 365, 1000)
        content, log = (
            (live / name).read_bytes() for name in ("history.sqlite", "history.sqlite-wal")
        )
    cut = tmp_path / "cut"
    cut.mkdir()
    kept = []
    for share in range(0, 101, 5):
        for tail in (b"", b"\0" * 5000, os.urandom(5000)):
            (cut / "history.sqlite").write_bytes(content)
            length = len(log) * share // 100
            (cut / "history.sqlite-wal").write_bytes(log[:length] + tail)
            with Journal(cut, PATIENT) as journal:
                found = numbers(journal.entries())
                assert journal.fault is None
            assert found == [*range(len(found))]
            kept.append(len(found))
    assert kept[-1] == 30
    assert kept == sorted(kept)


def no_database(path):
    path.write_bytes(b"no database at all " * 1000)


def no_history(path):
    with closing(sqlite3.connect(path)) as other:
        other.execute("CREATE TABLE entries (something)")


def of_a_later_version(path):
    with closing(sqlite3.connect(path)) as other:
        other.execute("PRAGMA user_version = 2")


def shot_through(path):
    content = bytearray(path.read_bytes())
    content[4096 * 2 :] = os.urandom(len(content) - 4096 * 2)
    path.write_bytes(content)


@pytest.mark.parametrize("damage", [no_database, no_history, of_a_later_version, shot_through])
def test_a_damaged_file_is_put_aside_and_that_is_told(tmp_path, file, damage, caplog):
    if damage not in (no_database, no_history):
        with Journal(tmp_path, PATIENT) as journal:
            for number in range(500):
                journal.add(focus(number))
    damage(file)
    content = file.read_bytes()
    with pytest.raises(DamagedError):
        read_entries(file)

    with Journal(tmp_path, PATIENT) as journal:
        journal.add(focus(7))
        journal.flush()
        told, entry = journal.entries()
        assert journal.fault is None
    assert (told.kind, told.outcome) == ("fault", "history-damaged")
    assert "history.damaged.sqlite" in told.note
    assert [record.message for record in caplog.records] == [told.note]
    assert entry.end_um == 7
    assert (tmp_path / "history.damaged.sqlite").read_bytes()[8192:] == content[8192:]
    assert len(read_entries(file)) == 2


def test_damage_while_it_is_open_costs_no_new_entry(tmp_path, file):
    with Journal(tmp_path, PATIENT) as journal:
        for number in range(10_000):
            journal.add(focus(number, note="n" * 400))  # more than SQLite keeps in memory
        journal.flush()
        shot_through(file)
        journal.add(focus(1))
        told, entry = journal.entries(limit=1_000_000)
        assert (told.outcome, entry) == ("history-damaged", focus(1))
        journal.add(focus(2))
        journal.flush()
        assert journal.fault is None
    assert read_entries(file) == [told, focus(1), focus(2)]


def test_only_one_damaged_file_is_kept(tmp_path, file):
    for content in (b"first" * 1000, b"second" * 1000):
        file.write_bytes(content)
        with Journal(tmp_path, PATIENT) as journal:
            journal.add(focus(1))
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "history.damaged.sqlite",
        "history.sqlite",
    ]
    assert (tmp_path / "history.damaged.sqlite").read_bytes() == b"second" * 1000


def test_where_nothing_can_be_written_the_latest_wait(tmp_path, caplog):
    caplog.set_level(logging.INFO)
    folder = tmp_path / "state"
    folder.write_text("a file, where a folder should be")
    with Journal(folder, PATIENT) as journal:
        for number in range(1500):
            journal.add(focus(number))
        journal.flush()
        journal.flush()
        assert "cannot keep the history" in journal.fault
        assert numbers(journal.entries(limit=5000)) == [*range(500, 1500)]
        assert len(caplog.records) == 1  # told once

        folder.unlink()
        journal.add(focus(1500))
        journal.flush()
        assert journal.fault is None
        assert caplog.records[-1].message == "the history is written again"
    assert numbers(read_entries(folder / "history.sqlite", limit=5000)) == [*range(500, 1501)]


def test_a_file_that_someone_removed_begins_anew(tmp_path, file):
    with Journal(tmp_path, PATIENT) as journal:
        journal.add(focus(1))
        journal.flush()
        for path in tmp_path.iterdir():
            path.unlink()
        journal.add(focus(2))
        journal.flush()
        assert numbers(read_entries(file)) == [2]
        assert journal.fault is None


FILLER = """
import sys
from datetime import UTC, datetime
from pathlib import Path
from edge_af.journal import Journal
from edge_af.journal_file import Entry, read_entries
from edge_af.settings import HistorySettings

def add(count):
    for _ in range(count):
        journal.add(Entry(at=datetime.now(UTC), kind="focus", end_um=0, note="n" * 400))
    journal.flush()

folder = Path(sys.argv[1])
with Journal(folder, HistorySettings(commit_s=3600)) as journal:
    if sys.argv[2] == "limit":
        import resource
        resource.setrlimit(resource.RLIMIT_FSIZE, (150_000, resource.RLIM_INFINITY))
    while journal.fault is None:
        add(40)
    held = len(journal.entries(limit=100_000))
    assert held >= 40, held
    if sys.argv[2] == "limit":
        resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY,) * 2)
    else:
        (folder / "ballast").unlink()
    add(1)
    assert journal.fault is None, journal.fault
    assert len(journal.entries(limit=100_000)) == held + 1
print(len(read_entries(folder / "history.sqlite", limit=100_000)) - held)
"""


def fill(folder, how):
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(FILLER), str(folder), how],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stdout) == (0, "1\n"), done.stderr
    assert "cannot keep the history" in done.stderr


def test_nothing_is_lost_where_files_may_not_grow(tmp_path):
    fill(tmp_path, "limit")


def test_nothing_is_lost_on_a_full_disk(tmp_path):
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(tmp_path)],
        capture_output=True,
        text=True,
        check=False,
    )
    if mounted.returncode:
        pytest.skip(f"needs the right to mount a small disk: {mounted.stderr.strip()}")
    try:
        (tmp_path / "ballast").write_bytes(b"\1" * 700_000)
        fill(tmp_path, "disk")
    finally:
        subprocess.run(["umount", str(tmp_path)], check=True)


# --- reading it from outside


def as_nobody(action):
    """Run in a child without root's rights; return whether it went well."""
    child = os.fork()
    if child == 0:
        code = 1
        try:
            os.setgid(65534)
            os.setuid(65534)
            action()
            code = 0
        finally:
            os._exit(code)
    return os.waitpid(child, 0)[1] == 0


@pytest.mark.skipif(os.getuid() != 0, reason="needs root, to become someone without rights")
@pytest.mark.parametrize("running", [True, False])
def test_who_may_only_read_reads_it_and_leaves_no_trace(tmp_path, file, running):
    for folder in (tmp_path, *tmp_path.parents[:3]):
        folder.chmod(0o755)
    with Journal(tmp_path, PATIENT) as journal:
        journal.add(focus(1))
        journal.flush()
        if running:
            check_reading(tmp_path, file)
    if not running:
        check_reading(tmp_path, file)


def check_reading(folder, file):
    before = sorted(folder.iterdir())

    def read():
        assert numbers(read_entries(file)) == [1]
        try:
            (folder / "new").write_text("")
        except PermissionError:
            return
        raise AssertionError("the test can write there")

    assert as_nobody(read)
    assert sorted(folder.iterdir()) == before
    file.chmod(0o600)

    def refused():
        try:
            read_entries(file)
        except PermissionError:
            return
        raise AssertionError("the file is read")

    assert as_nobody(refused)
    file.chmod(0o644)


def test_a_place_with_odd_characters(tmp_path):
    folder = tmp_path / "100% #1? é"
    with Journal(folder, PATIENT) as journal:
        journal.add(focus(1))
    assert numbers(read_entries(folder / "history.sqlite")) == [1]
    with pytest.raises(FileNotFoundError):
        read_entries(folder / "other.sqlite")


# --- from the station's events


def job(number, kind="focus", state="done", **fields):
    ended = NOW + timedelta(seconds=2.5)
    told = Job(id=str(number), kind=kind, state=state, started_at=NOW, ended_at=ended, **fields)
    return Event(kind="job", data=told)


def status(fault=None):
    values = dict.fromkeys(Status.model_fields) | {
        "state": "fault" if fault else "idle",
        "position_um": 2.0,
        "trusted": True,
        "tracking": False,
        "fault": fault,
        "model": "spectral",
        "calibrated": True,
        "throttled": [],
        "version": "1",
        "uptime_s": 1.0,
        "frames_per_s": 0.0,
    }
    return Event(kind="status", data=Status.model_validate(values))


ANSWER = {
    "outcome": "abstained",
    "method": "sweep",
    "reason": "the field is empty",
    "start_um": 1.0,
    "end_um": 2.0,
    "frames": 30,
    "moves": 20,
    "time_s": 2.25,
    "at": NOW.isoformat(),
}


def test_jobs_that_end_and_new_faults_become_entries():
    historian = Historian()
    stalled = Fault(name="camera-stalled", cause="no frame for 2 s", cure="look at the cable")
    running = Job(id="1", kind="focus", state="running", started_at=NOW)
    events = [
        status(),
        Event(kind="job", data=running),
        job(1, result=ANSWER),
        job(1, result=ANSWER),
        Event(kind="position", data=Position(position_um=1.0, trusted=True)),
        job(2, "move", result={"start_um": 2.0, "end_um": 5.0}),
        job(3, "calibrate", "failed", error="the field is empty"),
        status(stalled),
        status(stalled),
        status(),
        status(stalled),
        job(4, "move", "stopped"),
    ]
    entries = [entry for event in events for entry in historian.entries_of(event)]
    assert [(entry.kind, entry.outcome) for entry in entries] == [
        ("focus", "abstained"),
        ("move", "done"),
        ("calibrate", "failed"),
        ("fault", "camera-stalled"),
        ("fault", "camera-stalled"),
        ("move", "stopped"),
    ]
    ended = NOW + timedelta(seconds=2.5)
    assert entries[0] == Entry(
        at=ended,
        kind="focus",
        outcome="abstained",
        start_um=1.0,
        end_um=2.0,
        method="sweep",
        frames=30,
        moves=20,
        time_s=2.25,
        model="spectral",
        note="the field is empty",
    )
    assert (entries[1].start_um, entries[1].end_um, entries[1].time_s) == (2.0, 5.0, 2.5)
    assert entries[2].note == "the field is empty"
    assert entries[3].note == "no frame for 2 s"


def test_whatever_a_job_may_be_can_be_kept():
    assert set(get_args(JobKind)) < set(get_args(EntryKind))


def test_what_a_station_does_is_kept_from_start_to_stop(tmp_path, packed_model):
    bench = Bench(tmp_path, packed_model)
    station = Station(bench.read, bench.parts)
    with Journal(tmp_path, PATIENT) as journal:
        with keeping_history(station, journal), station:
            station.wait(station.move_by(1.0).id, 20)
            job = station.wait(station.focus().id, 20)
        assert [entry.kind for entry in journal.entries()] == ["start", "move", "focus", "stop"]
        _, move, focused, _ = journal.entries()
    assert move.end_um - move.start_um == pytest.approx(1.0, abs=0.2)
    assert (focused.outcome, focused.method) == (job.result["outcome"], job.result["method"])
    assert focused.model == "tiny"
