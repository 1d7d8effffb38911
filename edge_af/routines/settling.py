"""How long after a move the picture goes on changing."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from edge_af.calibration import Measured
from edge_af.routines.ports import FocusStage
from hw.camera import Camera, Frame
from hw.clock import Clock

_WATCHED_S = 0.6
_FEWEST = 8
"""For so long, and for so many frames at least, the picture is watched after a move."""

_AT_REST = 4
"""The last so many of the frames after a move are taken to be at rest, and show the noise."""

_CHANGED = 1.3
"""A picture has changed that differs from rest by this many times what noise makes of it."""

_BLOCK_PX = 4


@dataclass(frozen=True, slots=True)
class Aftermath:
    """Frames after one move: when each began, in s after the last step, and whether it was still.

    Rising times; the last is still by definition.
    """

    delays_s: tuple[float, ...]
    still: tuple[bool, ...]


def watch(
    camera: Camera, stage: FocusStage, clock: Clock, targets_um: Sequence[float], timeout_s: float
) -> Measured:
    """Move to each target in turn and return the settle time. Raises HardwareError.

    Frames are taken from the last step on, settled or not: that is what is to be found out.
    """
    aftermaths, period_s = [], 0.0
    for target_um in targets_um:
        stage.move_to_um(target_um)
        stopped_s = clock.now_s()
        frames: list[Frame] = []
        after_s = stopped_s
        while len(frames) < _FEWEST or after_s < stopped_s + _WATCHED_S:
            frames.append(camera.frame(after_s, timeout_s))
            after_s = math.nextafter(frames[-1].exposure_start_s, math.inf)
        starts_s = [frame.exposure_start_s for frame in frames]
        period_s = max(period_s, float(np.median(np.diff(starts_s))))
        aftermaths.append(
            Aftermath(
                tuple(start_s - stopped_s for start_s in starts_s),
                tuple(still([frame.pixels for frame in frames])),
            )
        )
    return settle_time(aftermaths, period_s)


def still(pictures: Sequence[NDArray[np.uint8]]) -> list[bool]:
    """Tell which of successive pictures (H x W x 3) look like the last ones, noise apart."""
    blocks = np.array([_blocks(pixels) for pixels in pictures])
    rest = blocks[-_AT_REST:]
    # Against the others at rest: a picture must not be compared with itself.
    noise = max(
        float(np.abs(one - np.delete(rest, index, axis=0).mean(axis=0)).mean())
        for index, one in enumerate(rest)
    )
    off = np.abs(blocks - rest.mean(axis=0)).mean(axis=1)
    quiet = off <= _CHANGED * noise
    last_change = int(np.flatnonzero(~quiet).max(initial=-1))
    return [index > last_change for index in range(len(pictures))]


def settle_time(aftermaths: Sequence[Aftermath], period_s: float) -> Measured:
    """Return the delay from which on every frame was still, and how well frames can tell.

    What frames a period apart cannot tell is spread evenly over that period: sigma is its length
    over sqrt 12.
    """
    changing_s = [
        delay_s
        for one in aftermaths
        for delay_s, quiet in zip(one.delays_s, one.still, strict=True)
        if not quiet
    ]
    moved_until_s = max(changing_s, default=0.0)
    later_s = [delay_s for one in aftermaths for delay_s in one.delays_s if delay_s > moved_until_s]
    rested_from_s = min(later_s, default=moved_until_s + period_s)
    sigma_s = max(period_s, rested_from_s - moved_until_s) / np.sqrt(12)
    return Measured(value=rested_from_s, uncertainty=float(sigma_s))


def _blocks(pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Return the green means of blocks, flat: far less noisy than pixels."""
    rows, cols = (extent // _BLOCK_PX for extent in pixels.shape[:2])
    green = pixels[: rows * _BLOCK_PX, : cols * _BLOCK_PX, 1].astype(np.float32)
    means = green.reshape(rows, _BLOCK_PX, cols, _BLOCK_PX).mean(axis=(1, 3))
    return np.asarray(means.ravel(), np.float32)
