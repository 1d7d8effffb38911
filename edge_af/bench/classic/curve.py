"""Sharpness against position: what search methods measure, and where its peak is."""

import math
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from edge_af.routines import hill
from edge_af.routines.ports import Desk
from edge_af.sharpness import tenengrad

Measure = Callable[[NDArray[np.uint8]], float]


_FLANKS = (-2.5, -1.25, 1.25, 2.5)
"""In depths of field from the best place: where a thick section's two flanks are seen. Nearer to
the top is only which of its depths holds the finest detail."""

_NEAR = 0.5
"""In depths of field: a place that near to one seen would tell nothing new."""


class SharpnessCurve:
    """Sharpness by counted position in um; a place is visited once."""

    def __init__(self, desk: Desk, measure: Measure = tenengrad) -> None:
        self._desk = desk
        self._measure = measure
        self.seen: dict[float, float] = {}

    def at(self, target_um: float) -> float:
        """Go to `target_um`, or as near as the stage may, and return how sharp it is there."""
        stage = self._desk.stage
        stage.move_to_um(stage.reachable.clip(target_um))
        here_um = stage.position_um
        if here_um not in self.seen:
            self.seen[here_um] = self._measure(self._desk.view.frame().pixels)
        return self.seen[here_um]

    @property
    def best_um(self) -> float:
        """The sharpest place seen."""
        return max(self.seen, key=self.seen.__getitem__)

    def top_um(self) -> float:
        """Look at both flanks of the best place, and return where the top between them is.

        That of a parabola through the inverse sharpness of the places there. Where it has none,
        that through the logarithm of the best place and its neighbours; the best place itself where
        it is the first or last.
        """
        best_um, depth_um = self.best_um, self._desk.settings.depth_of_field_um
        for flank in _FLANKS:
            place_um = best_um + flank * depth_um
            seen = any(abs(place_um - um) < _NEAR * depth_um for um in self.seen)
            if not seen and self._desk.stage.reachable.contains(place_um):
                self.at(place_um)
        reach_um = (_FLANKS[-1] + _NEAR) * depth_um
        near = {um: held for um, held in self.seen.items() if abs(um - best_um) <= reach_um}
        top_um = hill.vertex_um(near, beyond_um=0.0) if len(near) > 2 else None
        return vertex_um(self.seen) if top_um is None else top_um


def vertex_um(curve: dict[float, float]) -> float:
    """Return where a Gaussian through the highest point and its two neighbours has its top."""
    places_um = sorted(curve)
    top = max(range(len(places_um)), key=lambda index: curve[places_um[index]])
    if not 0 < top < len(places_um) - 1:
        return places_um[top]
    left_um, middle_um, right_um = places_um[top - 1 : top + 2]
    left, middle, right = (math.log(curve[um]) for um in (left_um, middle_um, right_um))
    rise = (middle - left) / (middle_um - left_um)
    fall = (right - middle) / (right_um - middle_um)
    if rise <= fall:
        return middle_um
    slope_um = (left_um + middle_um) / 2, (middle_um + right_um) / 2
    return slope_um[0] + (slope_um[1] - slope_um[0]) * rise / (rise - fall)


def binned(factor: int) -> Measure:
    """Return a sharpness measure that looks at blocks of `factor` x `factor` px.

    Coarse structure blurs later than fine, and noise averages out: the peak is wider and can be
    felt from further off.
    """

    def measure(pixels: NDArray[np.uint8]) -> float:
        rows, columns = (extent // factor for extent in pixels.shape[:2])
        green = pixels[: rows * factor, : columns * factor, 1].astype(np.float32)
        blocks = green.reshape(rows, factor, columns, factor).mean(axis=(1, 3))
        across, down = np.diff(blocks, axis=1), np.diff(blocks, axis=0)
        return float(np.mean(across**2) + np.mean(down**2)) / max(float(blocks.mean()), 1.0) ** 2

    return measure
