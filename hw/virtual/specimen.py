"""A specimen as what it absorbs, plane by plane; where it lies in depth is part of it."""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from hw.virtual.fourier import rfft2

PLANE_SPACING_UM = 1.0
"""About one depth of field at NA 0.75: finer planes would not be told apart."""

CONTENT_FLOOR = 0.01
"""Standard deviation of green transmission below which an area holds nothing to focus on; and its
full range below which a whole field is empty."""


@dataclass(frozen=True)
class Layer:
    """One stained structure: where it absorbs, in which colours, and how deep it lies.

    `density` is H x W, or 3 x H x W where it differs between colours, float32, >= 0; `stain` is
    the optical density per unit density of red, green and blue; `depth_um` a scalar or an H x W
    map.
    """

    density: NDArray[np.float32]
    stain: tuple[float, float, float]
    depth_um: float | NDArray[np.float32]


class Area(NamedTuple):
    """What a rectangle of a specimen holds: at what depth it is best in focus, and how much.

    `content` is the standard deviation of the in-focus green transmission.
    """

    depth_um: float
    content: float


class Specimen:
    """Absorption per depth plane and colour, with depth 0 where the whole is best in focus.

    To first order in each plane, what planes absorb adds up: in focus everywhere it is exactly
    Beer-Lambert. `absorbed` is K x 3 x H x W, float32, 0 to 1; `planes_um` holds the K depths.
    """

    def __init__(
        self, planes_um: NDArray[np.float64], absorbed: NDArray[np.float32], kind: str
    ) -> None:
        self.kind = kind
        self.spectra = rfft2(absorbed)
        green = absorbed[:, 1]
        self._green = green.sum(axis=0)
        self._detail = np.zeros_like(green)
        for axis in (0, 1):
            gradient = np.roll(self._green, -1, axis) - self._green
            self._detail += (np.roll(green, -1, axis + 1) - green) * gradient
        self.planes_um = planes_um
        self.planes_um = planes_um - self.area(0, 0, *self.shape_px).depth_um

    @property
    def shape_px(self) -> tuple[int, int]:
        """Height and width; the specimen repeats beyond them."""
        return self._green.shape[0], self._green.shape[1]

    @property
    def empty(self) -> bool:
        """Whether nothing anywhere differs from what surrounds it.

        By range, not deviation: one cell in a wide field is something to focus on.
        """
        return float(np.ptp(self._green)) < CONTENT_FLOOR

    def flattened(self) -> "Specimen":
        """Return one that absorbs the same in focus, all of it at depth 0."""
        absorbed = np.fft.irfft2(self.spectra.sum(axis=0), s=self.shape_px).astype(np.float32)
        return Specimen(np.zeros(1), absorbed[None], self.kind)

    def area(self, top_px: int, left_px: int, height_px: int, width_px: int) -> Area:
        """Return what a rectangle holds; it may reach past the edges, where the field repeats.

        Its depth is the mean of the planes, each weighted by its part in the energy of the green
        gradient: detail, not amount, for an even stain blurs into itself and says nothing about
        focus. The part is linear in what a plane absorbs, as is the share that planes have in
        what lies between them.
        """
        rows = np.arange(top_px, top_px + height_px) % self.shape_px[0]
        columns = np.arange(left_px, left_px + width_px) % self.shape_px[1]
        where = np.ix_(rows, columns)
        weights = np.array([float(detail[where].sum()) for detail in self._detail])
        total = weights.sum()
        depth_um = float(self.planes_um @ weights / total) if total > 0 else 0.0
        return Area(depth_um, float(self._green[where].std()))


def from_layers(layers: list[Layer], tilt_um: NDArray[np.float32] | float, kind: str) -> Specimen:
    """Lay `layers`, tilted by `tilt_um` (H x W or scalar), into planes and absorb by Beer-Lambert.

    Each density is shared between the two planes around its depth, in proportion.
    """
    depths = [np.asarray(layer.depth_um + tilt_um, np.float32) for layer in layers]
    lowest = min(float(depth.min()) for depth in depths)
    highest = max(float(depth.max()) for depth in depths)
    count = int(np.ceil((highest - lowest) / PLANE_SPACING_UM)) + 1
    planes_um = lowest + PLANE_SPACING_UM * np.arange(count, dtype=np.float64)
    height_px, width_px = layers[0].density.shape[-2:]
    density = np.zeros((count, 3, height_px, width_px), np.float32)
    for layer, depth in zip(layers, depths, strict=True):
        at = (depth - lowest) / PLANE_SPACING_UM
        for plane in range(count):
            share = np.maximum(0.0, 1 - np.abs(at - plane), dtype=np.float32)
            if share.any():
                part = np.broadcast_to(layer.density * share, density.shape[1:])
                for colour in range(3):
                    density[plane, colour] += part[colour] * np.float32(layer.stain[colour])
    total = density.sum(axis=0)
    absorbed_share = np.zeros_like(total)
    np.divide(1 - 10.0**-total, total, out=absorbed_share, where=total > 0)
    return Specimen(planes_um, density * absorbed_share, kind)
