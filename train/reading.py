"""The pictures that a manifest lists."""

import struct
from collections.abc import Iterator, Sequence
from itertools import groupby
from pathlib import Path

import numpy as np
import tifffile
from numpy.typing import NDArray

from edge_af.errors import UserError
from edge_af.tiles import SAME_PITCH
from hw.images import read_rgb
from train.manifest import Row

_DAMAGE = (OSError, ValueError, IndexError, KeyError, struct.error, tifffile.TiffFileError)


def read_tiles(folder: Path, rows: Sequence[Row]) -> list[NDArray[np.uint8]]:
    """Read the tiles of rows that share one file: square, RGB, uint8.

    Raises UserError or ImageError, with the name of the file, for what cannot be read or is no
    such tile.
    """
    path = folder / rows[0].file
    if path.suffix.lower() not in (".tif", ".tiff"):
        tiles = [read_rgb(path, row.page) for row in rows]
    else:
        try:
            with tifffile.TiffFile(path) as file:
                tiles = [np.asarray(file.pages[row.page].asarray()) for row in rows]
        except _DAMAGE as error:
            reason = getattr(error, "strerror", None) or error
            raise UserError(f"cannot read {path}: {reason}; import or render it again") from error
    for row, tile in zip(rows, tiles, strict=True):
        if tile.dtype != np.uint8 or tile.ndim != 3 or tile.shape != (len(tile), len(tile), 3):
            raise UserError(
                f"{path}, page {row.page}, is {tile.dtype} of shape {tile.shape}: a tile is square "
                "and RGB with 8 bits; cut it with edge-af-train import"
            )
    return tiles


def by_file(rows: Sequence[Row]) -> Iterator[list[Row]]:
    """Yield the rows of each file, as far as they stand side by side."""
    for _, group in groupby(rows, key=lambda row: row.file):
        yield list(group)


def tile_px_of(folder: Path, rows: Sequence[Row]) -> int:
    """Return the side of a manifest's tiles, in px, as its first has it."""
    return len(read_tiles(folder, rows[:1])[0])


def common_um_per_px(rows: Sequence[Row]) -> float:
    """Return the pixel size that all tiles share. Raises UserError if they do not."""
    low, high = min(row.um_per_px for row in rows), max(row.um_per_px for row in rows)
    if high > (1 + SAME_PITCH) * low:
        raise UserError(
            f"the tiles have pixels of {low:g} um to {high:g} um: a network learns from one pixel "
            "size; import them again with one --tile-um-per-px"
        )
    return rows[0].um_per_px
