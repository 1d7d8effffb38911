"""A model and its data made ready to be quantised, wherever they came from."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from convert.preprocess import Affine
from convert.run_folder import HeldOut
from convert.trial import Attempt
from edge_af.scale import DefocusScale


@dataclass(frozen=True)
class Prepared:
    """What conversion goes by.

    `folder` has what `convert.worker` left of the network. `card` lacks what conversion measures.
    `shown` is what the float network wants of uint8 features, `network` what is known of it.
    `ready` says that the model came as a .tflite, and stays as it is.
    `fitting` fixes ranges, temperature and thresholds, `judging` proves.
    """

    folder: Path
    card: dict[str, Any]
    network: dict[str, Any]
    shown: Affine
    fitting: HeldOut
    judging: HeldOut
    calibration: int
    embedding: bool
    allow_float: bool = False
    ready: bool = False
    attempts: tuple[Attempt, ...] = ()
    warnings: tuple[str, ...] = ()

    @property
    def scale(self) -> DefocusScale:
        """What the outputs mean in um, in their order."""
        return DefocusScale(tuple((low, high) for low, high in self.card["bins_um"]))
