"""Specimens like no slide in particular: from them a network learns blur, not slides.

Drawn tissue has few textures and few stains; a real one has others. Here structures of any
texture, size, edge and colour lie over each other, and no two colours are equally fine, as after
a scanner or a Bayer pattern. Only training and validation see them.
"""

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from hw.virtual.procedural import (
    EOSIN,
    HAEMATOXYLIN,
    HAEMOGLOBIN,
    Canvas,
    nuclei,
    red_cells,
    relief_um,
    tilt_um,
)
from hw.virtual.specimen import Layer, Specimen, from_layers
from hw.virtual.texture import Map, fibre_noise, fractal_noise, smooth_noise, soft_step, softened

_DIAMINOBENZIDINE = (0.27, 0.57, 0.78)  # Ruifrok & Johnston 2001
_STAINS = (HAEMATOXYLIN, EOSIN, HAEMOGLOBIN, _DIAMINOBENZIDINE)

_THICKEST_UM = 4.0
_COARSEST_UM = 0.4
"""Largest standard deviation by which one colour is softer than it was drawn."""


def draw_assorted(seed: int, shape_px: tuple[int, int], um_per_px: float) -> Specimen:
    """Return the specimen of a seed, H x W px; the same seed gives the same pixels."""
    canvas = Canvas(np.random.default_rng([seed, 1961]), shape_px, um_per_px)
    rng = canvas.rng
    thickness_um = rng.uniform(0, _THICKEST_UM)
    softness_um = rng.uniform(0, _COARSEST_UM) * rng.uniform(0, 1, 3)
    layers = []
    for _ in range(rng.integers(1, 5)):
        density, stain = _structure(canvas), _stain(rng)
        depth_um = relief_um(canvas, thickness_um)
        soft = np.stack([softened(density, sigma_um / um_per_px) for sigma_um in softness_um])
        layers.append(Layer(soft, (float(stain[0]), float(stain[1]), float(stain[2])), depth_um))
    return from_layers(layers, tilt_um(canvas), "assorted")


def _structure(canvas: Canvas) -> Map:
    """Draw one structure: cells of any size, or noise of any slope, flat or cut out."""
    rng, shape = canvas.rng, canvas.shape_px
    texture = rng.integers(4)
    if texture == 0:
        density = _cells(canvas)
    else:
        if texture == 1:
            noise = fractal_noise(rng, shape, rng.uniform(0.4, 2.5), canvas.px(2, 40))
        elif texture == 2:
            noise = smooth_noise(rng, shape, _spread(rng, 0.25, 12) / canvas.um_per_px)
        else:
            across_px = _spread(rng, 0.2, 2) / canvas.um_per_px
            noise = fibre_noise(rng, shape, rng.uniform(0, np.pi), canvas.px(2, 40), across_px)
        if rng.random() < 0.5:
            level, edge = np.float32(rng.uniform(-1.5, 1.5)), _spread(rng, 0.03, 1.5)
            density = soft_step(noise - level, edge)
        else:
            density = np.maximum(0, 1 + np.float32(rng.uniform(0.1, 0.7)) * noise)
    if rng.random() < 0.5:
        where = smooth_noise(rng, shape, canvas.px(5, 30)) + np.float32(rng.uniform(-1, 1.5))
        density = density * soft_step(where, _spread(rng, 0.03, 0.5))
    return np.asarray(density, np.float32)


def _cells(canvas: Canvas) -> Map:
    rng = canvas.rng
    size = _spread(rng, 0.3, 2)
    larger = replace(canvas, um_per_px=canvas.um_per_px / size)
    count = min(2000, round(canvas.count(500, 9000) / size**2))
    if rng.random() < 0.5:
        return red_cells(larger, count)
    grain = fractal_noise(rng, canvas.shape_px, rng.uniform(0.4, 2), canvas.px(0.5, 4))
    return nuclei(larger, count, grain)


def _stain(rng: np.random.Generator) -> NDArray[np.float64]:
    """Draw a stain: a known one, any colour, or something between the two."""
    known, other = np.asarray(_STAINS[rng.integers(len(_STAINS))]), rng.uniform(0, 1, 3)
    share = rng.uniform()
    return (share * known + (1 - share) * other) * _spread(rng, 0.08, 1.0)


def _spread(rng: np.random.Generator, low: float, high: float) -> float:
    """Draw a positive value, each octave alike."""
    return float(np.exp(rng.uniform(np.log(low), np.log(high))))
