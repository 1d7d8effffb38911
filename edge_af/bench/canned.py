"""A camera that has its frame ready, so that what it costs to take one is all that is timed."""

import math
from typing import Self

import numpy as np

from edge_af.card import ModelCard
from hw.camera import Frame
from hw.clock import Clock

FRAME_PX = (480, 640)
"""Height and width of the frame looked at, or the model's tile if that is larger."""

_PERIOD_S = 1 / 30
_GRAIN_PX = 16


class CannedCamera:
    """Gives the same picture again and again, exposed anew each time."""

    def __init__(self, card: ModelCard, clock: Clock) -> None:
        """A picture at the model's own pixel size; what is in it makes no difference."""
        height_px, width_px = (max(extent, card.tile_px) for extent in FRAME_PX)
        rng = np.random.default_rng(0)
        coarse_px = -(-height_px // _GRAIN_PX), -(-width_px // _GRAIN_PX), 3
        coarse = rng.uniform(90, 170, coarse_px).repeat(_GRAIN_PX, 0).repeat(_GRAIN_PX, 1)
        noise = rng.normal(0, 3, (height_px, width_px, 3))
        self._pixels = np.rint(coarse[:height_px, :width_px] + noise).astype(np.uint8)
        self._pixels.setflags(write=False)
        self._clock = clock
        self.um_per_px = card.um_per_px

    def frame(self, after_s: float = -math.inf, timeout_s: float = 2.0) -> Frame:  # noqa: ARG002
        """Return a frame that has just been exposed."""
        start_s = max(self._clock.now_s(), after_s)
        self._clock.wait_until_s(start_s + _PERIOD_S)
        return Frame(self._pixels, start_s, start_s + _PERIOD_S, self.um_per_px)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None: ...
