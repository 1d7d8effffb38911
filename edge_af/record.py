"""Recording a run: camera, stage, clock and model wrapped so that all they say is kept."""

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any, Self
from zlib import crc32

from edge_af.classifier import Classifier, Sight
from edge_af.instrument import FocusResult, Instrument
from edge_af.recording import Event, Log, RecordingWriter
from edge_af.routines.ports import Observer
from edge_af.routines.sweep import Keeper
from edge_af.scale import DefocusScale
from edge_af.versions import tool_versions
from hw.camera import Camera, Frame
from hw.clock import Clock
from hw.errors import HardwareError
from hw.forwarded import ForwardedStage
from hw.stage import HomingStage, StageDriver, can_home


def record_to(path: Path) -> RecordingWriter:
    """Begin a recording. Raises UserError if `path` exists, and OSError if it cannot be made."""
    return RecordingWriter(path, {"versions": tool_versions()})


def run_focus(instrument: Instrument, log: Log | None, keeper: Keeper | None = None) -> FocusResult:
    """Focus, and tell `log` where that begins, with what model, and how it ends."""
    if log is None:
        return instrument.focus(keeper)
    log.add({"kind": "command", "name": "focus", "model": _model(instrument.classifier)})
    try:
        result = instrument.focus(keeper)
    except (Exception, KeyboardInterrupt) as error:
        log.add({"kind": "end", "error": _told(error)})
        raise
    log.add({"kind": "end", "result": result.model_dump()})
    return result


def _model(classifier: Classifier | None) -> dict[str, Any] | None:
    if classifier is None:
        return None
    card = classifier.card
    return {"name": card.name, "sha256": card.sha256, "bins_um": [list(b) for b in card.bins_um]}


def _told(error: BaseException) -> dict[str, str]:
    return {"type": type(error).__name__, "message": str(error)}


class RecordingCamera:
    """A camera whose frames are kept."""

    def __init__(self, camera: Camera, log: Log) -> None:
        self._camera = camera
        self._log = log

    @property
    def um_per_px(self) -> float:
        """Size of one pixel in the specimen plane, in um."""
        return self._camera.um_per_px

    def frame(self, after_s: float = -math.inf, timeout_s: float = 2.0) -> Frame:
        """Return the camera's frame, or raise what it raises."""
        event: Event = {
            "kind": "frame",
            "after_s": after_s if math.isfinite(after_s) else None,
            "timeout_s": timeout_s,
        }
        try:
            frame = self._camera.frame(after_s, timeout_s)
        except Exception as error:
            self._log.add(event | {"error": _told(error)})
            raise
        event |= {
            "exposure_start_s": frame.exposure_start_s,
            "exposure_end_s": frame.exposure_end_s,
            "um_per_px": frame.um_per_px,
            "shape": list(frame.pixels.shape),
            "pixels_crc32": crc32(frame.pixels.tobytes()),
        }
        self._log.add(event, frame.pixels)
        return frame

    def __enter__(self) -> Self:
        self._camera.__enter__()
        self._log.add({"kind": "camera", "um_per_px": self._camera.um_per_px})
        return self

    def __exit__(self, *error: object) -> None:
        self._camera.__exit__(*error)


class RecordingStage(ForwardedStage):
    """A stage driver whose moves are kept, with where each ended."""

    def __init__(self, driver: StageDriver, log: Log) -> None:
        super().__init__(driver)
        self._log = log

    def move_to_um(self, target_um: float) -> None:
        """Move the stage, or raise what it raises."""
        self._logged(
            {"kind": "move", "target_um": target_um}, lambda: self._driver.move_to_um(target_um)
        )

    def take_doubt(self) -> str | None:
        """Return the driver's doubt."""
        doubt = self._driver.take_doubt()
        if doubt is not None:
            self._log.add({"kind": "doubt", "doubt": doubt})
        return doubt

    def _logged(self, event: Event, action: Callable[[], None]) -> None:
        try:
            action()
        except Exception as error:
            self._log.add(event | {"error": _told(error)} | self._place())
            raise
        self._log.add(event | self._place())

    def _place(self) -> Event:
        try:
            return {"position_um": self.position_um, "settled_at_s": self.settled_at_s}
        except HardwareError:
            return {}  # of a stage that has just failed

    def __enter__(self) -> Self:
        super().__enter__()
        ends = self.travel
        event = {"kind": "stage", "step_um": self.step_um, "travel": [ends.low_um, ends.high_um]}
        self._log.add(event | self._place())
        return self


class RecordingHomingStage(RecordingStage):
    """A recorded stage with an end stop."""

    def __init__(self, driver: HomingStage, log: Log) -> None:
        super().__init__(driver, log)
        self._homing = driver

    def home(self, within_um: float) -> None:
        """Home the stage, or raise what it raises."""
        self._logged({"kind": "home", "within_um": within_um}, lambda: self._homing.home(within_um))


def recording_stage(driver: StageDriver, log: Log) -> RecordingStage:
    """Return the driver with its moves kept; one that can home still can."""
    if can_home(driver):
        return RecordingHomingStage(driver, log)
    return RecordingStage(driver, log)


class RecordingClock:
    """A clock whose readings are kept, for decisions look at it."""

    def __init__(self, clock: Clock, log: Log) -> None:
        self._clock = clock
        self._log = log

    def now_s(self) -> float:
        """Return the time in seconds."""
        now_s = self._clock.now_s()
        self._log.add({"kind": "clock", "now_s": now_s})
        return now_s

    def wait_until_s(self, time_s: float) -> None:
        """Wait."""
        self._clock.wait_until_s(time_s)


class RecordingObserver:
    """A model whose answers are kept."""

    def __init__(self, observer: Observer, log: Log) -> None:
        self._observer = observer
        self._log = log

    @property
    def scale(self) -> DefocusScale:
        """The bins of its distributions."""
        return self._observer.scale

    def look(self, frame: Frame) -> Sight:
        """Return the model's answer, or raise what it raises."""
        try:
            sight = self._observer.look(frame)
        except Exception as error:
            self._log.add({"kind": "look", "error": _told(error)})
            raise
        seen = sight.distribution
        self._log.add(
            {
                "kind": "look",
                "distribution": None if seen is None else seen.tolist(),
                "abstained": sight.abstained,
                "tiles_used": sight.tiles_used,
            }
        )
        return sight
