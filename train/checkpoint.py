"""How far a training run is, on disk, so that it can go on after anything."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import keras

from edge_af.errors import UserError
from edge_af.files import write_atomically
from train.files import unless_disk_fails

BEST = "model.keras"
_STATE = "state.json"


@dataclass
class State:
    """How far a run is. Losses are those of validation.

    `epoch` epochs are done, `stage_epoch` of them in stage `stage`; there the loss has not fallen
    below `floor` by enough for `waited` epochs. `history` has one entry of figures an epoch.
    """

    epoch: int = 0
    stage: int = 0
    stage_epoch: int = 0
    waited: int = 0
    floor: float | None = None
    best_loss: float | None = None
    best_epoch: int = 0
    finished: bool = False
    history: list[dict[str, float]] = field(default_factory=list)


def write_network(network: keras.Model, path: Path) -> None:
    """Write a network with its optimizer, whole or not at all. Raises UserError."""
    with unless_disk_fails(path) as part:
        network.save(part)


def save(run: Path, network: keras.Model, state: State) -> None:
    """Keep an epoch: the network first, then the state that points to it, then drop the last."""
    write_network(network, _network_path(run, state.epoch))
    _write_state(run, state)
    for old in run.glob("checkpoint-*.keras"):
        if old != _network_path(run, state.epoch):
            old.unlink(missing_ok=True)


def finish(run: Path, state: State) -> None:
    """Say that a run is done; its best network stays."""
    state.finished = True
    _write_state(run, state)
    for old in run.glob("checkpoint-*.keras"):
        old.unlink(missing_ok=True)


def read_state(run: Path) -> State:
    """Return how far a run is; at its beginning if it kept no epoch yet."""
    path = run / _STATE
    if not path.exists():
        return State()
    try:
        return State(**json.loads(path.read_text()))
    except (OSError, ValueError, TypeError) as error:
        raise UserError(f"{path} is damaged ({error}): begin another run") from error


def load(run: Path, state: State) -> keras.Model:
    """Return the network of the last epoch kept, with its optimizer as it was."""
    return load_network(_network_path(run, state.epoch), with_optimizer=True)


def load_network(path: Path, *, with_optimizer: bool = False) -> keras.Model:
    """Return a Keras 3 network. Raises UserError if it is not one."""
    try:
        return keras.models.load_model(path, compile=with_optimizer)
    except (OSError, ValueError, TypeError, KeyError) as error:
        reason = " ".join(str(error).split())[:160]
        raise UserError(f"{path} is not a Keras model that loads here: {reason}") from error


def write_json(path: Path, document: Mapping[str, Any]) -> None:
    """Write a JSON document, whole or not at all. Raises UserError."""
    write_atomically(path, (json.dumps(document, indent=1) + "\n").encode())


def _network_path(run: Path, epoch: int) -> Path:
    return run / f"checkpoint-{epoch:04d}.keras"


def _write_state(run: Path, state: State) -> None:
    write_json(run / _STATE, asdict(state))
    names = list(dict.fromkeys(name for entry in state.history for name in entry))
    lines = [
        ",".join(("epoch", *names)),
        *(
            ",".join((str(number), *(f"{entry[name]:.6g}" for name in names)))
            for number, entry in enumerate(state.history, 1)
        ),
    ]
    write_atomically(run / "history.csv", ("\n".join(lines) + "\n").encode())
