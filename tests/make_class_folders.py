"""Write labelled pictures as a user of Keras keeps them: a folder for each of the paper's classes.

    make_class_folders.py FOLDER PICTURES [--side-px 48] [--seed 1]

Beads, darker than the light behind them, each colour focused elsewhere: a specimen that a small
network learns in minutes. Defocus is drawn evenly over the classes; the names state it in nm, as
those of the data set of Jiang et al. 2018 do.
"""

import argparse
from pathlib import Path

import numpy as np
from PIL import Image

from edge_af.scale import PAPER41_LABELS, DefocusScale

COLOUR_FOCUS_UM = np.array([-2.5, 0.0, 2.5])
"""Where red, green and blue are sharp: without that no picture would tell its side."""


def picture(rng, defocus_um, side_px):
    """Return side x side x 3, uint8."""
    radius_px = 0.8 + 0.35 * np.abs(defocus_um - COLOUR_FOCUS_UM)
    y, x = np.mgrid[:side_px, :side_px]
    shade = np.zeros((side_px, side_px, 3))
    for _ in range(round(side_px**2 / 230)):
        down, across = rng.uniform(0, side_px, 2)
        distance_px2 = ((y - down) ** 2 + (x - across) ** 2)[..., None]
        shade += rng.uniform(0.5, 1) / radius_px * np.exp(-distance_px2 / (2 * radius_px**2))
    light = 230 * rng.uniform(0.9, 1.0) * np.exp(-shade)
    return (light + rng.normal(0, 2, light.shape)).clip(0, 255).astype(np.uint8)


def tint(index):
    """Return the colour of the light, 3 shares, by which even a large network tells classes apart.

    Red and green go from end to end of the scale, blue counts three by three.
    """
    along = 0.6 * index / 40
    return np.array([0.4 + along, 1.0 - along, 0.4 + 0.3 * (index % 3)])


def write_class_folders(
    folder: Path, pictures: int, side_px: int = 48, seed: int = 1, *, tinted: bool = False
) -> None:
    rng = np.random.default_rng(seed)
    bins_um = DefocusScale.paper41().bins_um
    for number in range(pictures):
        index = number % len(bins_um)
        defocus_um = rng.uniform(*bins_um[index])
        where = folder / PAPER41_LABELS[index]
        where.mkdir(parents=True, exist_ok=True)
        name = f"p{seed}-{number:05d}_defocus{round(1000 * defocus_um)}.png"
        pixels = picture(rng, defocus_um, side_px)
        if tinted:
            pixels = np.rint(pixels * tint(index)).astype(np.uint8)
        Image.fromarray(pixels).save(where / name, compress_level=1)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("pictures", type=int)
    parser.add_argument("--side-px", type=int, default=48)
    parser.add_argument("--seed", type=int, default=1)
    given = parser.parse_args()
    write_class_folders(given.folder, given.pictures, given.side_px, given.seed)
