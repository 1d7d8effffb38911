"""What the firmwares of a Sangaboard share: motors, memory, and how they read a line."""

from collections.abc import Callable
from typing import Any, Final

from hw.clock import Clock

PARTIAL_LINE_S: Final = 1.0  # Arduino's default: after that much silence, half a line is a command


class SangaboardCore:
    """Motors move in the time of a clock, so that a simulated one makes a long move short.

    `motors` is the truth: the steps that the coils were ever given.
    """

    banner: str
    prompt = "Type 'help' for a list of commands."

    def __init__(
        self, clock: Clock, *, step_delay_us: int = 1000, ramp_us: int = 0, int_bits: int = 16
    ) -> None:
        """`int_bits`: what the single-axis commands take, 16 on an AVR and 32 on an RP2040."""
        self.motors = [0, 0, 0]
        self.released = False
        self.commands: list[str] = []
        """Every command that was carried out, or refused."""
        self.eeprom: dict[str, Any] = {"count": [0, 0, 0], "dt": step_delay_us, "ramp": ramp_us}
        self._clock = clock
        self._int_bits = int_bits
        self._send: Callable[[bytes], None] = lambda _data: None
        self._begin()

    def reset(self, send: Callable[[bytes], None]) -> None:
        """Stop where it is, forget what is not in the EEPROM, and say which firmware it is."""
        self._advance()
        self._send = send
        self._begin()
        self.say(self.banner)

    def _begin(self) -> None:
        self.count = list(self.eeprom["count"])
        self.step_delay_us = self.eeprom["dt"]
        self.ramp_us = self.eeprom["ramp"]
        self.moving = False
        self._line = bytearray()
        self._heard_at_s: float | None = None
        self._start_s = 0.0
        self._goal = [0, 0, 0]
        self._done = [0, 0, 0]

    def say(self, text: str) -> None:
        self._send(text.encode("ascii") + b"\r\n")

    def receive(self, code: int) -> None:
        """Take one byte from the wire."""
        if code == ord("\n"):
            self._run_line()
        else:
            self._line.append(code)
            self._heard_at_s = None

    def tick(self, now_s: float) -> None:
        """Step the motors; run half a line that nothing was added to for a second."""
        self._advance()
        if self._line and self._heard_at_s is None:
            self._heard_at_s = now_s
        elif self._heard_at_s is not None and now_s - self._heard_at_s > PARTIAL_LINE_S:
            self._run_line()

    def _run_line(self) -> None:
        command = self._line.decode("latin-1")
        self._line.clear()
        self._heard_at_s = None
        self._advance()
        self.commands.append(command)
        self.run(command)

    def run(self, command: str) -> None:
        raise NotImplementedError

    def finished(self) -> None:
        """The move came to its end."""
        raise NotImplementedError

    # Motors

    def start(self, displacement: list[int]) -> None:
        self._goal, self._done = displacement, [0, 0, 0]
        self._start_s = self._clock.now_s()
        self.moving = True
        self.released = False

    def _advance(self) -> None:
        if not self.moving:
            return
        longest = max(map(abs, self._goal))
        reached_us = self._scaled_us((self._clock.now_s() - self._start_s) * 1e6, longest)
        for axis, goal in enumerate(self._goal):
            if goal:
                delay_us = longest / abs(goal) * max(self.step_delay_us, 1)
                # Step k comes half a delay before it is due, so that rounding cannot eat the last.
                done = min(abs(goal), max(0, int(reached_us / delay_us + 0.5)))
                steps = (done - self._done[axis]) * (1 if goal > 0 else -1)
                self._done[axis] = done
                self.count[axis] += steps
                self.motors[axis] += steps
        if self._done == [abs(goal) for goal in self._goal]:
            self.moving = False
            self.finished()

    def _scaled_us(self, elapsed_us: float, longest: int) -> float:
        """Time as it would be at top speed: a ramp makes it run slowly at both ends."""
        if self.ramp_us <= 0:
            return elapsed_us
        final_us = float(longest * self.step_delay_us)
        left_us = final_us + self.ramp_us - elapsed_us
        if elapsed_us < self.ramp_us and left_us > elapsed_us:
            return elapsed_us**2 / (2 * self.ramp_us)
        if left_us < self.ramp_us:
            return final_us - max(left_us, 0.0) ** 2 / (2 * self.ramp_us)
        return elapsed_us - self.ramp_us / 2

    # Commands that both have

    def as_int(self, text: str) -> int:
        """C's atoi: leading digits, 0 for none, wrapped to the width of an int."""
        return wrapped(leading_number(text), self._int_bits)

    def say_position(self) -> None:
        self.say(" ".join(map(str, self.count)))

    def say_modules(self) -> None:
        self.say("Endstops: min soft")
        self.say("--END--")


def leading_number(text: str) -> int:
    """Return what C reads of a decimal number: its leading part, or 0."""
    digits = text[: len(text) - len(text.lstrip("-"))][:1]
    for char in text[len(digits) :]:
        if not char.isdigit():
            break
        digits += char
    return int(digits) if digits.strip("-") else 0


def wrapped(number: int, bits: int) -> int:
    """Return `number` as a signed integer of so many bits holds it."""
    return (number + (1 << bits - 1)) % (1 << bits) - (1 << bits - 1)
