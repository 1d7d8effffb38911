"""A focus axis driven by a board that runs GRBL 1.1."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Final, Self

from hw.clock import Clock
from hw.grbl_board import POLL_AT_END_S, POLL_S, GrblBoard
from hw.grbl_protocol import MIN_FEED_MM_PER_MIN, BoardAxis, Status
from hw.grbl_settings import GrblSettings
from hw.serial_line import LineError, SerialLine
from hw.stage import Range, StageFault, StageStopped

__all__ = ["Grbl", "GrblSettings"]

_EXIT_S: Final = 0.5


class Grbl:
    """Moves by absolute jogs, and waits until the board rests and stands at the asked step.

    The position is the board's own step count. When the board forgets it in a reset, the count
    goes on from where it was, and `take_doubt` says so. A lost line is opened again by the next
    move or `take_doubt`. Pulling the cable does not end a jog: the board finishes it.
    """

    def __init__(
        self, settings: GrblSettings, clock: Clock, line: SerialLine | None = None
    ) -> None:
        """Prepare a stage whose port is opened on enter; `line`, if given, instead of that port."""
        self._settings = settings
        self._clock = clock
        line = line or SerialLine(
            settings.port, baud=settings.baud, clock=clock, timeout_s=settings.timeout_s
        )
        self._board = GrblBoard(line, clock, boot_s=settings.boot_s, timeout_s=settings.timeout_s)
        self._axis: BoardAxis | None = None
        self._steps = 0
        self._origin_steps = 0  # ours at the board's zero
        self._settled_at_s = clock.now_s()
        self._entered = False
        self._faulted = False  # and said so; the board is in an unknown state since
        self._doubt: str | None = None
        self._stops_by_reset = False
        self._stop = threading.Event()
        self._conversing = threading.RLock()

    @property
    def step_um(self) -> float:
        """Smallest move, in um."""
        return self._settings.step_um

    @property
    def travel(self) -> Range:
        """What the mechanics can reach, by the settings."""
        return self._settings.travel

    @property
    def position_um(self) -> float:
        """Position by the steps that the board counted, as last heard, in um."""
        return self._settings.position_um(self._steps)

    @property
    def settled_at_s(self) -> float:
        """When the board was last seen moving or newly at rest, plus the settle time."""
        return self._settled_at_s

    def move_to_um(self, target_um: float) -> None:
        """Move to the step nearest to `target_um`; return once the board rests there.

        Raises StageStopped on `stop`, and StageFault if the board or the line fails, or if the
        board turns out to have been disturbed since the last move, which is then not begun.
        """
        with self._conversing:
            self._begin()
            target = self._settings.steps_at(target_um)
            if target == self._steps and not self._faulted:
                return
            with self._failures_remembered():
                self._refuse_if_disturbed()
                self._jog(target)
            if self._steps != target:
                raise StageStopped(
                    f"stopped at {self.position_um:g} um on the way to {target_um:g} um"
                )

    def stop(self) -> None:
        """Decelerate to a stop and forget the rest of the move. Callable from any thread."""
        self._stop.set()
        with suppress(LineError):  # whoever waits for a reply finds that out, and says it
            if self._stops_by_reset:  # nothing else ends homing
                self._board.kill()
            else:
                self._board.cancel_jog()

    def take_doubt(self) -> str | None:
        """Return, once, why the count may be off: a reset, an alarm, a reconnection, a release."""
        with self._conversing:
            found = None
            if self._entered:
                try:
                    found = self._find_disturbance()
                except StageFault as error:
                    found = str(error)
                    self._faulted = True
            doubt, self._doubt = self._doubt, None
            return found or doubt

    def _begin(self) -> None:
        if not self._entered:
            raise StageFault("the GRBL stage is not connected; enter it with `with` first")
        self._stop.clear()

    @property
    def _stopping(self) -> bool:
        return self._stop.is_set() or not self._entered

    def _jog(self, target: int) -> None:
        if self._stopping:
            return
        axis = self._known_axis
        start = self._steps
        way = range(min(start, target), max(start, target) + 1)
        if not axis.holds_when_idle and not self._settings.keeps_place:
            self._doubt = (
                "the board takes the current off its motor after each move; send $1=255, or set "
                "keeps_place if the axis stays where it is without"
            )
        patience_s = self._settings.patience_s(axis, target - start)
        feed_mm_per_min = self._settings.feed_mm_per_min(axis)
        begun_s = self._clock.now_s()
        near_end_s = begun_s + axis.duration_s(target - start, feed_mm_per_min) - 2 * POLL_S
        self._board.ask(axis.jog(target - self._origin_steps, feed_mm_per_min))
        while True:
            if self._stopping:
                self._board.cancel_jog()  # the first may have come before the jog began
            status = self._take_position()
            if self._steps not in way:
                raise StageFault(
                    f"the board stands at step {self._steps}, which is not on the way from {start} "
                    f"to {target}; the line garbles numbers, check the cable"
                )
            if status.state == "Idle" or status.held:
                break
            if status.state != "Jog":
                raise StageFault(f"the board is in state {status.state} in the middle of a move")
            now_s = self._clock.now_s()
            if now_s > begun_s + patience_s:
                raise StageFault(
                    f"the board still moves {patience_s:.1f} s after the start of a move from step "
                    f"{start} to {target}, now at {self._steps}"
                )
            ending = self._stopping or now_s > near_end_s
            self._clock.wait_until_s(now_s + (POLL_AT_END_S if ending else POLL_S))
        if self._steps != target and not self._stopping:
            raise StageFault(
                f"the board came to rest at step {self._steps} instead of {target}, without having "
                "been told to; look for a hold button, or an end stop"
            )

    def _take_position(self) -> Status:
        status = self._board.status()
        self._steps = self._origin_steps + self._known_axis.steps(status)
        self._settled_at_s = self._clock.now_s() + self._settings.settle_s
        return status

    def _refuse_if_disturbed(self) -> None:
        told = self._faulted
        found = self._find_disturbance()
        if found is None:
            return
        self._doubt = found
        if not told:
            raise StageFault(f"{found}; the move was not begun")

    def _find_disturbance(self) -> str | None:
        """Bring the board to rest, opening the line again if need be; say if it was disturbed."""
        found = []
        if not self._board.connected:
            self._open()
            found.append("the line to the board was lost, and is open again")
        elif self._faulted:
            self._board.cancel_jog()
            _, upsets = self._board.come_to_rest(self._settings.longest_move_s(self._known_axis))
            self._board.reset()  # for half a command may stand in its input
            found += [*upsets, "the board was reset after a fault"]
        found += self._rest()
        self._faulted = False
        return ", ".join(found) or None

    def _rest(self) -> list[str]:
        status, found = self._board.come_to_rest(self._settings.longest_move_s(self._known_axis))
        counted = self._known_axis.steps(status)
        if self._origin_steps + counted != self._steps:
            if counted == 0:  # after a reset by its power, its button, or the opening of the port
                found.append("the board forgot its count")
                self._origin_steps = self._steps
            else:
                found.append(
                    f"the board stands at step {self._origin_steps + counted} by its count, not at "
                    f"{self._steps}"
                )
            self._steps = self._origin_steps + counted
        return found

    def _open(self) -> None:
        self._board.open()
        try:
            self._axis = self._board.axis(self._settings.axis)
            feed = self._settings.feed_mm_per_min(self._axis)
            if feed < MIN_FEED_MM_PER_MIN:
                least = self._settings.rate_um_per_s * MIN_FEED_MM_PER_MIN / feed
                raise StageFault(
                    f"rate_um_per_s = {self._settings.rate_um_per_s:g} is below the least that "
                    f"GRBL can do; set {least:.3g} or more"
                )
        except StageFault:
            self._board.close()
            raise

    @property
    def _known_axis(self) -> BoardAxis:
        if self._axis is None:
            raise StageFault("the GRBL stage is not connected; enter it with `with` first")
        return self._axis

    @contextmanager
    def _failures_remembered(self) -> Iterator[None]:
        try:
            yield
        except StageStopped:
            raise
        except BaseException:
            self._faulted = True
            with suppress(LineError):
                self._board.cancel_jog()
            raise
        finally:
            if not self._entered:  # `__exit__` came meanwhile, and left the line to this thread
                self._board.close()

    def __enter__(self) -> Self:
        with self._conversing:
            first = self._axis is None
            self._open()
            self._entered = True
            try:
                self._rest()
            except StageFault:
                self.__exit__()
                raise
            self._doubt = None if first else "the stage was connected anew"
        return self

    def __exit__(self, *error: object) -> None:
        self._entered = False
        self.stop()
        if self._conversing.acquire(timeout=_EXIT_S):  # else whoever moves closes it
            self._board.close()
            self._conversing.release()
