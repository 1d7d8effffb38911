"""A picture taken in focus elsewhere, as a specimen to defocus here."""

import math
from functools import lru_cache
from pathlib import Path

import numpy as np
from PIL import Image

from hw.images import read_rgb
from hw.virtual.specimen import Layer, Specimen, from_layers
from hw.virtual.texture import Map, smooth_noise

_CLEAR_PERCENTILE = 99.0
"""Of each colour's light: what counts as clear glass."""

_DARKEST = 1e-3
"""Transmission taken for black; 8-bit sRGB resolves no less."""

_BLEND_PX = 64
"""Width over which each edge is blended into the picture beyond the opposite one."""

_DRAWN_PARTS = 4

_RELIEF_UM = 15.0
"""Scale over which the depth that the picture does not tell varies."""


def draw_picture(
    path: Path,
    picture_um_per_px: float,
    seed: int,
    shape_px: tuple[int, int] = (480, 640),
    um_per_px: float = 0.35,
    thickness_um: float = 2.0,
) -> Specimen:
    """Return a random part of an sRGB image file as a specimen at another pitch.

    Of a few parts that are drawn it is the fullest: a slide is mostly glass. Its optical density is
    resampled, mirrored if it is smaller than the field, and blended at the edges, so that it
    repeats without a seam. A picture tells no depth: it is laid over a smooth
    random relief of `thickness_um`. Raises ImageError if the file cannot be read, and ValueError
    for a pitch or thickness that makes no sense.
    """
    for name, value_um in (("picture_um_per_px", picture_um_per_px), ("um_per_px", um_per_px)):
        if not 0 < value_um < math.inf:
            raise ValueError(f"{name} must be positive and finite, got {value_um} um/px")
    if not 0 <= thickness_um < math.inf:
        raise ValueError(f"thickness_um must be finite and not negative, got {thickness_um} um")
    rng = np.random.default_rng(seed)
    wanted_px = shape_px[0] + _BLEND_PX, shape_px[1] + _BLEND_PX
    part = _part(_density(path), wanted_px, picture_um_per_px / um_per_px, rng)
    field = seamless(np.stack([_resampled(colour, wanted_px) for colour in part]))
    relief_um = smooth_noise(rng, shape_px, _RELIEF_UM / um_per_px) * np.float32(thickness_um / 4)
    depth_um = np.clip(relief_um, -thickness_um / 2, thickness_um / 2)
    return from_layers([Layer(field, (1.0, 1.0, 1.0), depth_um)], 0.0, "picture")


def seamless(field: Map) -> Map:
    """Cut `_BLEND_PX` off the bottom and the right of C x H x W, blending it into the far edge."""
    for axis in (1, 2):
        beyond, whole = _BLEND_PX, field.shape[axis] - _BLEND_PX
        rising = (np.arange(beyond, dtype=np.float32) + 0.5) / beyond
        rising = rising[:, None] if axis == 1 else rising
        first, rest, last = np.split(field, (beyond, whole), axis=axis)
        field = np.concatenate((rising * first + (1 - rising) * last, rest), axis=axis)
    return field


@lru_cache(maxsize=4)
def _density(path: Path) -> Map:
    """Return the optical density, 3 x H x W, by the sRGB curve (IEC 61966-2-1)."""
    pixels = read_rgb(path)
    code = np.arange(256) / 255
    linear = np.where(code <= 0.04045, code / 12.92, ((code + 0.055) / 1.055) ** 2.4)
    light = linear.astype(np.float32)[pixels.transpose(2, 0, 1)]
    clear = np.percentile(light, _CLEAR_PERCENTILE, axis=(1, 2), keepdims=True)
    transmission = np.clip(light / np.maximum(clear, _DARKEST), _DARKEST, 1)
    return np.asarray(-np.log10(transmission), np.float32)


def _resampled(density: Map, shape_px: tuple[int, int]) -> Map:
    image = Image.fromarray(density).resize(shape_px[::-1], Image.Resampling.BICUBIC)
    return np.maximum(np.asarray(image, np.float32), 0)


def _part(density: Map, wanted_px: tuple[int, int], scale: float, rng: np.random.Generator) -> Map:
    """Return the C x H x W part that makes `wanted_px` once it is `scale` times as large.

    Mirrored on where the picture ends.
    """
    own_px = [max(1, round(extent / scale)) for extent in wanted_px]
    short = [max(0, w - have) for w, have in zip(own_px, density.shape[1:], strict=True)]
    density = np.pad(density, [(0, 0), (0, short[0]), (0, short[1])], mode="symmetric")
    room = [have - w + 1 for w, have in zip(own_px, density.shape[1:], strict=True)]
    parts = []
    for top, left in rng.integers(room, size=(_DRAWN_PARTS, 2)):
        parts.append(density[:, top : top + own_px[0], left : left + own_px[1]])
    return max(parts, key=lambda part: float(part[1].std()))
