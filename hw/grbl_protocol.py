"""The text that GRBL 1.1 speaks, both ways, and how it counts. No effects."""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final, Self

from hw.serial_line import LineGarbled
from hw.stage import StageFault

# Realtime bytes: obeyed at once, without a line end, also in mid line.
ASK_STATUS: Final = ord("?")
RESUME: Final = ord("~")
CANCEL_JOG: Final = 0x85
"""A feed hold that also forgets the rest of the jog. Ignored unless a jog is under way."""
SOFT_RESET: Final = 0x18

BANNER: Final = re.compile(r"Grbl(?:HAL)? (\d+\.\d+)(\w?) \[.*", re.IGNORECASE)
ALARM: Final = re.compile(r"ALARM:(\d+)")
ERROR: Final = re.compile(r"error:(\d+)")
_STATUS: Final = re.compile(r"<([A-Za-z]+)(?::(\d))?\|([MW])Pos:([-.,\d]+)(?:\|[\w:.,-]+)*>")
_MILLIMETRES: Final = re.compile(r"-?\d+\.\d{3}")
_SETTING: Final = re.compile(r"\$(\d+)=(-?\d+(?:\.\d+)?)(?: .*)?")

MAX_STEPS_PER_MM: Final = 800.0
"""Positions are reported to 0.001 mm: up to half of that is 0.4 of such a step. The rest of the
half step is for the single precision that GRBL counts in, up to 400,000 steps from its zero."""
MIN_FEED_MM_PER_MIN: Final = 1.0
"""Slower feeds are raised to this by the firmware."""

# https://github.com/gnea/grbl/wiki/Grbl-v1.1-Interface, in short.
_ERRORS: Final = {
    2: "the number is malformed",
    5: "homing is switched off: set $22=1",
    8: "the board is not idle",
    9: "the board is locked by an alarm",
    10: "soft limits need homing: set $22=1 or $20=0",
    15: "the target is beyond the board's own soft limits: see $130 to $132, or set $20=0",
    16: "the jog command is malformed",
    22: "the feed rate is missing",
}
_ALARMS: Final = {
    1: "an end stop was hit",
    2: "a target was beyond the soft limits",
    3: "reset while the motor was moving",
    6: "reset while homing",
    8: "the end stop stayed closed after homing",
    9: "homing found no end stop",
}


def error_text(code: int) -> str:
    """Return what `error:<code>` means."""
    return f"error:{code} ({_ERRORS.get(code, 'see the list of GRBL 1.1 error codes')})"


def alarm_text(code: int) -> str:
    """Return what `ALARM:<code>` means."""
    return f"ALARM:{code} ({_ALARMS.get(code, 'see the list of GRBL 1.1 alarm codes')})"


@dataclass(frozen=True, slots=True)
class Status:
    """A status report. `state` is the word that GRBL uses, such as Idle or Jog."""

    state: str
    substate: int | None
    position_mm: tuple[float, ...]
    """Machine position of each axis, x first, as rounded by the board to 0.001 mm."""

    @property
    def held(self) -> bool:
        """Whether the board waits, at rest, to be resumed."""
        return self.state == "Hold" and self.substate == 0


def parse_status(line: str) -> Status:
    """Read a status report. Raises LineGarbled for a malformed one, also a truncated one."""
    match = _STATUS.fullmatch(line)
    numbers = match[4].split(",") if match else []
    if match is None or not 3 <= len(numbers) <= 6 or not all(map(_MILLIMETRES.fullmatch, numbers)):
        raise LineGarbled(f"the board sent {line!r}, which is no status report; check the cable")
    if match[3] == "W":
        raise StageFault("the board reports work positions; make it report its own: send $10=1")
    substate = None if match[2] is None else int(match[2])
    return Status(match[1], substate, tuple(map(float, numbers)))


@dataclass(frozen=True, slots=True)
class BoardAxis:
    """One axis as the board is set up for it. Its mm need not be real ones: it counts steps."""

    letter: str
    steps_per_mm: float
    max_rate_mm_per_min: float
    acceleration_mm_per_s2: float
    travel_mm: float
    homes: bool
    homing_seek_mm_per_min: float
    holds_when_idle: bool

    @classmethod
    def read(cls, lines: Iterable[str], letter: str) -> Self:
        """Take the axis `letter`, x, y or z, from what `$$` printed.

        Raises LineGarbled if a line is missing, and StageFault if steps cannot be told apart.
        """
        values = {int(m[1]): float(m[2]) for m in map(_SETTING.fullmatch, lines) if m}
        index = "xyz".index(letter)
        numbers = [100 + index, 110 + index, 120 + index, 130 + index, 1, 13, 22, 25]
        missing = [f"${number}" for number in numbers if number not in values]
        if missing:
            raise LineGarbled(f"the board did not print {', '.join(missing)}; check the cable")
        scale, rate, acceleration, travel = (values[number] for number in numbers[:4])
        if not 0 < scale <= MAX_STEPS_PER_MM:
            ratio = scale / MAX_STEPS_PER_MM
            raise StageFault(
                f"$10{index} is {scale:g} steps/mm; the board reports to 0.001 mm, so that above "
                f"{MAX_STEPS_PER_MM:g} single steps are lost. Its mm need not be real ones: send "
                f"$10{index}={MAX_STEPS_PER_MM:g}, $11{index}={rate * ratio:.3f} and "
                f"$12{index}={acceleration * ratio:.3f}"
            )
        if values[13]:
            raise StageFault("the board reports inches, too coarsely to count steps: send $13=0")
        return cls(
            letter=letter,
            steps_per_mm=scale,
            max_rate_mm_per_min=rate,
            acceleration_mm_per_s2=acceleration,
            travel_mm=travel,
            homes=bool(values[22]),
            homing_seek_mm_per_min=values[25],
            holds_when_idle=values[1] == 255,
        )

    def steps(self, status: Status) -> int:
        """Return the board's step count, which its rounding to 0.001 mm leaves no doubt about."""
        return round(status.position_mm["xyz".index(self.letter)] * self.steps_per_mm)

    def jog(self, steps: int, feed_mm_per_min: float) -> str:
        """Return the command that jogs to a step count of the board.

        The target is absolute (G53), so that no rounding adds up over moves. GRBL reads eight
        digits into single precision and takes the nearest step.
        """
        target_mm = steps / self.steps_per_mm
        decimals = 7 - len(str(int(abs(target_mm))))
        return f"$J=G53G21{self.letter.upper()}{target_mm:.{decimals}f}F{feed_mm_per_min:.3f}"

    def duration_s(self, steps: int, feed_mm_per_min: float) -> float:
        """Return about how long a move of so many steps takes, from rest to rest."""
        speed_mm_per_s = min(feed_mm_per_min, self.max_rate_mm_per_min) / 60
        length_mm = abs(steps) / self.steps_per_mm
        return length_mm / speed_mm_per_s + speed_mm_per_s / self.acceleration_mm_per_s2
