"""A board that runs GRBL 1.1h, after its published source, with the traps that senders meet.

Jogs of one axis at a time, holds, cancels, resets, alarms, homing, settings and reports; no
g-code program. What it does to its motors is known in `motor_steps`, which no reset clears.
"""

import re
from collections import deque
from collections.abc import Callable

import numpy as np

from firmware.grbl_numbers import F, print_float, read_float, to_steps
from firmware.motion import Motion
from hw.clock import Clock

BANNER = "\r\nGrbl 1.1h ['$' for help]\r\n"
RX_BUFFER = 128
ALARM_DELAY_S = 0.02  # 0.5 s in the real one, in which it does nothing else
MM_PER_INCH = F(25.4)

DEFAULTS = {
    **{0: 10, 1: 255, 2: 0, 3: 0, 4: 0, 5: 0, 6: 0, 10: 1, 11: 0.01, 12: 0.002, 13: 0},
    **{20: 0, 21: 0, 22: 0, 23: 0, 24: 600, 25: 3000, 26: 0, 27: 1, 30: 1000, 31: 0, 32: 0},
    **{100: 250, 101: 250, 102: 250, 110: 9000, 111: 9000, 112: 9000},
    **{120: 20000, 121: 20000, 122: 20000, 130: 200, 131: 200, 132: 200},
}
WHOLE = {0, 1, 2, 3, 4, 5, 6, 10, 13, 20, 21, 22, 23, 26, 30, 31, 32}


