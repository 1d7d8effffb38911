"""A pseudo-terminal that behaves like a board's serial port: paced, reset on open, unpluggable."""

import contextlib
import os
import select
import termios
import threading
import time
import tty
from collections import deque
from collections.abc import Callable
from pathlib import Path
from typing import Protocol

from firmware.open_watch import OpenWatch

BITS_PER_BYTE = 10  # start, eight, stop
TICK_S = 0.0005


class Firmware(Protocol):
    """What runs on the board. All its methods are called by the port's one thread."""

    def reset(self, send: Callable[[bytes], None]) -> None:
        """Begin anew, as after power-up; `send` puts bytes on the wire from now on."""

    def receive(self, code: int) -> None:
        """Take one byte from the wire."""

    def tick(self, now_s: float) -> None:
        """Let what is due by `now_s` happen: steps, timers, the main loop."""


class PtyPort:
    """A firmware behind a pty. `path` is a link to it, and stays when it is plugged in again.

    A pty passes bytes at once, at any baud, and knows no modem lines. So here: bytes take their
    time both ways, another baud than that of the board gives garbage, and each opening resets the
    board, as DTR does (unless `reset_on_open` is false), which is heard after `boot_s`.
    """

    def __init__(
        self,
        firmware: Firmware,
        folder: Path,
        *,
        baud: int = 115200,
        boot_s: float = 0.02,
        reset_on_open: bool = True,
    ) -> None:
        self.firmware = firmware
        self.path = folder / "board"
        self.reset_on_open = reset_on_open
        self.sent: list[int] = []
        """Every byte that left the board since it was made."""
        self.heard: list[int] = []
        """Every byte that the board was given."""
        self.tamper: Callable[[int, int], bytes] = lambda _index, code: bytes([code])
        """Given the index in `sent` and the byte, what really goes over the wire."""
        self.unplug_at_byte: int | None = None
        """The wire is pulled when so many bytes have passed, both ways together."""
        self.baud = baud
        self._boot_s = boot_s
        self._byte_s = BITS_PER_BYTE / baud
        self._out: deque[int] = deque()
        self._in: deque[int] = deque()
        self._out_free_s = self._in_free_s = 0.0
        self._master: int | None = None
        self._watch: OpenWatch | None = None
        self._opened = False
        self._boots_at_s: float | None = None
        self._running = True
        self.lock = threading.RLock()
        """Held while the firmware runs; hold it to touch the firmware."""
        firmware.reset(self._out.extend)
        self._out.clear()  # nobody listens to the banner of the power-up
        self.plug_in()
        self._thread = threading.Thread(target=self._run, name="board", daemon=True)
        self._thread.start()

    def plug_in(self) -> None:
        """Make the port appear (again)."""
        with self.lock:
            if self._master is not None:
                return
            self.unplug_at_byte = None
            self._master, slave = os.openpty()
            os.set_blocking(self._master, False)
            tty.setraw(slave)
            self.path.unlink(missing_ok=True)
            self.path.symlink_to(os.ttyname(slave))
            path = os.ttyname(slave)
            os.close(slave)  # so that the master sees when nobody has it open
            self._watch = OpenWatch(path)
            self._opened = False

    def unplug(self) -> None:
        """Pull the wire. The firmware keeps running: the board has its own supply."""
        with self.lock:
            if self._master is None or self._watch is None:
                return
            os.close(self._master)
            self._watch.close()
            self._master = self._watch = None
            self._in.clear()
            self._out.clear()
            self.path.unlink(missing_ok=True)

    def reset_board(self) -> None:
        """Press the reset button."""
        with self.lock:
            self._boots_at_s = time.monotonic() + self._boot_s

    def close(self) -> None:
        self._running = False
        self._thread.join()
        self.unplug()

    def __enter__(self) -> "PtyPort":
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def _run(self) -> None:
        while self._running:
            with self.lock:
                self._look_at_opening()
                self._take_in()
                self._work(time.monotonic())
                self._put_out()
                master = self._master if self._opened else None
            if master is None or self._in:
                time.sleep(TICK_S)
            else:
                with contextlib.suppress(OSError, ValueError):  # unplugged meanwhile
                    select.select([master], [], [], TICK_S)

    def _look_at_opening(self) -> None:
        if self._master is None or self._watch is None:
            return
        if self._watch.first_opened() and self.reset_on_open:
            self.reset_board()
        poll = select.poll()
        poll.register(self._master, select.POLLIN)
        self._opened = not any(event & select.POLLHUP for _, event in poll.poll(0))

    def _take_in(self) -> None:
        if self._master is None or not self._opened:
            return
        with contextlib.suppress(BlockingIOError, OSError):
            data = os.read(self._master, 4096)
            if not self._in:
                self._in_free_s = max(self._in_free_s, time.monotonic() - TICK_S)
            self._in.extend(data)

    def _work(self, now_s: float) -> None:
        if self._boots_at_s is not None:
            self._in.clear()  # the boot loader eats what comes
            if now_s < self._boots_at_s:
                self.firmware.tick(now_s)
                return
            self._boots_at_s = None
            self._out.clear()
            self.firmware.reset(self._out.extend)
        while self._in and self._in_free_s <= now_s:
            self._in_free_s += self._byte_s
            code = self._in.popleft()
            if self._speed_is_right():
                self.heard.append(code)
                self.firmware.receive(code)
            self._count_byte()
        self.firmware.tick(now_s)

    def _put_out(self) -> None:
        now_s = time.monotonic()
        self._out_free_s = max(self._out_free_s, now_s - 2 * TICK_S)
        while self._out and self._out_free_s <= now_s:
            if self._master is None:
                self._out.clear()
                return
            self._out_free_s += self._byte_s
            code = self._out.popleft()
            data = self.tamper(len(self.sent), code) if self._speed_is_right() else b"\xfe"
            self.sent.append(code)
            if self._opened:
                with contextlib.suppress(OSError):
                    os.write(self._master, data)
            self._count_byte()

    def _count_byte(self) -> None:
        if self.unplug_at_byte is not None:
            self.unplug_at_byte -= 1
            if self.unplug_at_byte <= 0:
                self.unplug()

    def _speed_is_right(self) -> bool:
        if self._master is None:
            return False
        name = f"B{self.baud}"
        return termios.tcgetattr(self._master)[5] == getattr(termios, name)
