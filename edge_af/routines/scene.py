"""Whether the specimen in view is still the one that was there at the last look, if any is."""

from enum import Enum, auto

import numpy as np
from numpy.typing import NDArray

_BLOCK_PX = 8
"""Noise averages out in blocks of this side."""

_ALIKE = 0.5
"""Correlation of two looks at one field, at the least. On rendered fields it is 0.7 to 0.95 with
6 um of defocus between them, and between different fields at most 0.2."""

_BARE = 0.001
"""Of the log grey: less contrast than this is noise, no field. Clear glass has 0.0005, a cell or
two 11 um out of focus 0.0017 and more."""


class Seen(Enum):
    """What a frame shows, beside those before it."""

    THE_SAME = auto()
    ANOTHER = auto()
    NOTHING = auto()


class Scene:
    """The field as it looked when something was last seen of it."""

    def __init__(self) -> None:
        self._pattern: NDArray[np.float64] | None = None

    def look(self, pixels: NDArray[np.uint8]) -> Seen:
        """Take in a frame, H x W x 3. The first with something in it counts as the same."""
        now = _pattern(pixels)
        if now is None:
            return Seen.NOTHING
        before, self._pattern = self._pattern, now
        if before is None or before.shape != now.shape:
            return Seen.THE_SAME
        return Seen.THE_SAME if (before * now).mean() >= _ALIKE else Seen.ANOTHER


def _pattern(pixels: NDArray[np.uint8]) -> NDArray[np.float64] | None:
    """Return what lies on the light, of mean 0 and deviation 1; None if nothing does.

    The light is the same in every field, and darker towards the corners: a paraboloid is left out.
    """
    rows, columns = (extent // _BLOCK_PX for extent in pixels.shape[:2])
    used = pixels[: rows * _BLOCK_PX, : columns * _BLOCK_PX]
    lines = used.reshape(rows, _BLOCK_PX, columns, _BLOCK_PX * 3).sum(axis=1, dtype=np.uint16)
    log = np.log(lines.mean(axis=2) / _BLOCK_PX + 1)
    down, across = (np.linspace(-1, 1, extent) for extent in log.shape)
    y, x = (axis.ravel() for axis in np.meshgrid(down, across, indexing="ij"))
    light = np.stack([np.ones_like(x), x, y, x * x, x * y, y * y], axis=1)
    rest = log.ravel() - light @ np.linalg.lstsq(light, log.ravel(), rcond=None)[0]
    deviation = float(rest.std())
    return None if deviation < _BARE else rest / deviation
