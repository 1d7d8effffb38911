"""Procedural specimens: H&E tissue, blood smear, sparse and empty fields; seeded, unlimited.

Lengths are drawn in um and turned into pixels, so that a specimen keeps its size at any pitch.
Stain vectors vary about those that Ruifrok & Johnston (2001) published for H&E.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from hw.virtual.specimen import Layer, Specimen, from_layers
from hw.virtual.texture import (
    Map,
    ellipse_radius,
    fibre_noise,
    fractal_noise,
    smooth_noise,
    soft_step,
    stamp,
)

Stain = tuple[float, float, float]

HAEMATOXYLIN: Stain = (0.65, 0.70, 0.29)
EOSIN: Stain = (0.10, 0.95, 0.28)
HAEMOGLOBIN: Stain = (0.12, 0.75, 0.90)


@dataclass(frozen=True)
class Canvas:
    """Where a specimen is drawn: its random source, frame and pitch."""

    rng: np.random.Generator
    shape_px: tuple[int, int]
    um_per_px: float

    def px(self, low_um: float, high_um: float) -> float:
        """Draw a length between two values in um; return it in pixels."""
        return float(self.rng.uniform(low_um, high_um)) / self.um_per_px

    def place(self) -> tuple[float, float]:
        """Draw a point of the frame, row and column in pixels."""
        y, x = self.rng.uniform(0, 1, 2) * self.shape_px
        return float(y), float(x)

    def count(self, low_per_mm2: float, high_per_mm2: float) -> int:
        """Draw how many objects of a given density the frame holds."""
        area_mm2 = self.shape_px[0] * self.shape_px[1] * (self.um_per_px * 1e-3) ** 2
        return int(self.rng.poisson(self.rng.uniform(low_per_mm2, high_per_mm2) * area_mm2))

    def blank(self) -> Map:
        """Return an empty density map."""
        return np.zeros(self.shape_px, np.float32)

    def stain(self, mean: Stain, strength: float, spread: float = 0.2) -> Stain:
        """Draw a stain about `mean`: slides differ in hue and strength."""
        drawn = np.asarray(mean) * np.exp(self.rng.normal(0, spread, 3)) * strength
        return float(drawn[0]), float(drawn[1]), float(drawn[2])


def nuclei(canvas: Canvas, count: int, chromatin: Map) -> Map:
    """Return the density of so many nuclei, their inside as lumpy as `chromatin` says."""
    rng = canvas.rng
    density = canvas.blank()
    edge = rng.uniform(0.06, 0.25)
    for _ in range(count):
        radius_px = canvas.px(2.2, 4.5)
        axes_px = (radius_px, radius_px * rng.uniform(0.45, 1.0))
        radius = ellipse_radius(
            axes_px, rng.uniform(0, np.pi), (rng.uniform(0, 0.12), rng.uniform(0, 2 * np.pi))
        )
        body = soft_step(1 - radius, edge)
        rim = np.exp(-(((radius - 0.92) / 0.12) ** 2)) * rng.uniform(0.0, 0.6)
        stamp(density, body * np.float32(rng.uniform(0.5, 1.2)) + rim * body, canvas.place())
    clumps = np.maximum(0.15, 1 + chromatin * np.float32(rng.uniform(0.15, 0.5)))
    return np.asarray(density * clumps, np.float32)


def red_cells(canvas: Canvas, count: int) -> Map:
    """Return the density of so many red cells."""
    rng = canvas.rng
    density = canvas.blank()
    for _ in range(count):
        radius_px = canvas.px(3.2, 4.1)
        radius = ellipse_radius(
            (radius_px, radius_px * rng.uniform(0.8, 1.0)),
            rng.uniform(0, np.pi),
            (rng.uniform(0, 0.06), rng.uniform(0, 2 * np.pi)),
        )
        pallor = 1 - rng.uniform(0.2, 0.8) * np.exp(-((radius / rng.uniform(0.35, 0.6)) ** 2))
        disc = soft_step(1 - radius, rng.uniform(0.05, 0.15)) * pallor.astype(np.float32)
        stamp(density, disc * np.float32(rng.uniform(0.7, 1.1)), canvas.place())
    return density


def tilt_um(canvas: Canvas) -> Map:
    """Draw a tilt of up to 1 um across the frame."""
    across_um, angle = canvas.rng.uniform(0, 1.0), canvas.rng.uniform(0, 2 * np.pi)
    y = np.linspace(-0.5, 0.5, canvas.shape_px[0], dtype=np.float32)[:, None]
    x = np.linspace(-0.5, 0.5, canvas.shape_px[1], dtype=np.float32)[None, :]
    return np.asarray(np.float32(across_um) * (np.sin(angle) * y + np.cos(angle) * x), np.float32)


def relief_um(canvas: Canvas, thickness_um: float) -> Map:
    """Draw how deep a structure runs: through the whole section, up and down every few um."""
    noise = smooth_noise(canvas.rng, canvas.shape_px, canvas.px(3, 8))
    return np.asarray(np.clip(noise / 3, -0.5, 0.5) * np.float32(thickness_um), np.float32)


def tissue(canvas: Canvas) -> Specimen:
    """Return an H&E section: cytoplasm, fibres, lumina, nuclei and red cells at all its depths."""
    rng, shape = canvas.rng, canvas.shape_px
    thickness_um = rng.uniform(0, 4)

    def layer(density: Map, stain: Stain) -> Layer:
        return Layer(density, stain, relief_um(canvas, thickness_um))

    coverage = rng.uniform(-0.3, 1.8)
    section = soft_step(smooth_noise(rng, shape, canvas.px(8, 30)) + np.float32(coverage), 0.1)
    grain = fractal_noise(rng, shape, rng.uniform(0.8, 1.8), canvas.px(1.5, 12))
    body = section * np.maximum(0.05, 1 + np.float32(rng.uniform(0.15, 0.5)) * grain)
    layers = [layer(body, canvas.stain(EOSIN, rng.uniform(0.1, 0.45)))]
    for _ in range(rng.integers(1, 3)):
        strands = fibre_noise(
            rng, shape, rng.uniform(0, np.pi), canvas.px(8, 40), canvas.px(0.3, 1.2)
        )
        fibres = soft_step(strands - np.float32(rng.uniform(0.6, 1.6)), 0.3) * section
        layers.append(layer(fibres, canvas.stain(EOSIN, rng.uniform(0.1, 0.5))))
    chromatin = fractal_noise(rng, shape, rng.uniform(0.8, 1.6), canvas.px(0.5, 2))
    cells = nuclei(canvas, canvas.count(1000, 9000), chromatin) * (0.15 + 0.85 * section)
    layers.append(layer(cells, canvas.stain(HAEMATOXYLIN, rng.uniform(0.4, 1.1))))
    if rng.random() < 0.4:
        red = red_cells(canvas, canvas.count(100, 1500))
        layers.append(layer(red, canvas.stain(HAEMOGLOBIN, rng.uniform(0.2, 0.6))))
    return from_layers(layers, tilt_um(canvas), "tissue")


def smear(canvas: Canvas) -> Specimen:
    """Return a blood smear: red cells, now and then a white one, on clear glass."""
    rng = canvas.rng
    red = red_cells(canvas, canvas.count(800, 9000))
    texture = fractal_noise(rng, canvas.shape_px, 1.2, canvas.px(1, 6))
    red *= np.maximum(0.3, 1 + np.float32(rng.uniform(0.02, 0.15)) * texture)
    haemoglobin = canvas.stain(HAEMOGLOBIN, rng.uniform(0.15, 0.5))
    layers = [Layer(red, haemoglobin, 0.0)]
    chromatin = fractal_noise(rng, canvas.shape_px, 1.2, canvas.px(0.5, 2))
    white = nuclei(canvas, canvas.count(0, 200), chromatin)
    if white.any():
        stain = canvas.stain(HAEMATOXYLIN, rng.uniform(0.5, 1.0))
        layers.append(Layer(white, stain, float(rng.uniform(-0.5, 0.5))))
    return from_layers(layers, tilt_um(canvas), "smear")


def sparse(canvas: Canvas) -> Specimen:
    """Return one or two cells and nothing else."""
    rng = canvas.rng
    chromatin = fractal_noise(rng, canvas.shape_px, 1.2, canvas.px(0.5, 2))
    layers = []
    for _ in range(rng.integers(1, 3)):
        if rng.random() < 0.5:
            cell = red_cells(canvas, 1)
            stain = canvas.stain(HAEMOGLOBIN, rng.uniform(0.25, 0.5))
        else:
            cell = nuclei(canvas, 1, chromatin)
            stain = canvas.stain(HAEMATOXYLIN, rng.uniform(0.5, 1.0))
        layers.append(Layer(cell, stain, float(rng.uniform(-0.5, 0.5))))
    return from_layers(layers, tilt_um(canvas), "sparse")


def empty(canvas: Canvas) -> Specimen:
    """Return clear glass."""
    return Specimen(np.zeros(1), np.zeros((1, 3, *canvas.shape_px), np.float32), "empty")


KINDS: dict[str, Callable[[Canvas], Specimen]] = {
    "tissue": tissue,
    "smear": smear,
    "sparse": sparse,
    "empty": empty,
}


def draw_specimen(
    seed: int, kind: str, shape_px: tuple[int, int] = (480, 640), um_per_px: float = 0.35
) -> Specimen:
    """Return the specimen of a kind and seed; the same seed gives the same pixels."""
    rng = np.random.default_rng([seed, list(KINDS).index(kind)])
    return KINDS[kind](Canvas(rng, shape_px, um_per_px))
