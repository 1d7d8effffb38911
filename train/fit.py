"""Train a network on a manifest; a run folder keeps all that says how it came about."""

import hashlib
import json
import math
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

import keras
import numpy as np
from numpy.typing import NDArray

from edge_af.card import PolarSpectrumInput
from edge_af.errors import UserError
from train import recipe
from train.architectures import ARCHITECTURES
from train.augment import turned
from train.features import features, fit_input, soft_targets
from train.manifest import read_rows
from train.run_folder import draft_card, save_held_out


@dataclass(frozen=True, slots=True)
class FitSettings:
    """How to train. The learning rate falls to zero along a cosine."""

    architecture: str = "spectral-mobilenet"
    epochs: int = 12
    batch: int = 512
    learning_rate: float = 3e-3
    weight_decay: float = 0.05
    seed: int = 1


class Batches(keras.utils.PyDataset):
    """Batches of features; for training, shuffled anew each epoch and about half of them turned.

    A turned tile is what an instrument with its coma in another direction would have seen.
    """

    def __init__(
        self, x: NDArray[np.uint8], y: NDArray[np.float32], batch: int, seed: int | None
    ) -> None:
        """`seed` None: in order, nothing turned."""
        super().__init__()
        self._x, self._y, self._batch = x, y, batch
        self._rng = None if seed is None else np.random.default_rng(seed)
        self._order = np.arange(len(x))
        self.on_epoch_end()

    def __len__(self) -> int:
        return math.ceil(len(self._x) / self._batch)

    def __getitem__(self, index: int) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        chosen = self._order[index * self._batch : (index + 1) * self._batch]
        x = self._x[chosen].astype(np.float32)
        if self._rng is not None:
            x = turned(x, int(self._rng.integers(x.shape[2]) * self._rng.integers(2)))
        return x, self._y[chosen]

    def on_epoch_end(self) -> None:
        """Shuffle."""
        if self._rng is not None:
            self._order = self._rng.permutation(len(self._x))


class _Progress(keras.callbacks.Callback):
    def __init__(self, report: Callable[[str, int, int], None], epochs: int) -> None:
        super().__init__()
        self._report, self._epochs = report, epochs

    def on_epoch_end(self, epoch: int, logs: dict[str, float] | None = None) -> None:
        logs = logs or {}
        said = f"loss {logs['loss']:.3f}, validation {logs['val_loss']:.3f}"
        self._report(f"epoch {epoch + 1}: {said}", epoch + 1, self._epochs)


def prepare(
    spec: PolarSpectrumInput, manifest: Path, report: Callable[[str, int, int], None]
) -> NDArray[np.uint8]:
    """Return the features of a manifest's tiles.

    They are kept beside the manifest: they take minutes, and every run with this input needs them.
    """
    key = hashlib.sha256(spec.model_dump_json().encode()).hexdigest()[:8]
    cache = manifest.with_suffix(f".{key}.npy")
    if cache.exists() and cache.stat().st_mtime > manifest.stat().st_mtime:
        return np.asarray(np.load(cache))
    rows = read_rows(manifest)
    x = features(
        spec,
        manifest.parent,
        rows,
        lambda done: report(f"features of {manifest.name}", done, len(rows)),
    )
    np.save(cache, x)
    return x


def fit(
    settings: FitSettings,
    data: Path,
    validation: Path,
    run: Path,
    report: Callable[[str, int, int], None],
) -> Path:
    """Train; return the path of the best model of the run, judged by validation loss.

    `report` is told what is being done, how far it is and of how much. Interrupted, the best so
    far stays in the run folder.
    """
    if settings.architecture not in ARCHITECTURES:
        known = ", ".join(ARCHITECTURES)
        raise UserError(f"no architecture {settings.architecture!r}: choose one of {known}")
    rows, rows_v = read_rows(data), read_rows(validation)
    shared = {row.field for row in rows} & {row.field for row in rows_v}
    if shared:
        raise UserError(f"field {min(shared)} is in both training and validation: split by field")
    spec = fit_input(data.parent, rows)
    x, y = prepare(spec, data, report), soft_targets(recipe.SCALE, rows)
    x_v, y_v = prepare(spec, validation, report), soft_targets(recipe.SCALE, rows_v)
    run.mkdir(parents=True, exist_ok=True)
    keras.utils.set_random_seed(settings.seed)
    model = ARCHITECTURES[settings.architecture](x.shape[1:], y.shape[1])
    batches = Batches(x, y, settings.batch, settings.seed)
    steps = settings.epochs * len(batches)
    model.compile(
        keras.optimizers.AdamW(
            keras.optimizers.schedules.CosineDecay(
                settings.learning_rate / 10,
                steps,
                warmup_target=settings.learning_rate,
                warmup_steps=min(500, steps // 10),
            ),
            weight_decay=settings.weight_decay,
        ),
        keras.losses.CategoricalCrossentropy(from_logits=True),
        metrics=["accuracy"],
    )
    best = run / "model.keras"
    about = {
        **asdict(settings),
        "data": data.stem,
        "tiles": len(rows),
        "specimens": len({row.field for row in rows}),
        "validation": validation.stem,
        "keras_backend": keras.backend.backend(),
    }
    card = draft_card(settings.architecture, spec, about)
    (run / "card.json").write_text(json.dumps(card, indent=1))
    save_held_out(run / "held_out.npz", validation.parent, rows_v, x_v)
    model.fit(
        batches,
        validation_data=Batches(x_v, y_v, 1024, None),
        epochs=settings.epochs,
        verbose=0,
        callbacks=[
            keras.callbacks.ModelCheckpoint(best, monitor="val_loss", save_best_only=True),
            keras.callbacks.CSVLogger(run / "history.csv"),
            _Progress(report, settings.epochs),
        ],
    )
    return best
