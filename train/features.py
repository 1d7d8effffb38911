"""From a manifest to what a network takes: pixels as they are, or their polar spectra."""

import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from functools import lru_cache, partial
from hashlib import sha256
from multiprocessing import get_context
from pathlib import Path
from typing import BinaryIO

import numpy as np
from numpy.typing import NDArray

from edge_af.card import PixelInput, PolarSpectrumInput
from edge_af.errors import UserError
from edge_af.spectrum import CHANNELS, IMAGINARY, PolarSpectrum
from train.files import unless_disk_fails
from train.looks import Pixels, Spectrum
from train.manifest import Row, read_rows
from train.reading import by_file, read_tiles

Input = PixelInput | PolarSpectrumInput
Report = Callable[[str, int, int], None]
"""Is told what is being done, how far it is, and of how much."""

_STATISTICS_TILES = 4000

_WORTH_PROCESSES = 4000

_AS_THEY_ARE = PixelInput(kind="pixels", multiply=1.0, add=0.0)
"""Networks that look at pixels scale them themselves."""


@lru_cache(maxsize=1)
def transform_of(spec: Input, tile_px: int) -> Callable[[NDArray[np.uint8]], NDArray[np.uint8]]:
    """Return the input transform, the one that the device uses."""
    if isinstance(spec, PixelInput):
        return lambda tile: tile
    return PolarSpectrum(tile_px, spec.ring_edges, spec.sectors, spec.mean, spec.std)


def fit_input(wanted: Pixels | Spectrum, folder: Path, rows: Sequence[Row], tile_px: int) -> Input:
    """Return the input of a new network, its statistics taken from tiles drawn evenly."""
    if isinstance(wanted, Pixels):
        return _AS_THEY_ARE
    if wanted.ring_edges[-1] > tile_px / 2:
        raise UserError(
            f"a spectrum of {wanted.ring_edges[-1]:g} cycles per tile needs tiles of at least "
            f"{2 * wanted.ring_edges[-1]:g} px, these have {tile_px} px"
        )
    count = (len(wanted.ring_edges) - 1) * CHANNELS
    plain = PolarSpectrumInput(
        kind="polar_spectrum",
        ring_edges=wanted.ring_edges,
        sectors=wanted.sectors,
        mean=(0.0,) * count,
        std=(1.0,) * count,
    )
    transform = PolarSpectrum(tile_px, plain.ring_edges, plain.sectors, plain.mean, plain.std)
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


def prepare(
    spec: Input, tile_px: int, manifest: Path, split: str | None, report: Report
) -> NDArray[np.uint8]:
    """Return the features of a manifest's tiles, n x ..., in the order of its rows.

    They are kept beside the manifest, and mapped into memory from there: they take minutes, and
    every run with this input needs them. `split` as in `read_rows`.
    """
    rows = read_rows(manifest, split)
    key = sha256(f"{spec.model_dump_json()} {tile_px} {split}".encode()).hexdigest()[:8]
    cache = manifest.with_suffix(f".{key}.npy")
    if not (cache.exists() and cache.stat().st_mtime > manifest.stat().st_mtime):
        with unless_disk_fails(cache) as part:
            _write_features(part, spec, tile_px, manifest, rows, report)
    return np.asarray(np.load(cache, mmap_mode="r"))


def _write_features(
    path: Path, spec: Input, tile_px: int, manifest: Path, rows: Sequence[Row], report: Report
) -> None:
    work = partial(_file_features, spec, tile_px, manifest.parent)
    done = 0
    with path.open("wb") as file, _at_once(len(rows)) as each:
        for part in each(work, by_file(rows)):
            if not done:
                _write_header(file, (len(rows), *part.shape[1:]))
            file.write(part.tobytes())
            done += len(part)
            report(f"features of {manifest.name}", done, len(rows))


@contextmanager
def _at_once(tiles: int) -> Iterator[Callable[..., Iterator[NDArray[np.uint8]]]]:
    """Yield a `map`, over all cores where there are tiles enough to pay for starting processes."""
    if tiles < _WORTH_PROCESSES:
        yield map
        return
    pool = ProcessPoolExecutor(os.cpu_count(), mp_context=get_context("spawn"))
    try:
        yield partial(pool.map, chunksize=8)
    finally:
        pool.shutdown(cancel_futures=True)


def _write_header(file: BinaryIO, shape: tuple[int, ...]) -> None:
    """Begin a .npy file of uint8 of a shape."""
    kind = np.lib.format.dtype_to_descr(np.dtype(np.uint8))
    header = {"descr": kind, "fortran_order": False, "shape": shape}
    np.lib.format.write_array_header_1_0(file, header)


def _file_features(
    spec: Input, tile_px: int, folder: Path, rows: Sequence[Row]
) -> NDArray[np.uint8]:
    transform = transform_of(spec, tile_px)
    tiles = read_tiles(folder, rows)
    for row, tile in zip(rows, tiles, strict=True):
        if len(tile) != tile_px:
            raise UserError(
                f"{folder / row.file}, page {row.page}, is a tile of {len(tile)} px, where "
                f"{tile_px} px are needed: render or import all tiles with one --tile-px"
            )
    return np.stack([transform(tile) for tile in tiles])
