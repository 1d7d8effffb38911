"""The networks of a training run on disk, so that it can go on after anything."""

from pathlib import Path

import keras

from edge_af.errors import UserError
from train.files import unless_disk_fails
from train.state import State, write_state


def write_network(network: keras.Model, path: Path) -> None:
    """Write a network with its optimizer, whole or not at all. Raises UserError."""
    with unless_disk_fails(path) as part:
        network.save(part)


def save(run: Path, network: keras.Model, state: State) -> None:
    """Keep an epoch: the network first, then the state that points to it, then drop the last."""
    write_network(network, _network_path(run, state.epoch))
    write_state(run, state)
    for old in run.glob("checkpoint-*.keras"):
        if old != _network_path(run, state.epoch):
            old.unlink(missing_ok=True)


def finish(run: Path, state: State) -> None:
    """Say that a run is done; its best network stays."""
    state.finished = True
    write_state(run, state)
    for old in run.glob("checkpoint-*.keras"):
        old.unlink(missing_ok=True)


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


def _network_path(run: Path, epoch: int) -> Path:
    return run / f"checkpoint-{epoch:04d}.keras"
