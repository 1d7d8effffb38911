"""Small data sets for training tests: tiles whose colour tells their defocus."""

from pathlib import Path

import numpy as np
import tifffile

from train.manifest import Row, write_rows


def write_data(
    folder: Path, *, fields: dict[str, int], per_field: int = 16, tile_px: int = 16
) -> Path:
    """Write a manifest of `fields` of each split and return it."""
    folder.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(3)
    rows = []
    for split, count in fields.items():
        for number in range(count):
            name = f"{split}-{number}"
            z_um = rng.uniform(-12, 12, per_field)
            tiles = rng.normal(120, 25, (per_field, tile_px, tile_px, 3))
            tiles[..., 0] += 6 * z_um[:, None, None]
            tiles[..., 2] -= 6 * z_um[:, None, None]
            pixels = tiles.clip(2, 253).astype(np.uint8)
            tifffile.imwrite(folder / f"{name}.tif", pixels, photometric="rgb")
            rows += [
                Row(f"{name}.tif", page, float(z), name, split, 0.35, "camera", 0.2, f"{page // 4}")
                for page, z in enumerate(z_um)
            ]
    manifest = folder / "data.csv"
    write_rows(manifest, rows)
    return manifest
