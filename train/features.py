"""From a manifest to arrays: the input features of every tile, and its soft target."""

import os
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from functools import lru_cache, partial
from itertools import groupby
from multiprocessing import get_context
from pathlib import Path

import numpy as np
import tifffile
from numpy.typing import NDArray

from edge_af.card import PolarSpectrumInput
from edge_af.errors import UserError
from edge_af.scale import DefocusScale
from edge_af.spectrum import CHANNELS, IMAGINARY, PolarSpectrum
from edge_af.targets import soft_targets as targets_about
from hw.virtual.specimen import CONTENT_FLOOR
from train import recipe
from train.manifest import Row

_STATISTICS_TILES = 4000

TARGET_SPREAD_UM = 0.2
"""A tile's thickness and tilt make its label uncertain by about this much; so is its target."""


def read_tiles(folder: Path, rows: Sequence[Row]) -> list[NDArray[np.uint8]]:
    """Read the pictures of rows that share one file."""
    path = folder / rows[0].file
    try:
        with tifffile.TiffFile(path) as file:
            return [np.asarray(file.pages[row.page].asarray()) for row in rows]
    except (OSError, ValueError, IndexError, tifffile.TiffFileError) as error:
        raise UserError(f"cannot read {path}: {error}") from error


def _file_features(spec: PolarSpectrumInput, folder: Path, rows: list[Row]) -> NDArray[np.uint8]:
    transform = transform_of(spec)
    return np.stack([transform(tile) for tile in read_tiles(folder, rows)])


@lru_cache(maxsize=1)
def transform_of(spec: PolarSpectrumInput) -> PolarSpectrum:
    """Return the input transform, the one that the device uses."""
    return PolarSpectrum(recipe.TILE_PX, spec.ring_edges, spec.sectors, spec.mean, spec.std)


def fit_input(folder: Path, rows: Sequence[Row]) -> PolarSpectrumInput:
    """Return the input of a new network, its statistics taken from tiles drawn evenly."""
    count = (len(recipe.RING_EDGES) - 1) * CHANNELS
    plain = PolarSpectrumInput(
        kind="polar_spectrum",
        ring_edges=recipe.RING_EDGES,
        sectors=recipe.SECTORS,
        mean=(0.0,) * count,
        std=(1.0,) * count,
    )
    transform = transform_of(plain)
    drawn = rows[:: max(1, len(rows) // _STATISTICS_TILES)]
    raw = np.stack([transform.raw(read_tiles(folder, [row])[0]) for row in drawn])
    mean, std = raw.mean(axis=(0, 2)), raw.std(axis=(0, 2))
    # The imaginary parts change sign with direction, so that none can be the middle but 0.
    mean[:, IMAGINARY] = 0
    return plain.model_copy(
        update={
            "mean": tuple(round(float(value), 5) for value in mean.ravel()),
            "std": tuple(round(float(value), 5) for value in std.ravel()),
        }
    )


def features(
    spec: PolarSpectrumInput,
    folder: Path,
    rows: Sequence[Row],
    progress: Callable[[int], None],
) -> NDArray[np.uint8]:
    """Return n x rings x sectors x channels, uint8, in the order of `rows`."""
    result = np.empty((len(rows), *transform_of(spec).shape), np.uint8)
    files = [list(group) for _, group in groupby(rows, key=lambda row: row.file)]
    done = 0
    with ProcessPoolExecutor(os.cpu_count(), mp_context=get_context("spawn")) as pool:
        for part in pool.map(partial(_file_features, spec, folder), files, chunksize=8):
            result[done : done + len(part)] = part
            done += len(part)
            progress(done)
    return result


def soft_targets(scale: DefocusScale, rows: Sequence[Row]) -> NDArray[np.float32]:
    """Return n x classes: a Gaussian about each tile's defocus, cut into the scale's bins.

    The outer bins take what lies beyond them. A tile known to hold nothing is anyone's guess:
    its target is uniform over the range, which is how a network learns to say so.
    """
    z_um = np.array([row.z_um for row in rows])
    targets = targets_about(scale, z_um, TARGET_SPREAD_UM)
    bins_um = np.asarray(scale.bins_um)
    width_um = bins_um[:, 1] - bins_um[:, 0]
    nothing = np.array([row.content < CONTENT_FLOOR for row in rows])
    targets[nothing] = width_um / width_um.sum()
    return np.asarray(targets, np.float32)
