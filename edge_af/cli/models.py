"""The model that a command works with."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from edge_af.errors import UserError

if TYPE_CHECKING:
    from edge_af.model_file import ModelFile


def tried_model(path: Path | None) -> "ModelFile":
    """Read a model, the one that ships if `path` is None, and let the runtime try it.

    Raises ModelError.
    """
    from edge_af.interpreter import Network
    from edge_af.shipped import read_model

    model = read_model(path)
    with quiet_runtime():
        Network(model)
    return model


def chosen_model(path: Path | None, no_model: bool) -> "ModelFile | None":
    """Return the model that --model and --no-model ask for, tried. Raises UserError."""
    if no_model and path is not None:
        raise UserError("--model and --no-model exclude each other: give one of them")
    return None if no_model else tried_model(path)


@contextmanager
def quiet_runtime() -> Iterator[None]:
    """Keep what LiteRT says of itself as it loads its first model off standard error.

    It has no switch for that; its faults come as exceptions too.
    """
    kept = os.dup(2)
    nowhere = os.open(os.devnull, os.O_WRONLY)
    try:
        os.dup2(nowhere, 2)
        yield
    finally:
        os.dup2(kept, 2)
        os.close(nowhere)
        os.close(kept)
