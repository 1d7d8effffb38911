"""What a camera is to the rest of edge-af."""

from dataclasses import dataclass
from typing import Protocol, Self

import numpy as np
from numpy.typing import NDArray

from hw.errors import HardwareError


@dataclass(frozen=True, slots=True)
class Frame:
    """One exposure.

    `pixels` is H x W x 3, uint8, RGB, read-only. `exposure_start_s` is when the first row began to
    collect light and `exposure_end_s` when the last row ended, on the clock that the stage uses.
    """

    pixels: NDArray[np.uint8]
    exposure_start_s: float
    exposure_end_s: float
    um_per_px: float


class CameraError(HardwareError):
    """The camera failed."""


class CameraStalled(CameraError):
    """No frame came within the time allowed."""


class Camera(Protocol):
    """A source of frames. Connects on enter, releases on exit."""

    @property
    def um_per_px(self) -> float:
        """Size of one pixel in the specimen plane, in um."""
        ...

    def frame(self, after_s: float = float("-inf"), timeout_s: float = 2.0) -> Frame:
        """Return a frame whose exposure began at or after `after_s`.

        Without `after_s` the next frame in the queue is returned, which may be some frames old.
        Raises CameraStalled if none arrives within `timeout_s` of the later of now and `after_s`.
        """
        ...

    def __enter__(self) -> Self: ...

    def __exit__(self, *error: object) -> None: ...
