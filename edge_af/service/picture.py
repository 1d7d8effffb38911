"""The latest picture: camera and model are looked over the shoulder."""

import math
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Self

import numpy as np

from edge_af.classifier import Sight
from edge_af.routines.ports import Observer
from edge_af.scale import DefocusScale
from edge_af.service.models import Belief, Picture, SeenTile
from edge_af.tiles import SAME_PITCH
from hw.camera import Camera, Frame

_RATE_OVER_S = 2.0
_PLOT_UM = 0.1


class Gallery:
    """Keeps the latest frame, and what the model said of it. Thread-safe."""

    def __init__(self) -> None:
        self._latest: Picture | None = None
        self._count = 0
        self._taken_s: deque[float] = deque(maxlen=100)
        self._watchers = 0
        self._lock = threading.Lock()

    @property
    def latest(self) -> Picture | None:
        """The latest picture."""
        return self._latest

    @property
    def watched(self) -> bool:
        """Whether anyone wants frames to flow."""
        return self._watchers > 0

    @property
    def frames_per_s(self) -> float:
        """How many frames a second were taken lately."""
        since_s = time.monotonic() - _RATE_OVER_S
        with self._lock:
            return sum(at_s > since_s for at_s in self._taken_s) / _RATE_OVER_S

    @contextmanager
    def watch(self, wake: Callable[[], None]) -> Iterator[None]:
        """Want frames to flow, while in it."""
        with self._lock:
            self._watchers += 1
        wake()
        try:
            yield
        finally:
            with self._lock:
                self._watchers -= 1

    def hang(self, frame: Frame) -> None:
        """Keep a frame; what was said of the one before is shown until more is said."""
        with self._lock:
            self._count += 1
            self._taken_s.append(time.monotonic())
            before = self._latest
            self._latest = Picture(
                frame.pixels,
                frame.um_per_px,
                frame.exposure_start_s,
                self._count,
                *(
                    ()
                    if before is None
                    else (before.tiles, before.abstained, before.distribution, before.centres_um)
                ),
            )

    def label(
        self, frame: Frame, sight: Sight, scale: DefocusScale, tiles: tuple[SeenTile, ...]
    ) -> None:
        """Keep what the model said of a frame."""
        order = np.argsort(scale.centres_um)
        said = sight.distribution
        with self._lock:
            self._latest = Picture(
                frame.pixels,
                frame.um_per_px,
                frame.exposure_start_s,
                self._count,
                tiles,
                None if sight.abstained is None else str(sight.abstained),
                None if said is None else said[order],
                scale.centres_um[order],
            )


class WatchedCamera:
    """A camera whose frames are hung in the gallery as they are taken."""

    def __init__(self, camera: Camera, gallery: Gallery, beat: Callable[[], None]) -> None:
        """`beat` is called with every frame: whoever waited for it is alive."""
        self._camera = camera
        self._gallery = gallery
        self._beat = beat

    @property
    def um_per_px(self) -> float:
        """Size of one pixel in the specimen plane, in um."""
        return self._camera.um_per_px

    def frame(self, after_s: float = -math.inf, timeout_s: float = 2.0) -> Frame:
        """Return the camera's frame, or raise what it raises."""
        frame = self._camera.frame(after_s, timeout_s)
        self._beat()
        self._gallery.hang(frame)
        return frame

    def __enter__(self) -> Self:
        self._camera.__enter__()
        return self

    def __exit__(self, *error: object) -> None:
        self._camera.__exit__(*error)


class WatchedObserver:
    """A model whose answers are shown beside the frames that they are about."""

    def __init__(
        self,
        observer: Observer,
        gallery: Gallery,
        tell: Callable[[Sight, DefocusScale], None],
    ) -> None:
        """`tell` is called with every answer."""
        self._observer = observer
        self._gallery = gallery
        self._tell = tell

    @property
    def scale(self) -> DefocusScale:
        """The bins of its distributions."""
        return self._observer.scale

    def look(self, frame: Frame) -> Sight:
        """Return the model's answer, or raise what it raises."""
        sight = self._observer.look(frame)
        card = getattr(self._observer, "card", None)
        tiles = () if card is None else _boxes(sight, frame, card.um_per_px, card.tile_px)
        self._gallery.label(frame, sight, self.scale, tiles)
        self._tell(sight, self.scale)
        return sight


def _boxes(sight: Sight, frame: Frame, um_per_px: float, tile_px: int) -> tuple[SeenTile, ...]:
    scale = um_per_px / frame.um_per_px
    if abs(scale - 1) <= SAME_PITCH:
        scale = 1.0
    side_px = round(tile_px * scale)
    return tuple(
        SeenTile(
            (round(left * scale), round(top * scale), side_px, side_px), one.confidence, one.used
        )
        for one in sight.witnesses
        for top, left in [one.corner_px]
    )


def plotted(sight: Sight, scale: DefocusScale, here_um: float) -> Belief | None:
    """Return where one answer puts the focus, seen at `here_um`; None if it was no answer."""
    if sight.distribution is None:
        return None
    ends = scale.range
    defocus_um = np.arange(ends.low_um, ends.high_um + _PLOT_UM / 2, _PLOT_UM)
    # Straight lines between the classes' middles: a line cut up, not so many steps.
    order = scale.ascending
    said = (sight.distribution / scale.widths_um)[order]
    density = np.interp(defocus_um, scale.centres_um[order], said)
    places_um = here_um - defocus_um[::-1]
    return Belief(
        position_um=np.round(places_um, 3).tolist(),
        density=np.round(density[::-1], 5).tolist(),
        here_um=here_um,
    )
