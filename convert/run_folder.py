"""What a training run leaves for conversion: the network, its draft card, held-out tiles."""

import json
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edge_af.errors import UserError


@dataclass(frozen=True)
class HeldOut:
    """Tiles that training did not see.

    `features` is what the network takes, uint8 (n, ...); `defocus_um` the truth (n,); `seen` the
    content score of each picture (n,), and `full` whether the specimen held anything there (n,).
    """

    features: NDArray[np.uint8]
    defocus_um: NDArray[np.float64]
    seen: NDArray[np.float64]
    full: NDArray[np.bool_]

    def halves(self) -> tuple["HeldOut", "HeldOut"]:
        """Return the first and the second half: tiles of one specimen stand side by side."""
        middle = len(self.defocus_um) // 2
        return self._part(slice(None, middle)), self._part(slice(middle, None))

    def _part(self, part: slice) -> "HeldOut":
        return HeldOut(self.features[part], self.defocus_um[part], self.seen[part], self.full[part])


@dataclass(frozen=True)
class RunFolder:
    """A finished training run. `card` lacks what conversion measures."""

    model: Path
    card: dict[str, Any]
    held_out: HeldOut


def read_run(folder: Path) -> RunFolder:
    """Read a run folder. Raises UserError that names what is missing or unreadable."""
    model = folder / "model.keras"
    for part in (model, folder / "card.json", folder / "held_out.npz"):
        if not part.is_file():
            raise UserError(f"{folder} is not a finished training run: it has no {part.name}")
    try:
        card = json.loads((folder / "card.json").read_text())
        with (folder / "held_out.npz").open("rb") as raw, np.load(raw) as file:
            held_out = HeldOut(
                file["features"], file["defocus_um"], file["seen"], file["full"].astype(bool)
            )
    except (OSError, ValueError, KeyError, zipfile.BadZipFile) as error:
        raise UserError(f"{folder} is damaged: {error}") from error
    return RunFolder(model, card, held_out)
