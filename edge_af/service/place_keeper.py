"""Where the axis stands, kept for after a restart; seldom, for SD cards wear."""

import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

from edge_af.errors import UserError
from edge_af.state_file import Place, boot_id, write_place

WRITE_EVERY_S = 600.0


class PlaceKeeper:
    """Writes the position at most every WRITE_EVERY_S while in use, and at an orderly end."""

    def __init__(self, warn: Callable[[str], None]) -> None:
        """`warn` is told, once, if it cannot be written: no reason not to work."""
        self._warn = warn
        self._warned = False
        self._written: tuple[float, bool] | None = None
        self._written_s = 0.0

    def opened(self, folder: Path, position_um: float, trusted: bool) -> None:
        """Note that the axis is in use from here on: after a crash it may stand elsewhere."""
        if self._written is None:
            self._write(folder, position_um, trusted, closed=False)

    def note(self, folder: Path, position_um: float, trusted: bool) -> None:
        """Write where the axis rests, if that is news and the last time is long ago."""
        rested_s = time.monotonic() - self._written_s
        if (position_um, trusted) != self._written and rested_s >= WRITE_EVERY_S:
            self._write(folder, position_um, trusted, closed=False)

    def closed(self, folder: Path, position_um: float, trusted: bool) -> None:
        """Write where the axis was left."""
        self._write(folder, position_um, trusted, closed=True)

    def _write(self, folder: Path, position_um: float, trusted: bool, *, closed: bool) -> None:
        self._written, self._written_s = (position_um, trusted), time.monotonic()
        place = Place(
            position_um=position_um,
            trusted=trusted,
            closed=closed,
            boot=boot_id(),
            at=datetime.now(UTC),
        )
        try:
            write_place(folder, place)
        except UserError as error:
            if not self._warned:
                self._warn(f"the position will not survive a restart: {error}")
            self._warned = True
