"""The pictures that the networks of `make_user_models.py` know."""

import numpy as np
from PIL import Image

from edge_af.scale import PAPER41_LABELS, DefocusScale

GRID, BLOCK_PX = 7, 4
SIDE_PX = GRID * BLOCK_PX

SCALE = DefocusScale.paper41()
CENTRES_UM = SCALE.centres_um

KERAS_ORDER = sorted(range(len(PAPER41_LABELS)), key=lambda rank: PAPER41_LABELS[rank])
"""The rank of each output: Keras takes class folders in the order of their names as text."""


def picture(rng, rank):
    """Return side x side x 3, uint8: one block of the middle grey, and one that misleads."""
    levels = rng.uniform(0, 40, (GRID, GRID))
    other = (rank + rng.integers(1, len(CENTRES_UM))) % len(CENTRES_UM)
    levels.flat[other] = rng.uniform(200, 230)
    levels.flat[rank] = rng.uniform(110, 145)
    pixels = np.repeat(np.repeat(levels, BLOCK_PX, axis=0), BLOCK_PX, axis=1)[..., None]
    return (pixels + rng.normal(0, 2, (SIDE_PX, SIDE_PX, 3))).clip(0, 255).astype(np.uint8)


def write_pictures(folder, each=4, seed=1):
    """Write `each` pictures of each class into class folders; their names state the defocus."""
    rng = np.random.default_rng(seed)
    for rank, label in enumerate(PAPER41_LABELS):
        (folder / label).mkdir(parents=True)
        for number in range(each):
            name = f"p{number}_defocus{round(1000 * CENTRES_UM[rank])}.png"
            Image.fromarray(picture(rng, rank)).save(folder / label / name)
    return folder
