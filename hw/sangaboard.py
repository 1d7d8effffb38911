"""A Sangaboard, the three-motor board of the OpenFlexure Microscope, as a focus stage."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Final, Self

from hw.clock import Clock
from hw.gpio_stage import Timer, daemon_timer
from hw.sangaboard_board import LONGEST_MOVE, SangaboardBoard
from hw.sangaboard_count import BoardCount
from hw.sangaboard_settings import SangaboardSettings
from hw.serial_line import SerialLine
from hw.stage import Range, StageFault, StageStopped

__all__ = ["BLOCKING_PIECE_S", "POLL_S", "Sangaboard", "SangaboardSettings"]

BLOCKING_PIECE_S: Final = 0.2
"""A move of a board that blocks is sent in pieces of this length, between which it can stop."""
POLL_S: Final = 0.05
"""How often a board that does not block is asked whether it still moves, and a stop is seen."""
_POLL_AT_END_S: Final = 0.005
_OVERDUE_S: Final = 2.0


class Sangaboard:
    """Moves by the board's own steps, and counts as the board counts.

    After each move the board is asked for its count, and a step more or less than asked for is a
    StageFault. At the first connection the position is what the board counts, where that lies in
    the travel, and else 0. It goes on from there when the board forgets it in a reset.

    From firmware v1 on, a stop ends the move at once. Older firmware listens only between moves:
    so a move is sent in pieces, and a stop takes effect within BLOCKING_PIECE_S, or the time of
    one step where that is longer, and the board's ramp time; no one can stop it sooner.
    """

    def __init__(
        self,
        settings: SangaboardSettings,
        clock: Clock,
        line: SerialLine | None = None,
        timer: Callable[[float, Callable[[], None]], Timer] = daemon_timer,
    ) -> None:
        """Prepare a stage whose port is opened on enter; `line`, if given, instead of that port.

        `timer` is what releases idle motors.
        """
        self._settings = settings
        self._clock = clock
        self._line = line or SerialLine(settings.port, clock=clock)
        self._timer = timer
        self._settled_at_s = clock.now_s()
        # Who holds this talks to the board: for a whole move.
        self._conversing = threading.RLock()
        self._board = SangaboardBoard(self._line, settings.axis)
        self._count = BoardCount()
        self._agrees = False  # whether the line is open and the count was right since
        self._energised = False
        self._idle: Timer | None = None
        self._doubt: str | None = None
        # Guards the flags below. Held for moments only, never during a move, so that stop() gets
        # it at once; re-entrant, for a signal handler may stop from the thread that holds it.
        self._state = threading.RLock()
        self._connected = False
        self._moving = False
        self._stopped = False

    @property
    def step_um(self) -> float:
        """Smallest move, in um."""
        return self._settings.step_um

    @property
    def travel(self) -> Range:
        """Positions that the mechanics can reach."""
        return self._settings.travel

    @property
    def position_um(self) -> float:
        """Position at the board's count when it last stood still, in um."""
        return self._settings.position_um(self._count.steps)

    @property
    def settled_at_s(self) -> float:
        """When the axis is, or was, at rest after its last move."""
        return self._settled_at_s

    @property
    def firmware(self) -> str:
        """What the board called itself; empty before the first connection."""
        return self._board.firmware

    def move_to_um(self, target_um: float) -> None:
        """Move to the step nearest to `target_um`; return at the last step.

        Raises StageStopped if `stop` is called meanwhile, and StageFault if the stage is not
        connected, the line fails, or the board was reset or counts other steps than asked for.
        """
        target = self._settings.steps_at(target_um)
        with self._under_way():
            agreed = self._agrees
            if agreed and target == self._count.steps:
                return
            doubt = self._check()
            if agreed and doubt:  # else whoever moves it was told before
                raise StageFault(f"{doubt}; the move was not begun")
            while target != self._count.steps and not self._stopped:
                self._run(target - self._count.steps)
            if self._stopped:
                raise StageStopped(
                    f"stopped at {self.position_um:g} um on the way to {target_um:g} um"
                )

    def stop(self) -> None:
        """End the move under way, as soon as the firmware can. Callable from any thread."""
        with self._state:
            if self._moving and not self._stopped:
                with suppress(StageFault):  # the move finds out by itself
                    self._board.send_stop()
            self._stopped = True

    def take_doubt(self) -> str | None:
        """Return, once, what happened to the board or its motors between moves; None if nothing.

        Asks the board, and opens the line again if it was lost.
        """
        with self._conversing:
            if self._connected:
                try:
                    self._doubt = self._check() or self._doubt
                except StageFault as error:
                    self._doubt = str(error)
            doubt, self._doubt = self._doubt, None
            return doubt

    @contextmanager
    def _under_way(self) -> Iterator[None]:
        with self._conversing:
            with self._state:
                if not self._connected:
                    raise StageFault("the Sangaboard is not connected; enter it with `with` first")
                self._stopped, self._moving = False, True
            self._cancel_idle()
            try:
                yield
            except StageStopped:
                raise
            except BaseException:
                self._agrees = False
                with suppress(StageFault):
                    self._board.send_stop()
                raise
            finally:
                with self._state:
                    self._moving = False
                    left = not self._connected
                if left:  # exit came in mid-move, and left this to us
                    self._leave()
                elif self._energised and self._settings.release == "when idle":
                    self._idle = self._timer(self._settings.idle_s, self._release_when_idle)
                    self._idle.start()

    def _check(self) -> str | None:
        """Make sure that the board stands where we count; return what there is to doubt.

        Raises StageFault if there is no agreement to be had.
        """
        doubt = "the board was greeted anew after a fault"
        if self._agrees:
            try:
                count = self._board.count_at_rest(self._count.board)
            except StageFault as error:
                doubt = str(error)
            else:
                if count == self._count.board:
                    return None
                doubt = (
                    f"the board counts {count} steps where it stood at {self._count.board}; it was "
                    "reset, or moved by something else"
                )
        self._agree()
        return doubt

    def _agree(self) -> None:
        """Connect if need be, and go on from the board's count."""
        self._agrees = False
        self._line.open()
        self._board.greet(self._settings.step_delay_us)
        count = self._board.count_at_rest()
        if self._count.known:
            self._count.resume(count)
        else:
            in_travel = self.travel.contains(self._settings.position_um(count))
            self._count.start_at(count, count if in_travel else 0)
        self._agrees = True

    def _run(self, steps: int) -> None:
        """Move by `steps`, or a part of them, and count."""
        longest = self._board.steps_in(BLOCKING_PIECE_S) if self._board.blocks else LONGEST_MOVE
        steps = max(-longest, min(longest, steps))
        goal = self._count.board + steps
        self._count.leave_for(steps)
        self._energised = True
        self._board.start(steps)
        duration_s = self._board.duration_s(steps)
        try:
            if self._board.blocks:
                self._board.await_end(duration_s + _OVERDUE_S)
            else:
                self._watch(self._clock.now_s() + duration_s)
        finally:
            self._settled_at_s = self._clock.now_s() + self._settings.settle_s
        self._count.arrive(self._board.count_at_rest(goal))
        if self._count.board != goal and not self._stopped:
            raise StageFault(
                f"the board was asked for {steps} steps and stands {goal - self._count.board} "
                "short of them; an end stop holds it, or something else stopped it"
            )

    def _watch(self, ends_at_s: float) -> None:
        """Return when the board no longer moves, seeing to it that a stop reaches it."""
        while True:
            if self._stopped:  # it may have been sent before the move was
                self._board.send_stop()
            now_s = self._clock.now_s()
            left_s = 0.0 if self._stopped else ends_at_s - now_s
            self._clock.wait_until_s(now_s + min(max(left_s, _POLL_AT_END_S), POLL_S))
            if not self._board.moving():
                return
            overdue_s = self._clock.now_s() - ends_at_s
            if overdue_s > _OVERDUE_S:
                raise StageFault(
                    f"the board still moves {overdue_s:.1f} s after the end of its move; check "
                    "that nothing else uses it"
                )

    def _cancel_idle(self) -> None:
        if self._idle is not None:
            self._idle.cancel()
            self._idle = None

    def _release_when_idle(self) -> None:
        with self._conversing:
            if self._idle is None:  # a move or the exit came first
                return
            self._idle = None
            self._release(f"its motors were released after {self._settings.idle_s:g} s of idleness")

    def _release(self, why: str) -> None:
        self._energised = False
        if not self._settings.keeps_place:
            self._doubt = why
        try:
            self._board.release()
        except StageFault as error:
            self._agrees = False
            self._doubt = str(error)

    def _leave(self) -> None:
        self._cancel_idle()
        if self._line.connected and self._settings.release != "never":
            self._release("its motors were released when the stage was disconnected")
        self._agrees = False
        self._line.close()

    def __enter__(self) -> Self:
        with self._conversing:
            met_before = self._count.known
            try:
                self._agree()
            except BaseException:
                self._line.close()
                raise
            if met_before:
                self._doubt = "the stage was connected anew"
            self._connected = True
        return self

    def __exit__(self, *error: object) -> None:
        with self._state:
            self._connected = False
            self.stop()
            if self._moving:
                return  # in another thread; when the move has ended, it leaves for us
        with self._conversing:
            self._leave()
