"""Sangaboards in memory: the blocking firmware up to v0.5, and v1 with its non-blocking moves.

Commands, answers, timing and traps follow the published sources of both.
"""

from collections.abc import Callable
from typing import Final

from firmware.sangaboard_core import SangaboardCore, leading_number
from hw.clock import Clock

AXES: Final = "xyz"
BUSY_S: Final = 0.05
"""How much time passes before a board that blocks looks up from its move."""


class OldSangaboard(SangaboardCore):
    """v0.3 to v0.5: a move blocks the board; then come `done.` and what was sent meanwhile."""

    hardware_buffer = 64

    def __init__(self, clock: Clock, *, banner: str = "Sangaboard Firmware v0.5", **options: int):
        self.banner = banner
        self._waiting = bytearray()
        self._says_at_end = "done."
        super().__init__(clock, **options)

    def _begin(self) -> None:
        super()._begin()
        self._waiting.clear()

    def receive(self, code: int) -> None:
        if self.moving:
            if len(self._waiting) < self.hardware_buffer:
                self._waiting.append(code)
            return
        if code != ord("\n") and len(self._line) == 62:  # a full buffer is a command
            super().receive(code)
            self._run_line()
        else:
            super().receive(code)

    def tick(self, now_s: float) -> None:
        if self.moving:  # nothing but the motors gets any time
            self._clock.wait_until_s(self._clock.now_s() + BUSY_S)
        super().tick(now_s)
        while self._waiting and not self.moving:
            code = self._waiting[0]
            del self._waiting[0]
            self.receive(code)

    def finished(self) -> None:
        self.eeprom["count"] = list(self.count)
        self.say(self._says_at_end)

    def run(self, command: str) -> None:
        word, _, rest = command.partition(" ")
        match word:
            case "":
                pass
            case "mrx" | "mry" | "mrz" if rest:
                steps = [0, 0, 0]
                steps[AXES.index(word[2])] = self.as_int(rest)
                # v0.4 leaves out the full stop here, and only here.
                self._says_at_end = "done" if "v0.4" in self.banner else "done."
                self.start(steps)
            case "mr" if len(rest.split()) == 3:
                self._says_at_end = "done."
                self.start([leading_number(number) for number in rest.split()])
            case "dt" | "min_step_delay" if rest:
                self.step_delay_us = self.eeprom["dt"] = leading_number(rest)
                self.say("done.")
            case "ramp_time" if rest:
                self.ramp_us = self.eeprom["ramp"] = leading_number(rest)
                self.say("done.")
            case _:
                self._run_query(command)

    def _run_query(self, command: str) -> None:
        answers: dict[str, Callable[[], None]] = {
            "list_modules": self.say_modules,
            "release": self._release,
            "p?": self.say_position,
            "position?": self.say_position,
            "ramp_time?": lambda: self.say(f"ramp time {self.ramp_us}"),
            "dt?": lambda: self.say(f"minimum step delay {self.step_delay_us}"),
            "min_step_delay?": lambda: self.say(f"minimum step delay {self.step_delay_us}"),
            "version": lambda: self.say(self.banner),
        }
        for prefix, answer in answers.items():
            if command.startswith(prefix):
                return answer()
        return self.say(self.prompt)

    def _release(self) -> None:
        self.released = True
        self.say("motors released")


class NewSangaboard(SangaboardCore):
    """v1: commands are heard while it moves; `stop` ends a move, and may be all but silent."""

    def __init__(
        self,
        clock: Clock,
        *,
        banner: str = "Sangaboard Firmware v1.0.4",
        says_on_stop: str = "Move aborted",
        **options: int,
    ) -> None:
        """`says_on_stop` may be empty. With `int_bits` of 32 there is no EEPROM either."""
        self.banner = banner
        self._says_on_stop = says_on_stop
        super().__init__(clock, **options)
        self._factory = dict(self.eeprom)

    def reset(self, send: Callable[[bytes], None]) -> None:
        if self._int_bits == 32:
            self._advance()
            self.eeprom = dict(self._factory)
        super().reset(send)

    def _begin(self) -> None:
        super()._begin()
        self._blocking = self.eeprom.get("blocking", True)
        self._notify = False

    def finished(self) -> None:
        if self._notify:
            self._notify = False
            self.say("stopped")

    def start(self, displacement: list[int]) -> None:
        super().start(displacement)
        if self._blocking:
            self._notify = True
        else:
            self.say("done.")

    def run(self, command: str) -> None:
        # In the order of the firmware's table, of which the first that fits the beginning counts.
        table: dict[str, Callable[[str], None]] = {
            "version": lambda _: self.say(self.banner),
            "list_modules": lambda _: self.say_modules(),
            "mrx": lambda rest: self._move_one(0, rest),
            "mry": lambda rest: self._move_one(1, rest),
            "mrz": lambda rest: self._move_one(2, rest),
            "mr": self._move_all,
            "release": lambda _: self._release(),
            "p": lambda _: self.say_position(),
            "ramp_time": self._ramp_time,
            "min_step_delay": self._step_delay,
            "dt": self._step_delay,
            "zero": lambda _: self._zero(),
            "stop": lambda _: self._stop(),
            "moving": lambda _: self.say("true" if self.moving else "false"),
            "notify_on_stop": lambda _: self._notify_on_stop(),
            "blocking_moves": self._blocking_moves,
        }
        for prefix, action in table.items():
            if command.startswith(prefix):
                return action(command.removeprefix(prefix).lstrip(" "))
        return self.say(self.prompt)

    def _move_one(self, axis: int, rest: str) -> None:
        steps = [0, 0, 0]
        steps[axis] = self.as_int(rest)
        self.start(steps)

    def _move_all(self, rest: str) -> None:
        steps = [leading_number(number) for number in rest.split()[:3]]
        self.start(steps + [0] * (3 - len(steps)))

    def _release(self) -> None:
        self.released = True
        self.say("done")

    def _ramp_time(self, rest: str) -> None:
        if rest.startswith("?"):
            self.say(f"ramp_time {self.ramp_us}")
        else:
            self.ramp_us = self.eeprom["ramp"] = leading_number(rest)
            self.say("done.")

    def _step_delay(self, rest: str) -> None:
        if rest.startswith("?"):
            self.say(f"minimum step delay {self.step_delay_us}")
        else:
            self.step_delay_us = self.eeprom["dt"] = leading_number(rest)
            self.say("done.")

    def _zero(self) -> None:
        self.count = [0, 0, 0]
        self.eeprom["count"] = [0, 0, 0]
        self.say("position reset to 0 0 0")

    def _stop(self) -> None:
        # As published: the flag of a completion line stays up, and the next move sends the line.
        self.moving = False
        if self._says_on_stop:
            self.say(self._says_on_stop)

    def _notify_on_stop(self) -> None:
        if self.moving:
            self._notify = True
        else:
            self.say("Error: stage is not moving")

    def _blocking_moves(self, rest: str) -> None:
        if rest.startswith("?"):
            self.say(f"blocking_moves {'true' if self._blocking else 'false'}")
        else:
            self._blocking = self.eeprom["blocking"] = rest.startswith("t")
            self.say("done.")
