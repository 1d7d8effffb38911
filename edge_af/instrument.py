"""One microscope: it owns camera, stage and model, and does one thing at a time."""

import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from enum import StrEnum
from typing import Self

from pydantic import BaseModel, ConfigDict

from edge_af.classifier import Classifier
from edge_af.errors import EdgeAfError
from edge_af.head import Head
from edge_af.model_file import ModelFile
from edge_af.routines.calibrate import Bench, Findings, ToldWrong, calibrate
from edge_af.routines.collect import Collection, Report, StackPlan, collect
from edge_af.routines.focus import focus
from edge_af.routines.ports import Desk, Method, Observer, Outcome, View
from edge_af.routines.sweep import Keeper
from edge_af.routines.track import Tracker
from edge_af.routines.tracked import Tracked
from edge_af.settings import FocusSettings
from edge_af.tiles import require_fit
from hw.camera import Camera
from hw.clock import Clock
from hw.guard import GuardedStage
from hw.stage import LimitError, StageStopped


class State(StrEnum):
    """What the instrument is doing."""

    OFF = "off"
    STARTING = "starting"
    IDLE = "idle"
    FOCUSING = "focusing"
    TRACKING = "tracking"
    MOVING = "moving"
    COLLECTING = "collecting"
    CALIBRATING = "calibrating"
    STOPPED = "stopped"
    FAULT = "fault"


_COMMANDS = frozenset(
    {State.FOCUSING, State.TRACKING, State.MOVING, State.COLLECTING, State.CALIBRATING}
)
_ENDS = frozenset({State.IDLE, State.STOPPED, State.FAULT})

TRANSITIONS: dict[State, frozenset[State]] = {
    State.OFF: frozenset({State.STARTING}),
    State.STARTING: frozenset({State.IDLE, State.FAULT, State.OFF}),
    State.IDLE: _COMMANDS | {State.STOPPED, State.FAULT, State.OFF},
    State.FOCUSING: _ENDS,
    State.TRACKING: _ENDS | (_COMMANDS - {State.TRACKING}),
    State.MOVING: _ENDS,
    State.COLLECTING: _ENDS,
    State.CALIBRATING: _ENDS,
    State.STOPPED: _COMMANDS | {State.IDLE, State.FAULT, State.OFF},
    State.FAULT: _COMMANDS | {State.OFF},
}
"""From each state, where it may go, here and in the service (`edge_af.service.station`).

A command leaves STOPPED and FAULT: it is the way out; one that finds the instrument disconnected
goes by OFF and STARTING. In the service TRACKING lasts from look to look, and a command pauses it.
"""


class BusyError(EdgeAfError):
    """Another command is running."""


