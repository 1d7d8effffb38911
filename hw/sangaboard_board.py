"""A conversation with a Sangaboard, whichever firmware it runs, over one serial line.

Two families, as their published sources have them: up to v0.5 a move blocks the board, which
answers when it has ended; from v1 on moves run while the board listens, and `stop` ends them.
"""

import re
from typing import Final, Literal

from hw.sangaboard_settings import MIN_STEP_DELAY_US
from hw.serial_line import LineError, LineGarbled, LineSilent, SerialLine
from hw.stage import StageFault

LONGEST_MOVE: Final = 32767
"""Steps: an AVR reads the argument of a single-axis move as a 16-bit integer."""

_BANNER: Final = re.compile(r"(Sangaboard Firmware|OpenFlexure Motor Board) v\d.*")
_UNKNOWN: Final = re.compile(r"(Type 'help'|Invalid command|Command not recognised).*")
_DONE: Final = re.compile(r"done\.?")
_ENDED: Final = re.compile(r"done\.?|stopped")
_RELEASED: Final = re.compile(r"done\.?|motors released")
_YES_NO: Final = re.compile(r"true|false")
_COUNTS: Final = re.compile(r"-?\d+( -?\d+)*")
_STEP_DELAY: Final = re.compile(r"minimum step delay (\d+)")
_RAMP: Final = re.compile(r"ramp[ _]time (-?\d+)")

# A board that is reset by the opening of its port eats what comes for up to 2 s or so.
_ASK_EVERY_S: Final = 0.5
_PATIENCE: Final = 12
# Lines that may come before an answer: `stopped`, `Move aborted`, word of an end stop.
_CHATTER: Final = 8
_READINGS: Final = 20


class BoardReset(StageFault):
    """The board said its name unasked: it was reset, or lost its power."""


class _Unknown(StageFault):
    """The firmware has no such command."""


