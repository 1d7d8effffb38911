"""What an instrument is put together from."""

from collections.abc import Callable
from dataclasses import dataclass

from edge_af.instrument import Instrument
from edge_af.record import (
    RecordingCamera,
    RecordingClock,
    RecordingObserver,
    recording_stage,
)
from edge_af.recording import Log
from edge_af.routines.ports import Observer
from edge_af.settings import FocusSettings
from hw.camera import Camera
from hw.clock import Clock
from hw.guard import GuardedStage
from hw.stage import Range, StageDriver
from hw.trust import UNTRUSTED_WINDOW


@dataclass(frozen=True, slots=True)
class Parts:
    """Hardware that is not connected yet, and how it may be used; limits as in `hw.guard`."""

    camera: Camera
    driver: StageDriver
    clock: Clock
    settings: FocusSettings
    soft_limits: Range
    backlash_um: float
    untrusted_window: Range = UNTRUSTED_WINDOW
    trusted: bool = False

    def instrument(
        self,
        log: Log | None = None,
        watched: Callable[[Observer], Observer] = lambda observer: observer,
        admit: Callable[[], None] = lambda: None,
    ) -> Instrument:
        """Return the instrument; with a log, one that all events of its runs are told to.

        `watched` and `admit` are for one without a log: see Instrument.
        """
        if log is None:
            guard = self._guarded(self.driver)
            return Instrument(self.camera, guard, self.clock, self.settings, watched, admit)
        log.add(
            {
                "kind": "setup",
                "settings": self.settings.model_dump(),
                "soft_limits": [self.soft_limits.low_um, self.soft_limits.high_um],
                "backlash_um": self.backlash_um,
                "untrusted_window": [self.untrusted_window.low_um, self.untrusted_window.high_um],
                "trusted": self.trusted,
            }
        )
        return Instrument(
            RecordingCamera(self.camera, log),
            self._guarded(recording_stage(self.driver, log)),
            RecordingClock(self.clock, log),
            self.settings,
            lambda observer: RecordingObserver(observer, log),
        )

    def _guarded(self, driver: StageDriver) -> GuardedStage:
        return GuardedStage(
            driver,
            soft_limits=self.soft_limits,
            backlash_um=self.backlash_um,
            untrusted_window=self.untrusted_window,
            trusted=self.trusted,
        )