class FocusResult(BaseModel):
    """What a focus command did. Positions are counted stage positions; `reason` may be empty."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    outcome: Outcome
    method: Method
    reason: str
    start_um: float
    end_um: float
    frames: int
    moves: int
    time_s: float


class Instrument:
    """Connects camera and stage on enter and releases them on exit."""

    def __init__(
        self,
        camera: Camera,
        stage: GuardedStage,
        clock: Clock,
        settings: FocusSettings,
        watched: Callable[[Observer], Observer] = lambda observer: observer,
        admit: Callable[[], None] = lambda: None,
    ) -> None:
        """Take parts that are not connected yet; `watched` may wrap the model, to look on.

        `admit` is asked once a command can be stopped, before it does anything; it may raise
        StageStopped, for a stop that came too early for the stage to remember.
        """
        self._camera = camera
        self._stage = stage
        self._clock = clock
        self._settings = settings
        self._watched = watched
        self._admit = admit
        self._classifier: Classifier | None = None
        self._connected = ExitStack()
        self._busy = threading.Lock()
        self._state = State.OFF
        self._fault: str | None = None

    @property
    def state(self) -> State:
        """What it is doing now."""
        return self._state

    @property
    def fault(self) -> str | None:
        """What ended the latest command in FAULT; None if it did not."""
        return self._fault

    @property
    def stage(self) -> GuardedStage:
        """Its stage, to ask how things stand, and to stop; all moves are made by commands."""
        return self._stage

    @property
    def classifier(self) -> Classifier | None:
        """The model in use; None means that every focus is a sweep."""
        return self._classifier

    def use_model(
        self,
        model: ModelFile,
        frame_px: tuple[int, int],
        threads: int = 1,
        head: Head | None = None,
    ) -> None:
        """Take a model, with its own head or an adapted one, for frames of `frame_px` into use.

        `frame_px` is height and width. Raises ModelError if it does not fit the instrument; the
        one in use then stays.
        """
        zero_um = self._settings.model_zero_um if head is None else 0.0
        classifier = Classifier(model, threads, head, zero_um)
        card = classifier.card
        require_fit(self._camera.um_per_px, frame_px, (card.um_per_px, card.tile_px))
        self._classifier = classifier

    def use_settings(self, settings: FocusSettings) -> None:
        """Work by other settings from the next command on."""
        self._settings = settings

    def focus(self, keeper: Keeper | None = None, *, near_um: float | None = None) -> FocusResult:
        """Focus; if nothing is found the stage is back where it was.

        `keeper` gets the frames of the sweep, if there is one. Where the focus is expected at
        `near_um` it looks there first, or as near as the stage may go. Raises BusyError if a
        command is running, EdgeAfError if the instrument is not entered, StageStopped if `stop` is
        called, and HardwareError for a fault: the motor is then at rest where it happened to be.
        """
        settings = self._settings
        with self._command(State.FOCUSING, settings.travel_budget_um):
            started_s, start_um = self._clock.now_s(), self._stage.position_um
            view = View(self._camera, self._stage, self._clock, settings.frame_timeout_s)
            observer = self._watched(self._classifier) if self._classifier else None
            desk = Desk(view, self._stage, settings)
            if near_um is not None:
                self._stage.move_to_um(self._stage.reachable.clip(near_um))
            method, attempt = focus(desk, observer, keeper)
            if near_um is not None and not attempt.found:
                attempt = desk.give_up(start_um, attempt.reason)
            return FocusResult(
                outcome=Outcome.FOCUSED if attempt.found else Outcome.ABSTAINED,
                method=method,
                reason=attempt.reason,
                start_um=start_um,
                end_um=self._stage.position_um,
                frames=view.frames,
                moves=self._stage.moves,
                time_s=self._clock.now_s() - started_s,
            )

    def track(self, tracker: Tracker) -> Tracked:
        """Look once, and correct what surely is off: one step of holding the focus.

        Raises EdgeAfError if there is no model, and as `focus` does.
        """
        if self._classifier is None:
            raise EdgeAfError("holding the focus needs a model: name one in the settings")
        stage, settings, now_s = self._stage, self._settings, self._clock.now_s()
        with self._command(State.TRACKING, tracker.budget_um(now_s)):
            try:
                view = View(self._camera, stage, self._clock, settings.frame_timeout_s)
                observer = self._watched(self._classifier)
                return tracker.look(Desk(view, stage, settings), observer, now_s)
            finally:
                tracker.spent(now_s, stage.travel_um)

    def move_to(self, target_um: float) -> None:
        """Move to a counted position. Raises LimitError if it may not, and as `focus` does."""
        with self._command(State.MOVING, self._settings.travel_budget_um):
            self._stage.move_to_um(target_um)

    def home(self) -> None:
        """Run to the end stop; the position is trusted then.

        Raises StageError if there is none or it is not found, and as `focus` does.
        """
        travel = self._stage.travel
        with self._command(State.MOVING, 2 * (travel.high_um - travel.low_um)):
            self._stage.home()

    def collect(self, plan: StackPlan, keeper: Keeper, report: Report) -> Collection:
        """Take a focal stack about the focus and stay there; without a focus, go back.

        Raises UserError if the travel budget may not last for it, and as `focus` does.
        """
        plan.require_budget(self._settings)
        with self._command(State.COLLECTING, self._settings.travel_budget_um):
            view = View(self._camera, self._stage, self._clock, self._settings.frame_timeout_s)
            return collect(Desk(view, self._stage, self._settings), plan, keeper, report)

    def calibrate(self, *, known: bool) -> Findings | ToldWrong:
        """Measure the axis on the field in view; the stage is then near focus.

        `known` says that direction and scale were measured before, on another field. Raises
        CalibrationError if the field does not allow it, and as `focus` does. The guard must have
        been made with a backlash of 0.
        """
        settings = self._settings
        with self._command(State.CALIBRATING, settings.travel_budget_um):
            view = View(self._camera, self._stage, self._clock, settings.frame_timeout_s)
            observer = self._watched(self._classifier) if self._classifier else None
            desk = Desk(view, self._stage, settings)
            return calibrate(Bench(desk, self._camera, self._clock), observer, known)

    def stop(self) -> None:
        """Stop the motor now, and the command under way. From any thread, at any time."""
        self._stage.stop()

    @contextmanager
    def _command(self, state: State, budget_um: float) -> Iterator[None]:
        if not self._busy.acquire(blocking=False):
            raise BusyError(f"the instrument is {self._state}; wait for its end, or stop it")
        try:
            self._require(state)
            # The stage's command comes first: whoever sees the new state can stop it.
            with self._stage.command(budget_um=budget_um):
                self._enter_state(state)
                self._fault = None
                try:
                    self._admit()
                    yield
                except StageStopped:
                    self._enter_state(State.STOPPED)
                    raise
                except (LimitError, EdgeAfError):  # refused, or given up: nothing is broken
                    self._enter_state(State.IDLE)
                    raise
                except BaseException as error:
                    self._fault = str(error) or type(error).__name__
                    self._enter_state(State.FAULT)
                    self._stage.stop()
                    raise
                self._enter_state(State.IDLE)
        finally:
            self._busy.release()

    def _require(self, state: State) -> None:
        if state not in TRANSITIONS[self._state]:
            cure = "; enter it with `with` first" if self._state is State.OFF else ""
            raise EdgeAfError(f"the instrument is {self._state} and cannot be {state}{cure}")

    def _enter_state(self, state: State) -> None:
        self._require(state)
        self._state = state

    def __enter__(self) -> Self:
        self._enter_state(State.STARTING)
        try:
            with ExitStack() as connecting:
                connecting.enter_context(self._stage)
                connecting.enter_context(self._camera)
                connecting.callback(self._stage.stop)
                self._connected = connecting.pop_all()
        except BaseException:
            self._enter_state(State.OFF)
            raise
        self._enter_state(State.IDLE)
        return self

    def __exit__(self, *error: object) -> None:
        try:
            self._connected.close()
        finally:
            # A command in another thread sees the stop, or the loss of its camera, and ends.
            with self._busy:
                self._enter_state(State.OFF)