class SangaboardBoard:
    """The commands that one axis needs, over a line that is open. One thread converses.

    All but `send_stop` wait for the answer. They raise LineError if none comes, BoardReset if the
    board was reset meanwhile, and StageFault if it says something else.
    """

    def __init__(self, line: SerialLine, axis: Literal["x", "y", "z"]) -> None:
        self._line = line
        self._axis = axis
        self._step_delay_us = 0
        self._ramp_us = 0
        self.firmware = ""
        """What the board called itself."""
        self.blocks = True
        """Whether a move keeps the board from listening, so that nothing can stop it."""

    def greet(self, step_delay_us: int | None) -> None:
        """Find out who answers and how it moves; set the delay between steps, unless it is None.

        A move that was left under way is stopped. Raises StageFault if no Sangaboard answers, or
        its step delay is not to be.
        """
        self._line.discard_input()
        self.firmware = self._insist("version", _BANNER)[0]
        # What is left of banners, and of answers to each time it was asked, comes before this one.
        self._step_delay_us = self._learn_step_delay()
        self.blocks = self._ask_if_known("moving?", _YES_NO) is None
        if not self.blocks:
            self._bring_to_rest()
            self.blocks = self._ask_if_known("blocking_moves false", _DONE) is None
        ramp = self._ask_if_known("ramp_time?", _RAMP)
        self._ramp_us = max(0, int(ramp[1])) if ramp else 0
        if step_delay_us not in (None, self._step_delay_us):
            self._ask(f"dt {step_delay_us}", _DONE)
            self._step_delay_us = self._learn_step_delay()
            if self._step_delay_us != step_delay_us:
                raise StageFault(
                    f"{self.firmware} keeps a step delay of {self._step_delay_us} us where "
                    f"{step_delay_us} us was asked for; set step_delay_us to a value it takes"
                )
        if self._step_delay_us < MIN_STEP_DELAY_US:  # a `dt` with its number lost on the wire
            raise StageFault(
                f"{self.firmware} is set to a step delay of {self._step_delay_us} us, which loses "
                "steps; set step_delay_us, to 1000 for a 28BYJ-48"
            )

    def duration_s(self, steps: int) -> float:
        """Return how long a move of so many steps takes, from rest to rest.

        The firmware's formula: the time at top speed, and the ramp's once more.
        """
        return (abs(steps) * self._step_delay_us + self._ramp_us) * 1e-6

    def steps_in(self, duration_s: float) -> int:
        """Return how many steps a greeted board takes in that time: 1 to LONGEST_MOVE."""
        return max(1, min(LONGEST_MOVE, int(duration_s * 1e6 / self._step_delay_us)))

    def start(self, steps: int) -> None:
        """Begin a relative move. If the board blocks, the next call must be `await_end`."""
        self._line.send_line(f"mr{self._axis} {steps}")
        if not self.blocks:
            self._await(f"mr{self._axis}", _DONE)

    def await_end(self, within_s: float) -> None:
        """Wait for the word that a blocking move has ended."""
        self._await(f"mr{self._axis}", _ENDED, within_s)

    def moving(self) -> bool:
        """Ask whether a motor moves; not for a board that blocks."""
        return self._ask("moving?", _YES_NO)[0] == "true"

    def send_stop(self) -> None:
        """End the move, if the board listens. What it says to that, if anything, is skipped."""
        if not self.blocks:
            self._line.send_line("stop")

    def release(self) -> None:
        """Take the current off the motors of all three axes; the board cannot do one alone."""
        self._ask("release", _RELEASED)

    def count_at_rest(self, expected: int | None = None) -> int:
        """Return the axis's step count: `expected`, or what two readings in a row agree on.

        One reading could be that of a motor that turns, or have lost a digit on the wire.
        """
        count = self._read_count()
        for _ in range(_READINGS):
            if count == expected:
                return count
            before, count = count, self._read_count()
            if count == before:
                return count
        raise StageFault(
            f"{self.firmware} counts other steps each time, lately {count}; something else moves "
            "its motors"
        )

    def _read_count(self) -> int:
        counts = self._ask("p?", _COUNTS)[0].split()
        index = "xyz".index(self._axis)
        if index >= len(counts):
            raise StageFault(
                f"{self.firmware} counts {len(counts)} axes, and none of them is {self._axis}; "
                "correct the axis setting"
            )
        return int(counts[index])

    def _bring_to_rest(self) -> None:
        for _ in range(_READINGS):
            if not self.moving():
                return
            self._line.send_line("stop")
        raise StageFault(f"{self.firmware} does not stop a move that was under way; cut its power")

    def _learn_step_delay(self) -> int:
        return int(self._insist("dt?", _STEP_DELAY)[1])

    def _insist(self, command: str, answer: re.Pattern[str]) -> re.Match[str]:
        """Ask a board that may not be ready, and skip all that it says but the answer."""
        heard = "nothing answers"
        self._line.send_line(command)
        for _ in range(_PATIENCE):
            try:
                line = self._line.read_line(_ASK_EVERY_S)
            except LineSilent:
                self._line.send_line(command)
                continue
            except LineGarbled as error:
                heard = str(error)
                continue
            if match := answer.fullmatch(line):
                return match
            heard = f"it says {line!r}"
        raise LineError(
            f"no Sangaboard at {self._line.port} that knows {command!r}: {heard}; check the port, "
            "the board's power and its firmware"
        )

    def _ask(self, command: str, answer: re.Pattern[str]) -> re.Match[str]:
        self._line.send_line(command)
        return self._await(command, answer)

    def _ask_if_known(self, command: str, answer: re.Pattern[str]) -> re.Match[str] | None:
        try:
            return self._ask(command, answer)
        except _Unknown:
            return None

    def _await(
        self, command: str, answer: re.Pattern[str], within_s: float | None = None
    ) -> re.Match[str]:
        for _ in range(_CHATTER):
            line = self._line.read_line(within_s)
            if match := answer.fullmatch(line):
                return match
            if _BANNER.fullmatch(line):
                raise BoardReset(f"{line} was reset; check its power supply")
            if _UNKNOWN.fullmatch(line):
                raise _Unknown(f"{self.firmware} does not know {command!r}: {line}")
        raise StageFault(f"{self.firmware} answered {command!r} with {line!r}")
