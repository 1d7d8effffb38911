"""What a user asks of a training run, and how the run folder keeps it."""

import importlib
import json
from dataclasses import asdict, dataclass
from hashlib import sha256
from pathlib import Path

import keras

from edge_af.errors import UserError
from edge_af.versions import tool_versions
from train.state import write_json

SETTINGS = "settings.json"


@dataclass(frozen=True, slots=True)
class FitSettings:
    """What to train on what. None: as the architecture or the recipe has it.

    `validation` None: those rows of `data` whose split is validation; then those learned from have
    the split train. `epochs` is shared among the recipe's stages in proportion; `weights` is a file
    of weights for the architecture's base; `base` an earlier run folder or its .keras to go on
    from, whose architecture and input the new one takes.
    """

    data: Path
    validation: Path | None = None
    architecture: str = "spectral-mobilenet"
    recipe: str = "edge-af"
    epochs: int | None = None
    batch: int | None = None
    learning_rate: float | None = None
    weights: Path | None = None
    base: Path | None = None
    seed: int = 1

    @property
    def train_split(self) -> str | None:
        """The split of `data` that is learned from; None for all of it."""
        return "train" if self.validation is None else None

    @property
    def watched(self) -> tuple[Path, str | None]:
        """The manifest that is watched, and the split of it."""
        return (self.data, "validation") if self.validation is None else (self.validation, None)


def write_settings(run: Path, settings: FitSettings) -> None:
    """Write settings, the digests of the manifests, and versions. Raises UserError."""
    backend = keras.backend.backend()
    document = {
        "settings": {
            name: str(value.resolve()) if isinstance(value, Path) else value
            for name, value in asdict(settings).items()
        },
        "manifests": {
            str(path.resolve()): _digest(path) for path in {settings.data, settings.watched[0]}
        },
        "versions": {
            **tool_versions(),
            "keras": keras.__version__,
            backend: importlib.import_module(backend).__version__,
        },
    }
    write_json(run / SETTINGS, document)


def read_settings(run: Path) -> FitSettings:
    """Return the settings of a run.

    Raises UserError if there is no run, or a manifest is no longer what it was.
    """
    path = run / SETTINGS
    try:
        document = json.loads(path.read_text())
        said = document["settings"]
        for name in ("data", "validation", "weights", "base"):
            said[name] = None if said[name] is None else Path(said[name])
        settings, digests = FitSettings(**said), dict(document["manifests"])
    except FileNotFoundError as error:
        raise UserError(f"{run} holds no run to go on with: leave out --resume") from error
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise UserError(f"{path} is damaged ({error}): begin another run") from error
    for manifest, digest in digests.items():
        if _digest(Path(manifest)) != digest:
            raise UserError(
                f"{manifest} has changed since the run began: begin another run, or put it back"
            )
    return settings


def _digest(path: Path) -> str:
    try:
        return sha256(path.read_bytes()).hexdigest()
    except OSError as error:
        raise UserError(f"cannot read manifest {path}: {error.strerror}") from error