class GrblFirmware:
    """Runs behind a PtyPort."""

    def __init__(
        self,
        changes: dict[int, float] | None = None,
        *,
        end_stop: tuple[int, int] | None = None,
        clock: Clock | None = None,
    ) -> None:
        """`changes` are to the settings. `end_stop` is the axis index, and where on the motor.

        The motors turn in the time of `clock`, if it is given, and else in that of the port.
        """
        self.settings = DEFAULTS | (changes or {})
        self.motor_steps = [0, 0, 0]
        self.pulses = 0
        self.state = "Idle"
        self.options = "V"
        self.cancel_comes_late = False
        """Make the next cancel of a jog be taken up just after the jog has ended."""
        self._end_stop = end_stop
        self._position = [0, 0, 0]
        self._clock = clock
        self._motor_s = 0.0
        self._now_s = 0.0
        self._busy_until_s = 0.0

    # What the port calls

    def reset(self, send: Callable[[bytes], None]) -> None:
        self._send = send
        self._position = [0, 0, 0]
        self._busy_until_s = 0.0
        self.state = "Alarm" if self.settings[22] else "Idle"
        self._motion: Motion | None = None
        self._restart()

    def receive(self, code: int) -> None:
        """Do what the interrupt for a received byte does."""
        if code == 0x18:
            self._kill(3)
        elif code in b"?~!":
            self._flags.add(chr(code))
        elif code == 0x85:
            if self.state == "Jog":
                self._flags.add("late cancel" if self.cancel_comes_late else "cancel")
        elif code < 0x80 and len(self._received) < RX_BUFFER:
            self._received.append(code)

    def tick(self, now_s: float) -> None:
        """Do what the stepper interrupt and the main loop do."""
        motor_s = now_s if self._clock is None else self._clock.now_s()
        elapsed_s, self._motor_s = motor_s - self._motor_s, motor_s
        self._now_s = now_s
        if self._motion is not None:
            self._step(self._motion.advance(elapsed_s))
        if now_s < self._busy_until_s:
            return
        self._execute_realtime()
        while self._received and not self._suspended and not self._homing:
            if now_s < self._busy_until_s:
                return
            self._take(self._received.popleft())
            self._execute_realtime()

    # What a test may do to it

    @property
    def moving(self) -> bool:
        return self._motion is not None

    def trip_hard_limit(self) -> None:
        """Close an end stop in the middle of things."""
        self._kill(1)

    # Inside

    def _restart(self) -> None:
        self._flags: set[str] = set()
        self._alarm: int | None = None
        self._critical = False
        self._suspended = False
        self._cancelling = False
        self._homing: list[Motion] = []
        self._received: deque[int] = deque()
        self._line = ""
        self._wco_in = self._ov_in = 0
        self._sync()
        self._say(BANNER, end="")
        if self.state in ("Alarm", "Sleep"):
            self._say("[MSG:'$H'|'$X' to unlock]")
            self.state = "Alarm"
        else:
            self.state = "Idle"

    def _sync(self) -> None:
        scales = [F(self.settings[100 + axis]) for axis in range(3)]
        self._parsed = [F(at) / scale for at, scale in zip(self._position, scales, strict=True)]

    def _say(self, text: str, end: str = "\r\n") -> None:
        self._send((text + end).encode())

    def _kill(self, alarm: int) -> None:
        if "reset" in self._flags:
            return
        self._flags.add("reset")
        if self._motion is not None or alarm == 1:
            self._alarm = 6 if self.state == "Home" and alarm == 3 else alarm
        self._motion = None

    def _step(self, steps: int) -> None:
        motion = self._motion
        assert motion is not None
        if self._homing:
            steps = self._steps_to_end_stop(motion, steps)
        self.motor_steps[self._axis] += motion.direction * steps
        self._position[self._axis] += motion.direction * steps
        self.pulses += steps
        if motion.at_rest:
            self._motion = None
            self._flags.add("cycle stop")
            if self.settings[1] != 255:  # waits in the interrupt, then lets the motor go
                self._busy_until_s = self._now_s + self.settings[1] / 1000

    def _execute_realtime(self) -> None:
        flags, self._flags = self._flags, set()
        if self._alarm is not None:
            self.state = "Alarm"
            self._say(f"ALARM:{self._alarm}")
            self._busy_until_s = self._now_s + ALARM_DELAY_S
            self._critical = self._alarm in (1, 2)
            if self._critical:
                self._say("[MSG:Reset to continue]")
                flags.discard("reset")
            self._alarm = None
            self._flags = flags & {"reset"}
            return
        if "reset" in flags:
            self._restart()
            return
        if self._critical:
            return  # deaf, but for a reset
        if "?" in flags and not self._homing:
            self._report()
        if flags & {"!", "cancel"}:
            self._hold(flags)
        if "~" in flags and not flags & {"!", "cancel"}:
            self._resume()
        if "cycle stop" in flags:
            self._cycle_stopped()
        if "late cancel" in flags:
            if self._motion is None:
                self.cancel_comes_late = False
                self._hold({"cancel"})
            else:
                self._flags.add("late cancel")

    def _hold(self, flags: set[str]) -> None:
        if self.state == "Alarm":
            return
        if self.state == "Jog":
            self._cancelling = True
            if self._motion is not None:
                self._motion.holding = True
        elif self.state == "Idle":
            self._suspended = True  # with a cancel, too: reports Idle, and executes nothing
            if "!" in flags:
                self.state = "Hold:0"

    def _resume(self) -> None:
        if self.state in ("Idle", "Hold:0"):
            self._suspended = False
            self.state = "Idle"

    def _cycle_stopped(self) -> None:
        if self._homing:
            self._homing_leg_ended()
            return
        if self._cancelling:
            self._sync()
            self._cancelling = False
        if self.state == "Jog":
            self.state = "Idle"

    def _report(self) -> None:
        inches = bool(self.settings[13])
        decimals = 4 if inches else 3
        values = []
        for axis, at in enumerate(self._position):
            value = F(at) / F(self.settings[100 + axis])
            values.append(print_float(value / MM_PER_INCH if inches else value, decimals))
        kind = "MPos" if int(self.settings[10]) & 1 else "WPos"
        text = f"<{self.state}|{kind}:{','.join(values)}|FS:{120 if self.moving else 0},0"
        if self._wco_in > 0:
            self._wco_in -= 1
        else:
            self._wco_in = 9 if self.moving else 29
            self._ov_in = self._ov_in or 1
            zero = print_float(F(0), decimals)
            text += f"|WCO:{zero},{zero},{zero}"
        if self._ov_in > 0:
            self._ov_in -= 1
        else:
            self._ov_in = 9 if self.moving else 19
            text += "|Ov:100,100,100"
        self._say(text + ">")

    def _take(self, code: int) -> None:
        if code not in b"\r\n":
            if code > 32 and len(self._line) < 80:
                self._line += chr(code).upper()
            return
        line, self._line = self._line, ""
        error = self._execute(line)
        if error is not None:
            self._say(f"error:{error}" if error else "ok")

    def _execute(self, line: str) -> int | None:
        """Return the error number, 0 for ok, or None where the answer comes later."""
        if not line:
            return 0
        if not line.startswith("$"):
            return 9 if self.state in ("Alarm", "Jog") else 20
        if line.startswith("$J"):
            if self.state not in ("Idle", "Jog"):
                return 8
            return self._jog(line[3:]) if line[2:3] == "=" else 3
        if line == "$$":
            return self._print_settings()
        if line == "$X":
            if self.state == "Alarm":
                self._say("[MSG:Caution: Unlocked]")
                self.state = "Idle"
            return 0
        if self.state not in ("Idle", "Alarm"):
            return 8
        if line == "$I":
            self._say(f"[VER:1.1h.20190830:]\r\n[OPT:{self.options},15,128]")
            return 0
        if line.startswith("$H"):
            return self._home(line[2:])
        if match := re.fullmatch(r"\$(\d+)=([\d.]+)", line):
            self.settings[int(match[1])] = float(match[2])
            return 0
        return 3

    def _print_settings(self) -> int:
        for number, value in sorted(self.settings.items()):
            text = str(int(value)) if number in WHOLE else print_float(F(value), 3)
            self._say(f"${number}={text}")
        return 0

    def _jog(self, text: str) -> int:
        words: dict[str, np.float32] = {}
        modes: set[int] = set()
        while text:
            letter, number = text[0], read_float(text[1:])
            if not letter.isalpha():
                return 1
            if number is None:
                return 2
            value, length = number
            text = text[1 + length :]
            if letter == "G":
                if int(value) not in (20, 21, 53, 90, 91):
                    return 16
                modes.add(int(value))
            elif letter in "XYZF" and letter not in words:
                words[letter] = value
            else:
                return 25 if letter in words else 20
        if "F" not in words:
            return 22
        targets = list(self._parsed)
        for axis, letter in enumerate("XYZ"):
            if letter in words:
                value = words[letter] * (MM_PER_INCH if 20 in modes else F(1))
                relative = 91 in modes and 53 not in modes
                targets[axis] = value + self._parsed[axis] if relative else value
        if self.settings[20] and any(
            target > 0 or target < -self.settings[130 + axis] for axis, target in enumerate(targets)
        ):
            return 15
        self._plan(targets, max(float(words["F"]), 1.0))
        return 0

    def _plan(self, targets: list[np.float32], feed_mm_per_min: float) -> None:
        assert self._motion is None, "this emulator queues one jog at a time"
        self._parsed = targets
        for axis, target in enumerate(targets):
            scale = self.settings[100 + axis]
            length = to_steps(target, F(scale)) - self._position[axis]
            if length:
                self._axis = axis
                self._motion = self._run(axis, length, feed_mm_per_min)
                self.state = "Jog"

    def _run(self, axis: int, length: int, feed_mm_per_min: float) -> Motion:
        scale = self.settings[100 + axis]
        rate = min(feed_mm_per_min, self.settings[110 + axis])
        sign = 1 if length > 0 else -1
        return Motion(abs(length), sign, rate / 60 * scale, self.settings[120 + axis] * scale)

    def _home(self, axes: str) -> int | None:
        if not self.settings[22]:
            return 5
        if axes and "H" not in self.options:
            return 3
        assert self._end_stop is not None
        self._axis = axis = self._end_stop[0]
        scale = self.settings[100 + axis]
        reach, back = (
            round(1.5 * self.settings[130 + axis] * scale),
            round(self.settings[27] * scale),
        )
        sign = -1 if int(self.settings[23]) >> axis & 1 else 1
        seek, feed = self.settings[25], self.settings[24]
        self._homing = [
            self._run(axis, sign * reach, seek),
            self._run(axis, -sign * back, seek),
            self._run(axis, sign * 5 * back, feed),
            self._run(axis, -sign * back, seek),
        ]
        self._motion = self._homing[0]
        self.state = "Home"
        return None

    def _steps_to_end_stop(self, motion: Motion, steps: int) -> int:
        approaching = len(self._homing) % 2 == 0
        assert self._end_stop is not None
        left = (self._end_stop[1] - self.motor_steps[self._axis]) * motion.direction
        if approaching and steps >= left:
            motion.done = motion.length
            self._found_end_stop = True
            return max(left, 0)
        if approaching:
            self._found_end_stop = False
        return steps

    def _homing_leg_ended(self) -> None:
        if len(self._homing) % 2 == 0 and not self._found_end_stop:
            self._homing = []
            self._alarm = 9
            self._flags.add("reset")
            return
        self._homing.pop(0)
        if self._homing:
            self._motion = self._homing[0]
            return
        axis, scale = self._axis, self.settings[100 + self._axis]
        travel, back = self.settings[130 + axis], self.settings[27]
        at_low = int(self.settings[23]) >> axis & 1
        self._position[axis] = round((back - travel if at_low else -back) * scale)
        self._sync()
        self.state = "Idle"
        self._say("ok")
