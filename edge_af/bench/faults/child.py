"""A service of its own on a virtual microscope, in real time, to try signals and limits on.

`python -m edge_af.bench.faults.child FOLDER SEED work` works on until it is told to stop, and
prints the hidden truth a few times a second; with `restart` for `work` it starts again in the same
folder, focuses once, and says what it came to.
"""

import json
import signal
import sys
import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import numpy as np

from edge_af.config import Config, VirtualTable
from edge_af.errors import EdgeAfError
from edge_af.instrument import State
from edge_af.journal import Journal
from edge_af.journal_file import Entry
from edge_af.parts import Parts
from edge_af.service.models import Job
from edge_af.service.station import Station
from hw.clock import WallClock
from hw.stage import Range
from hw.virtual.microscope import MicroscopeSettings, VirtualMicroscope
from hw.virtual.truth import Truth

WRONG_UM = 1.0
"""Further off than a depth of field, "in focus" is wrong."""

_FRAME_PX = (256, 320)
"""Room for a tile of the model that ships, and not much more: it renders in real time."""
_REACH_UM = 60.0
_TELL_S = 0.1
_STARTS_S = 60.0
_JOB_S = 120.0


class Child:
    """A station, the truth behind it, and what it does."""

    def __init__(self, folder: Path, seed: int) -> None:
        clock = WallClock()
        self._rng = np.random.default_rng([seed, 53])
        settings = MicroscopeSettings(frame_px=_FRAME_PX)
        self._scope = VirtualMicroscope(
            clock, seed, kind="smear", defocus_um=float(self._rng.uniform(-8, 8)), settings=settings
        )
        self._truth = Truth(self._scope, clock)
        self._here_um = self._scope.stage.position_um
        self._wrong_focus = False
        self._folder = folder
        self._told = threading.Event()
        self._printing = threading.Lock()
        self.station = Station(self._read, self._parts)

    def _read(self) -> Config:
        return Config(virtual=VirtualTable(), state_folder=self._folder)

    def _parts(self, config: Config) -> Parts:
        here_um = self._here_um
        return Parts(
            camera=self._scope.camera,
            driver=self._scope.stage,
            clock=WallClock(),
            settings=config.focus,
            soft_limits=Range(here_um - _REACH_UM, here_um + _REACH_UM),
            backlash_um=self._scope.backlash_um,
            untrusted_window=Range(-_REACH_UM, _REACH_UM),
        )

    def tell(self, **more: object) -> None:
        """Print the truth, and more, as one line of JSON."""
        document = {"crashes": self._truth.crashes, "wrong_focus": self._wrong_focus, **more}
        with self._printing:
            print(json.dumps(document), flush=True)

    def work(self) -> None:
        """Focus, move and track at random until SIGTERM; then end in order."""
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: self._told.set())
        with Journal(self._folder) as journal, self.station as station:
            self._until(lambda: station.status().state not in (State.OFF, State.STARTING))
            station.confirm()
            self.tell(ready=True)
            while not self._told.is_set():
                try:
                    self._do_something(journal)
                except EdgeAfError as error:
                    self.tell(note=str(error))
                    self._told.wait(_TELL_S)
            station.stop()
        self.tell(ended=True)

    def restart(self) -> None:
        """Start again, and tell whether the position was trusted and a focus came to an end."""
        with Journal(self._folder) as journal, self.station as station:
            self._until(lambda: station.status().state not in (State.OFF, State.STARTING))
            trusted = station.status().trusted
            entries = len(journal.entries())
            job = self._done(station.focus())
            self._judge(job)
            self.tell(trusted=trusted, recovered=job.state == "done", history=entries)

    def _do_something(self, journal: Journal) -> None:
        station, deed = self.station, int(self._rng.integers(3))
        journal.add(Entry(at=datetime.now(UTC), kind="focus", outcome="begun"))
        if deed == 0:
            self._judge(self._done(station.focus()))
        elif deed == 1:
            self._done(station.move_to(self._here_um + float(self._rng.uniform(-20, 20))))
        else:
            station.track(True)
            self._told.wait(0.5)
            station.track(False)

    def _judge(self, job: Job) -> None:
        if job.result is not None and job.result.get("outcome") == "focused":
            self._wrong_focus |= abs(self._truth.defocus_um) > WRONG_UM

    def _done(self, job: Job) -> Job:
        ends_s = time.monotonic() + _JOB_S
        while not job.ended and not self._told.is_set() and time.monotonic() < ends_s:
            job = self.station.wait(job.id, _TELL_S)
            self.tell()
        return job

    def _until(self, holds: Callable[[], bool]) -> None:
        ends_s = time.monotonic() + _STARTS_S
        while not holds() and time.monotonic() < ends_s:
            time.sleep(_TELL_S / 10)


def main() -> None:
    """Take the folder, the seed and what to do from the command line."""
    folder, seed, what = Path(sys.argv[1]), int(sys.argv[2]), sys.argv[3]
    child = Child(folder, seed)
    if what == "work":
        child.work()
    else:
        child.restart()


if __name__ == "__main__":
    main()
