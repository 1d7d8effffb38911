"""The one way to move: every driver is wrapped by this guard."""

import math
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Final, Self

from hw import path
from hw.stage import LimitError, Range, StageDriver, StageError, StageStopped, can_home
from hw.trust import UNTRUSTED_WINDOW, Trust

_INSIST_S: Final = 0.002


class GuardedStage:
    """A stage that refuses what could do harm, around one that does as it is told.

    Moves are made inside `with guard.command(budget_um=...)`, one command at a time. The path of a
    move is checked whole before its first step, and ends with a run upwards that takes up the
    backlash, so that the count and the axis agree on the same side of the gears every time.

    While the position is untrusted, moves stay within `untrusted_window` of the place where trust
    was lost: the one-way rule for unhomed stages. The default leaves little room upwards, which
    is towards the slide on most stages; mirror it for a stage whose positive end leads away.
    """

    def __init__(
        self,
        stage: StageDriver,
        *,
        soft_limits: Range,
        backlash_um: float,
        untrusted_window: Range = UNTRUSTED_WINDOW,
        trusted: bool = False,
    ) -> None:
        """Wrap `stage`, which is connected on enter and stopped and released on exit.

        `soft_limits` are positions, `untrusted_window` offsets. `trusted` says that the count is
        known to be right from the start. Raises ValueError for settings that leave no move.
        """
        if not (math.isfinite(backlash_um) and backlash_um >= 0):
            raise ValueError(f"backlash must be 0 um or more and finite, got {backlash_um} um")
        if soft_limits.high_um - soft_limits.low_um <= backlash_um:
            raise ValueError(
                f"soft limits from {soft_limits.low_um:g} um to {soft_limits.high_um:g} um leave "
                f"no room to take up a backlash of {backlash_um:g} um; widen them"
            )
        self._stage = stage
        self._soft_limits = soft_limits
        self._backlash_um = backlash_um
        self._slack_um = backlash_um
        self._trust = Trust(untrusted_window, trusted)
        self._connected = False
        self._command = threading.Lock()
        self._budget_um = 0.0
        self._travel_um = 0.0
        self._moves = 0
        # Guards the two flags below. Held for moments only, never during a move, so that stop()
        # gets it at once; re-entrant, for a signal handler may stop from the thread that holds it.
        self._state = threading.RLock()
        self._stopped = False
        self._idle = threading.Event()
        self._idle.set()

    @property
    def step_um(self) -> float:
        """Smallest move, in um."""
        return self._stage.step_um

    @property
    def travel(self) -> Range:
        """The soft limits, as far as the mechanics can reach them."""
        mechanics = self._stage.travel
        return Range(
            mechanics.clip(self._soft_limits.low_um), mechanics.clip(self._soft_limits.high_um)
        )

    @property
    def reachable(self) -> Range:
        """Targets that any move may ask for: room for the backlash overshoot is left below.

        The point where the stage stands, if there is no such room.
        """
        return path.reachable(self._limits(), self.overshoot_um, self.position_um)

    @property
    def position_um(self) -> float:
        """Position counted from the steps actually sent, in um."""
        return self._stage.position_um

    @property
    def settled_at_s(self) -> float:
        """When the stage is, or was, at rest after its last step, settling included."""
        return self._stage.settled_at_s

    @property
    def slack_um(self) -> float:
        """Upper bound of the gap that a run upwards must take up before the axis follows."""
        return self._slack_um

    @property
    def overshoot_um(self) -> float:
        """How far below its target a move from above goes, to arrive upwards."""
        return path.overshoot_um(self._backlash_um, self.step_um)

    @property
    def moves(self) -> int:
        """Moves made by the current or latest command; one with an overshoot counts once."""
        return self._moves

    @property
    def travel_um(self) -> float:
        """Path travelled by the current or latest command, overshoots included."""
        return self._travel_um

    @property
    def trusted(self) -> bool:
        """Whether the counted position is known to be where the axis stands."""
        return self._trust.reason is None

    @property
    def untrusted_reason(self) -> str | None:
        """Why the position is untrusted; None while it is trusted."""
        return self._trust.reason

    def distrust(self, reason: str) -> None:
        """Take the position as unknown from here on, and the gears as disengaged."""
        self._slack_um = self._backlash_um
        self._trust.lose(reason, self.position_um)

    def trust(self, position_um: float) -> None:
        """Trust the count, because the axis was found to stand at `position_um`.

        Raises StageError if the count differs from that by more than a step.
        """
        counted_um = self.position_um
        if not abs(counted_um - position_um) <= self.step_um:  # also catches NaN
            raise StageError(
                f"the axis is said to stand at {position_um:g} um, but the count says "
                f"{counted_um:g} um; home the stage"
            )
        self._trust.confirm()

    @contextmanager
    def command(self, *, budget_um: float) -> Iterator[None]:
        """Allow moves, over a path of up to `budget_um` in all, while the context lasts.

        Forgets an earlier `stop`. Raises StageError if another command is running or the stage is
        not connected, and LimitError if the budget is not a positive, finite length.
        """
        if not (math.isfinite(budget_um) and budget_um > 0):
            raise LimitError(
                f"the travel budget is {budget_um} um; it must be above 0 um and finite"
            )
        if not self._connected:
            raise StageError("the stage is not connected; enter it with `with` first")
        if not self._command.acquire(blocking=False):
            raise StageError("another command is moving the stage; wait for its end, or stop it")
        try:
            with self._state:
                self._stopped = False
            self._budget_um, self._travel_um, self._moves = budget_um, 0.0, 0
            self._trust.anchor(self.position_um)
            doubt = self._stage.take_doubt()
            if doubt is not None:
                self.distrust(doubt)
            yield
        finally:
            self._command.release()

    def move_to_um(self, target_um: float) -> None:
        """Move to the step nearest to `target_um`, arriving upwards; return at the last step.

        Does nothing if the stage is there already. Raises LimitError before the first step if any
        part of the path is not allowed, StageStopped if `stop` was called since the command
        began, and StageError outside a command. Whatever else the driver raises goes through and
        leaves the position untrusted.
        """
        with self._moving(f"the move to {target_um:g} um"):
            waypoints_um = self._checked_path_um(target_um)
            self._moves += bool(waypoints_um)
            for waypoint_um in waypoints_um:
                self._refuse_if_stopped(f"the move to {target_um:g} um")
                self._run_to(waypoint_um)
            self._refuse_if_stopped(f"the move to {target_um:g} um")

    def home(self) -> None:
        """Run to the end stop; the position is trusted from then on.

        Soft limits cannot bound this run, for the count means nothing yet: the end stop does, and
        what is left of the command's budget, which it uses up. Raises StageError if the stage has
        no end stop or it is not found, and as `move_to_um` does.
        """
        stage = self._stage
        if not can_home(stage):
            raise StageError("this stage has no end stop to home to; set one up in its settings")
        with self._moving("homing"):
            left_um = self._budget_um - self._travel_um
            self._travel_um = self._budget_um
            self._moves += 1
            with self._failures_distrusted("homing"):
                stage.home(left_um)
            self._slack_um = self._backlash_um
            self._trust.confirm()

    def stop(self) -> None:
        """Stop within one step period, and every later move of the same command at once.

        Callable from any thread, or a signal handler, at any time.
        """
        with self._state:
            self._stopped = True
            self._stage.stop()
            moving = not self._idle.is_set()
        if moving:
            threading.Thread(target=self._insist, name="stop stage", daemon=True).start()

    def _insist(self) -> None:
        # A stop may fall between our look at the flag and the driver's own first look, where the
        # driver takes it for one that came before the move.
        while not self._idle.wait(_INSIST_S):
            with self._state, suppress(StageError):
                if self._stopped and not self._idle.is_set():
                    self._stage.stop()

    @contextmanager
    def _moving(self, what: str) -> Iterator[None]:
        with self._state:
            if not self._command.locked():
                raise StageError("moves are made inside `with guard.command(budget_um=...)`")
            if not self._idle.is_set():
                raise StageError("another move is under way; wait for its end, or stop it")
            self._refuse_if_stopped(what)
            self._idle.clear()
        try:
            yield
        finally:
            with self._state:
                self._idle.set()

    def _refuse_if_stopped(self, what: str) -> None:
        if self._stopped:
            raise StageStopped(
                f"the command was stopped at {self.position_um:g} um; {what} is off, start a new "
                "command to move on"
            )

    def _checked_path_um(self, target_um: float) -> list[float]:
        here_um = self.position_um
        waypoints_um = path.waypoints_um(
            here_um,
            target_um,
            step_um=self.step_um,
            slack_um=self._slack_um,
            overshoot_um=self.overshoot_um,
            reachable=self.reachable,
        )
        path.check_limits(waypoints_um, self._limits())
        path.check_budget(here_um, waypoints_um, self._budget_um, self._travel_um)
        # Within noise of the limits by now, but a driver may keep its own to the last bit.
        return [self.travel.clip(waypoint_um) for waypoint_um in waypoints_um]

    def _limits(self) -> list[path.Limit]:
        cure = "ask for a target within `reachable`"
        return [
            path.Limit("the soft limits", self._soft_limits, f"{cure}, or widen the soft limits"),
            path.Limit("the travel of the stage", self._stage.travel, cure),
            *self._trust.limits(self.position_um),
        ]

    def _run_to(self, waypoint_um: float) -> None:
        from_um = self.position_um
        try:
            with self._failures_distrusted(f"the move from {from_um:g} um to {waypoint_um:g} um"):
                self._stage.move_to_um(waypoint_um)
        except StageStopped:
            self._account(from_um)
            raise
        except BaseException:
            self._travel_um += abs(waypoint_um - from_um)  # at most: how far it got is unknown
            raise
        self._account(from_um)

    @contextmanager
    def _failures_distrusted(self, what: str) -> Iterator[None]:
        try:
            yield
        except StageStopped:
            raise
        except BaseException as error:
            self.distrust(f"{what} failed with {type(error).__name__}: {error}")
            with suppress(StageError):
                self._stage.stop()
            raise

    def _account(self, from_um: float) -> None:
        run_um = self.position_um - from_um
        self._travel_um += abs(run_um)
        self._slack_um = path.slack_after_um(self._slack_um, run_um, self._backlash_um)

    def __enter__(self) -> Self:
        self._stage.__enter__()
        self._connected = True
        return self

    def __exit__(self, *error: object) -> None:
        self._connected = False
        try:
            self.stop()
        finally:
            self._stage.__exit__(*error)
