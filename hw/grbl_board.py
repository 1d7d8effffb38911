"""A conversation with a board that runs GRBL 1.1, over one serial line."""

from typing import Final

from hw import grbl_protocol as grbl
from hw.clock import Clock
from hw.serial_line import LineGarbled, LineSilent, SerialLine
from hw.stage import StageFault

POLL_S: Final = 0.05
"""How often a board in motion is asked how far it is; its makers advise 5 to 20 times a second."""
POLL_AT_END_S: Final = 0.01
_QUIET_S: Final = 0.1  # replies that are under way have come after this


class BoardUpset(StageFault):
    """The board began anew, or raised an alarm, in the middle of a conversation."""


class GrblBoard:
    """GRBL 1.1 at the end of a line. One thread converses; any thread may cancel a jog."""

    def __init__(self, line: SerialLine, clock: Clock, *, boot_s: float, timeout_s: float) -> None:
        self._line = line
        self._clock = clock
        self._boot_s = boot_s
        self._timeout_s = timeout_s
        self._cancelled = False
        self._options = ""

    @property
    def connected(self) -> bool:
        """Whether the line is open, as far as known."""
        return self._line.connected

    @property
    def homes_single_axes(self) -> bool:
        """Whether the firmware was built to home one axis at a time."""
        return "H" in self._options

    def open(self) -> None:
        """Open the line and bring the board to a known state: nothing queued, no half a command.

        Opening resets most boards, which is heard by their banner; a board that is not reset by it
        is brought to rest and reset by a byte, which does not touch its count. Raises LineError.
        """
        self._line.open()
        try:
            if not self._heard_banner(self._boot_s):
                self._stop_what_runs()
                self.reset()
            info = self._build_info()
        except StageFault:
            self._line.close()
            raise
        self._options = next((line for line in info if line.startswith("[OPT:")), "")[5:]
        self._options = self._options.split(",")[0]
        if not any(line.startswith("[VER:1.1") for line in info):
            self._line.close()
            raise StageFault(f"{self._line.port} does not answer $I as GRBL does, but {info}")

    def axis(self, letter: str) -> grbl.BoardAxis:
        """Return how an axis is set up. Raises LineGarbled, and StageFault if it cannot be used."""
        # Twice, for these numbers are not checked by anything later, and a lost digit of the
        # steps/mm would send the motor ten times too far.
        axis, again = (grbl.BoardAxis.read(self.ask("$$"), letter) for _ in range(2))
        if axis != again:
            raise LineGarbled(f"{self._line.port} printed $$ differently twice; check the cable")
        return axis

    def close(self) -> None:
        """Close the line. What the board does goes on."""
        self._line.close()

    def status(self) -> grbl.Status:
        """Ask for the status. Raises LineError, or BoardUpset."""
        self._line.send_byte(grbl.ASK_STATUS)
        while True:
            line = self._next_line()
            if line.startswith("<"):
                return grbl.parse_status(line)

    def ask(self, command: str, timeout_s: float | None = None) -> list[str]:
        """Send a command and return what was said before its `ok`, which may mean queued only.

        Raises LineError, BoardUpset, or StageFault if the board answers with an error.
        """
        self._line.send_line(command)
        said = []
        while (line := self._next_line(timeout_s)) != "ok":
            if match := grbl.ERROR.fullmatch(line):
                raise StageFault(
                    f"the board refused {command} with {grbl.error_text(int(match[1]))}"
                )
            said.append(line)
        return said

    def cancel_jog(self) -> None:
        """Decelerate to a stop and forget the rest of the jog. Callable from any thread."""
        self._cancelled = True
        self._line.send_byte(grbl.CANCEL_JOG)

    def kill(self) -> None:
        """Stop the motor at once, losing steps, by a reset. Callable from any thread."""
        self._line.send_byte(grbl.SOFT_RESET)

    def reset(self) -> None:
        """Reset the firmware, not its count: clears queue, input and suspension; kills motion.

        Raises LineSilent if no banner follows.
        """
        self._line.discard_input()
        self._line.send_byte(grbl.SOFT_RESET)
        if not self._heard_banner(self._timeout_s):
            raise LineSilent(
                f"{self._line.port} does not answer as GRBL does, not even to a reset; check that "
                "the board has power and runs GRBL 1.1"
            )
        self._cancelled = False
        self._drain()

    def come_to_rest(self, within_s: float) -> tuple[grbl.Status, list[str]]:
        """Bring the board to Idle whatever it was doing; return its status and what was wrong.

        Raises LineError, and StageFault if it cannot be brought to rest.
        """
        upsets: list[str] = []
        deadline_s = self._clock.now_s() + within_s
        while self._clock.now_s() <= deadline_s:
            try:
                status = self.status()
            except BoardUpset as upset:
                upsets.append(str(upset))
                self._drain()
                continue
            except (LineSilent, LineGarbled) as error:
                if len(upsets) > 2:
                    raise
                upsets.append(f"{error}; the board was reset")
                self.reset()
                continue
            match status.state:
                case "Idle":
                    if not self._cancelled:
                        return status, upsets
                    # A cancel that comes as the jog ends leaves GRBL idle and suspended.
                    self._cancelled = False
                    self._line.send_byte(grbl.RESUME)
                case "Hold" if status.held:
                    self._line.send_byte(grbl.RESUME)
                case "Alarm":
                    upsets.append("the board was locked by an alarm")
                    self.ask("$X")
                case "Jog":
                    self.cancel_jog()
                case "Hold" | "Run" | "Home":
                    pass
                case state:
                    raise StageFault(
                        f"the board is in state {state}; close its door, or reset it to wake it"
                    )
            self._clock.wait_until_s(self._clock.now_s() + POLL_AT_END_S)
        raise StageFault(f"the board did not come to rest within {within_s:g} s; reset it")

    def _next_line(self, timeout_s: float | None = None) -> str:
        line = self._line.read_line(timeout_s)
        if grbl.BANNER.fullmatch(line):
            raise BoardUpset("the board was reset")
        if match := grbl.ALARM.fullmatch(line):
            raise BoardUpset(f"the board raised {grbl.alarm_text(int(match[1]))}")
        return line

    def _heard_banner(self, within_s: float) -> bool:
        deadline_s = self._clock.now_s() + within_s
        while (left_s := deadline_s - self._clock.now_s()) > 0:
            try:
                match = grbl.BANNER.fullmatch(self._line.read_line(left_s))
            except LineSilent:
                return False
            except LineGarbled:
                continue  # noise while the port opens, or a boot loader at another speed
            if match and match[1] != "1.1":
                raise StageFault(
                    f"{self._line.port} runs GRBL {match[1]}{match[2]}, which cannot jog as 1.1 "
                    "does; install GRBL 1.1"
                )
            if match:
                return True
        return False

    def _build_info(self) -> list[str]:
        try:
            return self.ask("$I")
        except BoardUpset:  # some boards are reset twice as the port opens
            self._drain()
            return self.ask("$I")

    def _stop_what_runs(self) -> None:
        try:
            self.come_to_rest(self._timeout_s)
        except StageFault:
            if not self.connected:
                raise

    def _drain(self) -> None:
        while True:
            try:
                self._line.read_line(_QUIET_S)
            except LineSilent:
                return
            except LineGarbled:
                continue
