"""What a training run leaves for evaluation and `edge-af-convert`, beside the network itself."""

import json
import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydantic import TypeAdapter, ValidationError

from edge_af.card import PixelInput, PolarSpectrumInput
from edge_af.errors import UserError
from edge_af.tiles import content
from hw.virtual.optics import Optics
from hw.virtual.specimen import CONTENT_FLOOR
from train import standard
from train.files import unless_disk_fails
from train.manifest import Row
from train.reading import by_file, read_tiles

BEST = "model.keras"
CARD = "card.json"
HELD_OUT = "held_out.npz"

_MOST_HELD_OUT_BYTES = 400_000_000

Input = PixelInput | PolarSpectrumInput
_INPUT: TypeAdapter[Input] = TypeAdapter(Input)


def draft_card(
    name: str, spec: Input, tile_px: int, um_per_px: float, training: Mapping[str, Any]
) -> dict[str, Any]:
    """Return the card of a network as far as training knows it; conversion adds the rest."""
    return {
        "format": 1,
        "name": name,
        "labels": standard.LABELS,
        "bins_um": standard.SCALE.bins_um,
        "sign_convention": "defocus = stage - focus",
        "um_per_px": um_per_px,
        "tile_px": tile_px,
        "input": spec.model_dump(),
        "output": "logits",
        "objective": None,
        "training": dict(training),
    }


def virtual_objective() -> dict[str, float]:
    """Return the objective of the virtual microscope, for a card."""
    optics = Optics()
    return {
        "magnification": optics.magnification,
        "numerical_aperture": optics.numerical_aperture,
    }


def read_draft(run: Path) -> dict[str, Any]:
    """Return the draft card of a run. Raises UserError that says what is wrong with it."""
    path = run / CARD
    try:
        card: dict[str, Any] = json.loads(path.read_text())
        card["input"], card["tile_px"], card["um_per_px"], card["name"]  # what is asked of it
    except FileNotFoundError as error:
        raise UserError(f"{run} is not a training run: it has no {CARD}") from error
    except (OSError, ValueError, KeyError) as error:
        raise UserError(f"{path} is damaged: {error}") from error
    return card


def input_of(card: Mapping[str, Any]) -> Input:
    """Return the input that a draft card states."""
    try:
        return _INPUT.validate_python(card["input"])
    except ValidationError as error:
        raise UserError(f"the run's {CARD} states an input that there is not: {error}") from error


@dataclass(frozen=True)
class HeldOut:
    """Validation tiles of a run: what the network takes of each, and what is known of it."""

    features: NDArray[np.uint8]
    defocus_um: NDArray[np.float64]
    seen: NDArray[np.float64]
    full: NDArray[np.bool_]

    def first_half(self) -> "HeldOut":
        """Return the first half: tiles of one specimen stand side by side."""
        half = slice(max(1, len(self.defocus_um) // 2))
        return HeldOut(self.features[half], self.defocus_um[half], self.seen[half], self.full[half])


def read_held_out(run: Path) -> HeldOut:
    """Return the held-out tiles of a run. Raises UserError if they are missing or damaged."""
    path = run / HELD_OUT
    try:
        with path.open("rb") as raw, np.load(raw) as file:
            return HeldOut(
                file["features"], file["defocus_um"], file["seen"], file["full"].astype(bool)
            )
    except FileNotFoundError as error:
        raise UserError(f"{run} is not a finished training run: it has no {HELD_OUT}") from error
    except (OSError, ValueError, KeyError, zipfile.BadZipFile) as error:
        raise UserError(f"{path} is damaged: {error}") from error


def save_held_out(
    path: Path, folder: Path, rows: Sequence[Row], features: NDArray[np.uint8]
) -> None:
    """Save validation tiles: `features`, `defocus_um`, content `seen`, and whether it is `full`.

    Of tiles that would take more than 400 MB every second, third, ... one is saved.
    """
    step = -(-features.nbytes // _MOST_HELD_OUT_BYTES)
    rows, features = rows[::step], features[::step]
    seen = [content(tile) for of_file in by_file(rows) for tile in read_tiles(folder, of_file)]
    with unless_disk_fails(path) as part:
        np.savez(
            part,
            features=features,
            defocus_um=[row.z_um for row in rows],
            seen=seen,
            full=[not row.content < CONTENT_FLOOR for row in rows],
        )
