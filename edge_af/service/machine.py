"""The instrument under the worker: put together from settings, connected, and put together anew."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace

from edge_af.calibrating import Axis, Calibrated, NextField, calibrate
from edge_af.calibration import Calibration
from edge_af.config import Config
from edge_af.corrected import corrected, told
from edge_af.errors import EdgeAfError
from edge_af.focus_map import FocusMap
from edge_af.head import adapted_head
from edge_af.instrument import Instrument, State
from edge_af.model_file import ModelFile
from edge_af.parts import Parts
from edge_af.routines.ports import Observer
from edge_af.routines.track import Tracker
from edge_af.service.place_keeper import PlaceKeeper
from edge_af.settings import TrackSettings
from edge_af.shipped import read_model
from edge_af.state_file import State as Learnt
from edge_af.state_file import read_place, read_state, write_state
from hw.camera import Camera
from hw.errors import HardwareError
from hw.resumed import resumed


@dataclass(frozen=True, slots=True)
class Setup:
    """What an instrument was put together from; `config` is `as_read`, as calibration found it."""

    as_read: Config
    config: Config
    calibration: Calibration | None
    parts: Parts
    model: ModelFile


class Machine:
    """One instrument for as long as the service runs. For the worker's thread alone.

    Other threads may read its attributes, and `stop`.
    """

    def __init__(
        self,
        read: Callable[[], Config],
        make_parts: Callable[[Config], Parts],
        watch_camera: Callable[[Camera], Camera],
        watch_model: Callable[[Observer], Observer],
        keeper: PlaceKeeper,
    ) -> None:
        """Take what it is made with; nothing is read or connected yet."""
        self._read = read
        self._make_parts = make_parts
        self._watch_camera = watch_camera
        self._watch_model = watch_model
        self._keeper = keeper
        self.setup: Setup | None = None
        self.instrument: Instrument | None = None
        self.tracker = Tracker(TrackSettings())
        self.map = FocusMap()
        self.suspect = False
        """Whether a fault was met since it was connected."""
        self.admit: Callable[[], None] = lambda: None
        """Asked before each command; see Instrument."""

    @property
    def connected(self) -> bool:
        """Whether camera and stage are connected."""
        return self.instrument is not None and self.instrument.state is not State.OFF

    def stop(self) -> None:
        """Stop the motor. From any thread."""
        instrument = self.instrument
        if instrument is not None:
            instrument.stop()

    def connect(self) -> Instrument:
        """Return the instrument, connected and with its model; anew after a fault.

        Raises EdgeAfError and HardwareError; it is then not connected, or has no model yet.
        """
        if self.setup is None:
            self._take(self._assembled(self._read()))
        setup, instrument = self._setup, self._instrument
        if self.suspect and self.connected:
            with suppress(HardwareError):  # it is broken: what else could it say
                instrument.__exit__(None, None, None)
        if not self.connected:
            instrument.__enter__()
        self.suspect = False
        if instrument.classifier is None:
            _use_model(instrument, setup)
        self._keeper.opened(setup.config.state_folder, *self._place)
        return instrument

    def disconnect(self, *, for_good: bool = False) -> None:
        """Stop and release everything; `for_good` keeps the place for the next run."""
        if not self.connected:
            return
        place = self._place
        try:
            self._instrument.__exit__(None, None, None)
        finally:
            if for_good:
                self._keeper.closed(self._setup.config.state_folder, *place)

    def note_place(self) -> None:
        """Keep where the axis rests, if it is time to."""
        if self.connected:
            self._keeper.note(self._setup.config.state_folder, *self._place)

    def take_frame(self, *, look: bool) -> None:
        """Take a frame, and let the model `look` at it. Raises CameraError.

        Whoever watches camera and model gets to see both.
        """
        setup, classifier = self._setup, self._instrument.classifier
        frame = setup.parts.camera.frame(timeout_s=setup.config.focus.frame_timeout_s)
        if look and classifier is not None:
            self._watch_model(classifier).look(frame)

    def reload(self) -> None:
        """Take settings and model into use as they are now, or raise why not: the old ones stay.

        The hardware is connected anew only if its own settings have changed.
        """
        setup, old, instrument = self._assembled(self._read()), self.setup, self.instrument
        if old is not None and self.connected and _same_hardware(old, setup):
            setup = replace(setup, parts=old.parts)
            _use_model(self._instrument, setup)
            self._instrument.use_settings(setup.config.focus)
            self._use(setup)
            return
        self.disconnect()
        self._take(setup)
        try:
            self.connect()
        except BaseException:
            self.disconnect()
            self.setup, self.instrument = old, instrument
            if old is not None:
                self.connect()
            raise

    def calibrate(self, fields: int, next_field: NextField) -> Calibrated:
        """Measure the axis, keep the result, and take it into use. Raises as it does.

        Whatever happens, the instrument is connected again at the end.
        """
        setup, own = self._setup, self._instrument
        table = setup.config.stage or setup.config.virtual
        assert table is not None  # by Config's own check
        config = setup.config.model_copy(update={"focus": setup.as_read.focus})
        self.disconnect()
        try:
            measured = calibrate(
                lambda axis: self._opened_with(setup, config, axis),
                Axis(table.step_um, table.reversed),
                next_field,
                fields,
            )
            write_state(config.state_folder, Learnt(calibration=measured.calibration))
            self.instrument = own
            self._take(self._assembled(setup.as_read))
        finally:
            if self.setup is setup:
                self.instrument = own
            self.connect()
        return measured

    @contextmanager
    def _opened_with(self, setup: Setup, config: Config, axis: Axis) -> Iterator[Instrument]:
        parts = self._made(told(config, axis.step_um, axis.reversed))
        parts = replace(parts, backlash_um=0.0, trusted=False)
        self.instrument = self._instrument_of(parts)
        with self.instrument as instrument:
            _use_model(instrument, replace(setup, parts=parts))
            yield instrument

    def _assembled(self, as_read: Config) -> Setup:
        calibration = read_state(as_read.state_folder).calibration
        config = corrected(as_read, calibration)
        return Setup(as_read, config, calibration, self._made(config), read_model(as_read.model))

    def _made(self, config: Config) -> Parts:
        parts, trusted = self._make_parts(config), False
        if self.instrument is not None:
            at_um: float | None = self.instrument.stage.position_um
        else:
            place = read_place(config.state_folder)
            at_um = None if place is None else place.position_um
            keeps_place = config.stage is not None and config.stage.keeps_place
            trusted = place is not None and place.still_holds(keeps_place)
        driver = parts.driver if at_um is None else resumed(parts.driver, at_um)
        camera = self._watch_camera(parts.camera)
        return replace(parts, camera=camera, driver=driver, trusted=trusted)

    def _instrument_of(self, parts: Parts) -> Instrument:
        return parts.instrument(watched=self._watch_model, admit=lambda: self.admit())

    def _take(self, setup: Setup) -> None:
        self.instrument = self._instrument_of(setup.parts)
        self.map.clear()
        self._use(setup)

    def _use(self, setup: Setup) -> None:
        self.setup = setup
        self.tracker.use_settings(setup.config.track)
        self.tracker.forget()

    @property
    def _instrument(self) -> Instrument:
        if self.instrument is None:
            raise EdgeAfError("the instrument has not been connected")
        return self.instrument

    @property
    def _setup(self) -> Setup:
        if self.setup is None:
            raise EdgeAfError("the instrument has not been connected")
        return self.setup

    @property
    def _place(self) -> tuple[float, bool]:
        stage = self._instrument.stage
        return stage.position_um, stage.trusted


def _use_model(instrument: Instrument, setup: Setup) -> None:
    height_px, width_px, _ = setup.parts.camera.frame().pixels.shape
    head = adapted_head(setup.model.path, setup.config.head)
    instrument.use_model(setup.model, (height_px, width_px), head=head)


def _same_hardware(one: Setup, other: Setup) -> bool:
    names = ("camera", "stage", "virtual", "guard", "state_folder")
    return all(getattr(one.config, name) == getattr(other.config, name) for name in names)
