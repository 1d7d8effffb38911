"""Write rendered tiles as a user of Keras would keep them: a folder for each class.

    make_class_folders.py FOLDER TILES [--tile-px 96] [--split train] [--seed 1]

Tiles lie within the scale and hold something. The names state the true defocus in nm, as those of
the data set of Jiang et al. do.
"""

import argparse
from itertools import count
from pathlib import Path

import numpy as np
from PIL import Image

from edge_af.scale import PAPER41_LABELS, DefocusScale
from hw.virtual.specimen import CONTENT_FLOOR
from train.render import RenderPlan, render_field


def write_class_folders(
    folder: Path, tiles: int, tile_px: int = 96, split: str = "train", seed: int = 1
) -> None:
    scale = DefocusScale.paper41()
    plan = RenderPlan(split, "reference", seed, tile_px, planes=8)
    left = tiles
    for field in count():
        rendered = [
            tile
            for tile in render_field(plan, field)
            if abs(tile.defocus_um) <= plan.range_um
            and tile.content >= CONTENT_FLOOR
            and tile.pixels.shape == (tile_px, tile_px, 3)  # whole, not cut off by the field's edge
        ]
        # Not all of a field: many specimens teach more than many tiles.
        drawn = np.random.default_rng([seed, field]).permutation(len(rendered))[: min(100, left)]
        for number in drawn.tolist():
            tile = rendered[number]
            where = folder / PAPER41_LABELS[scale.index_of(tile.defocus_um)]
            where.mkdir(parents=True, exist_ok=True)
            name = f"f{field:05d}-{number:03d}_defocus{round(1000 * tile.defocus_um)}.png"
            Image.fromarray(tile.pixels).save(where / name, compress_level=1)
        left -= len(drawn)
        if left <= 0:
            return


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("tiles", type=int)
    parser.add_argument("--tile-px", type=int, default=96)
    parser.add_argument("--split", default="train")
    parser.add_argument("--seed", type=int, default=1)
    given = parser.parse_args()
    write_class_folders(given.folder, given.tiles, given.tile_px, given.split, given.seed)
