"""A frame cut into tiles at the model's pixel size, and what can be told of a tile without one."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from edge_af.errors import ModelError
from hw.camera import Frame

SAME_PITCH = 0.02
"""Pixel sizes that differ by less are taken as equal; a network trained over +-15 % is."""

_COARSEST = 1.25
"""A frame may have pixels this much larger than the model's: enlarging adds no detail."""

_Number = TypeVar("_Number", np.uint8, np.float64)

_BLOCK_PX = 8
_SATURATED_SHARE = 0.2


@dataclass(frozen=True, slots=True)
class Tile:
    """One tile of a frame: tile_px x tile_px x 3 uint8, and where its corner lay in the frame.

    The corner is row and column in pixels of the frame as resampled to the model's um/px.
    """

    pixels: NDArray[np.uint8]
    corner_px: tuple[int, int]
    content: float


def fits_pitch(um_per_px: float, model_um_per_px: float) -> bool:
    """Tell whether frames of a pixel size can be brought to the model's."""
    return um_per_px <= _COARSEST * model_um_per_px


def require_fit(um_per_px: float, shape_px: tuple[int, int], model: tuple[float, int]) -> None:
    """Raise ModelError if frames of a pixel size and shape cannot serve a model.

    `model` is the model's um/px and the side of its tile in pixels.
    """
    model_um_per_px, tile_px = model
    if not fits_pitch(um_per_px, model_um_per_px):
        raise ModelError(
            f"the camera's pixels are {um_per_px:g} um, the model needs at most "
            f"{_COARSEST * model_um_per_px:g} um: use less binning or a higher magnification"
        )
    scale = _scale(um_per_px, model_um_per_px)
    if min(shape_px) * scale < tile_px:
        raise ModelError(
            f"the frame is {shape_px[1]} x {shape_px[0]} px at {um_per_px:g} um/px, smaller than "
            f"the model's tile of {tile_px} px at {model_um_per_px:g} um/px: use a larger frame"
        )


def cut(frame: Frame, um_per_px: float, tile_px: int, most: int) -> list[Tile]:
    """Return up to `most` tiles at `um_per_px`, those with the most content first.

    The frame is resampled if its pixels differ. Tiles lie evenly from edge to edge, as many as fit
    to the nearest whole number: they may overlap, or leave gaps. Raises ModelError if the frame
    does not fit.
    """
    height_px, width_px = frame.pixels.shape[:2]
    require_fit(frame.um_per_px, (height_px, width_px), (um_per_px, tile_px))
    pixels = frame.pixels
    scale = _scale(frame.um_per_px, um_per_px)
    if scale != 1:
        size = max(tile_px, round(width_px * scale)), max(tile_px, round(height_px * scale))
        pixels = np.asarray(Image.fromarray(pixels).resize(size, Image.Resampling.BICUBIC))
    tops, lefts = (_corners(extent, tile_px) for extent in pixels.shape[:2])
    corners_px = [(top, left) for top in tops for left in lefts]
    held = contents(pixels, tile_px, corners_px)
    fullest = np.argsort(-held, kind="stable")[:most].tolist()
    return [
        Tile(_square(pixels, corners_px[index], tile_px), corners_px[index], float(held[index]))
        for index in fullest
    ]


def _corners(extent_px: int, tile_px: int) -> list[int]:
    """Return where tiles begin along a side; a single one lies in the middle."""
    count = int(extent_px / tile_px + 0.5)
    room_px = extent_px - tile_px
    if count == 1:
        return [room_px // 2]
    return [round(number * room_px / (count - 1)) for number in range(count)]


def _square(pixels: NDArray[_Number], corner_px: tuple[int, int], tile_px: int) -> NDArray[_Number]:
    """Return the square of a picture, its first two axes, that begins at a corner."""
    top, left = corner_px
    return pixels[top : top + tile_px, left : left + tile_px]


def _scale(um_per_px: float, model_um_per_px: float) -> float:
    """Return by how much a frame is enlarged; 1 where the pixel sizes count as equal."""
    scale = um_per_px / model_um_per_px
    return 1.0 if abs(scale - 1) <= SAME_PITCH else scale


def content(tile: NDArray[np.uint8]) -> float:
    """Return how much one tile, S x S x 3, holds: see `contents`."""
    return float(contents(tile, len(tile), [(0, 0)])[0])


def contents(
    pixels: NDArray[np.uint8], tile_px: int, corners_px: Sequence[tuple[int, int]]
) -> NDArray[np.float64]:
    """Return how much the tiles of a picture hold, at any defocus: contrast of 8 x 8 px means.

    `pixels` is a picture in 3 colours, and tiles begin at the corners. It is the standard deviation
    of the blocks' log grey level, a sloping background taken out. Blur leaves large structures and
    noise averages out in the blocks, so that a far defocused object still counts and clear glass
    does not. 0 where more than a fifth of the samples, colours counted apart, is black or white.
    """
    blocks = tile_px // _BLOCK_PX
    log = np.log(_blocks_of_tiles(pixels, tile_px, corners_px) + 1)
    log -= log.mean(axis=(1, 2), keepdims=True)
    ramp = np.linspace(-1, 1, blocks)
    ramp /= np.sqrt(ramp @ ramp * blocks)
    rows, columns = log.sum(axis=2), log.sum(axis=1)
    # What slopes down and across, of unit norm, explain of the sum of squares.
    explained = (rows @ ramp) ** 2 + (columns @ ramp) ** 2
    squares = np.einsum("nij,nij->n", log, log)
    held = np.asarray(np.sqrt(np.maximum(squares - explained, 0.0)) / blocks)
    if pixels.min() <= 1 or pixels.max() >= 254:
        for index, corner_px in enumerate(corners_px):
            tile = _square(pixels, corner_px, tile_px)
            if ((tile <= 1) | (tile >= 254)).mean() > _SATURATED_SHARE:
                held[index] = 0.0
    return held


def _blocks_of_tiles(
    pixels: NDArray[np.uint8], tile_px: int, corners_px: Sequence[tuple[int, int]]
) -> NDArray[np.float64]:
    """Return the block means of each tile; of the whole picture at once if their blocks are its."""
    blocks = tile_px // _BLOCK_PX
    if any(edge % _BLOCK_PX for corner_px in corners_px for edge in corner_px):
        tiles = (_square(pixels, corner_px, tile_px) for corner_px in corners_px)
        return np.stack([_block_means(tile) for tile in tiles])
    means = _block_means(pixels)
    places = [(top // _BLOCK_PX, left // _BLOCK_PX) for top, left in corners_px]
    return np.stack([_square(means, place, blocks) for place in places])


def _block_means(pixels: NDArray[np.uint8]) -> NDArray[np.float64]:
    """Return the mean grey level of each whole 8 x 8 px block of a picture in 3 colours."""
    rows, columns = (extent // _BLOCK_PX for extent in pixels.shape[:2])
    samples = 3 * _BLOCK_PX
    used = pixels[: rows * _BLOCK_PX, : columns * _BLOCK_PX]
    lines = used.reshape(rows, _BLOCK_PX, columns * samples)
    # Whole numbers below 2^16, so neither these 16 bits nor single precision lose any of them.
    sums = np.add.reduce(lines, axis=1, dtype=np.uint16).astype(np.float32)
    totals = sums.reshape(-1, samples) @ np.ones(samples, np.float32)
    return np.asarray(totals, np.float64).reshape(rows, columns) / (samples * _BLOCK_PX)
