"""What a training run leaves for `edge-af-convert`, beside the network itself."""

from collections.abc import Mapping, Sequence
from itertools import groupby
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edge_af.card import PolarSpectrumInput
from edge_af.tiles import content
from hw.virtual.optics import Optics
from hw.virtual.specimen import CONTENT_FLOOR
from train import recipe
from train.features import read_tiles
from train.manifest import Row


def draft_card(name: str, spec: PolarSpectrumInput, training: Mapping[str, Any]) -> dict[str, Any]:
    """Return the card of a network as far as training knows it; conversion adds the rest."""
    optics = Optics()
    return {
        "format": 1,
        "name": name,
        "labels": recipe.LABELS,
        "bins_um": recipe.SCALE.bins_um,
        "sign_convention": "defocus = stage - focus",
        "um_per_px": recipe.UM_PER_PX,
        "tile_px": recipe.TILE_PX,
        "input": spec.model_dump(),
        "output": "logits",
        "objective": {
            "magnification": optics.magnification,
            "numerical_aperture": optics.numerical_aperture,
        },
        "training": dict(training),
    }


def save_held_out(
    path: Path, folder: Path, rows: Sequence[Row], features: NDArray[np.uint8]
) -> None:
    """Save validation tiles: `features`, `defocus_um`, content `seen`, and whether it is `full`."""
    seen = [
        content(tile)
        for _, group in groupby(rows, key=lambda row: row.file)
        for tile in read_tiles(folder, list(group))
    ]
    np.savez(
        path,
        features=features,
        defocus_um=[row.z_um for row in rows],
        seen=seen,
        full=[not row.content < CONTENT_FLOOR for row in rows],
    )
