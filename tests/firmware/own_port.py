"""A serial line that brings its own board."""

from pathlib import Path

from firmware.pty_port import Firmware, PtyPort
from hw.clock import WallClock
from hw.serial_line import SerialLine

BAUD = 4_000_000  # for conversations by the thousand


class OwnPort(SerialLine):
    """Port and board have a thread only while the line is open; the firmware's memory stays."""

    def __init__(self, firmware: Firmware, folder: Path) -> None:
        super().__init__(str(folder / "board"), baud=BAUD, clock=WallClock())
        self._firmware = firmware
        self._folder = folder
        self._own: PtyPort | None = None

    def open(self) -> None:
        if not self.connected:
            self._own = PtyPort(self._firmware, self._folder, baud=BAUD, boot_s=0.0)
        super().open()

    def close(self) -> None:
        super().close()
        own, self._own = self._own, None
        if own is not None:
            own.close()
