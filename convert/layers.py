"""Where quantisation hurts: the error that each layer of the int8 network adds."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from convert.lite import Operation, all_tensors, operations


@dataclass(frozen=True, slots=True)
class LayerError:
    """An int8 layer against its float twin.

    `error` is the root mean square of the difference over that of the float output, the mean over
    the channels: one that is large would hide the others. `added` is by how much it exceeds the
    largest of its inputs' own.
    """

    name: str
    kind: str
    error: float
    added: float


def layer_errors(
    float_content: bytes,
    int8_content: bytes,
    float_inputs: NDArray[np.floating],
    int8_inputs: NDArray[np.floating],
) -> list[LayerError]:
    """Return the error of each layer that both networks have, in the order in which they run.

    Inputs are the same few pictures (n, ...), as each of the two takes them.
    """
    ours = all_tensors(int8_content, int8_inputs)
    theirs = all_tensors(float_content, float_inputs)
    errors: dict[str, float] = {}
    layers = []
    for operation in operations(int8_content):
        error = _relative(operation.output, theirs, ours)
        if error is None:
            error = _inherited(operation, errors)
        else:
            added = error - _inherited(operation, errors)
            layers.append(LayerError(_short(operation.output), operation.kind, error, added))
        errors[operation.output] = error
    return layers


def worst(layers: list[LayerError]) -> LayerError | None:
    """Return the layer that adds most."""
    return max(layers, key=lambda layer: layer.added, default=None)


def _relative(
    name: str,
    theirs: list[dict[str, NDArray[np.float32]]],
    ours: list[dict[str, NDArray[np.float32]]],
) -> float | None:
    if not all(name in run for run in (*theirs, *ours)):
        return None
    if theirs[0][name].shape != ours[0][name].shape:
        return None
    over = tuple(range(theirs[0][name].ndim - 1))  # all but the channels
    pairs = list(zip(theirs, ours, strict=True))
    difference = np.sum([((a[name] - b[name]) ** 2).sum(axis=over) for a, b in pairs], axis=0)
    size = np.sum([(run[name] ** 2).sum(axis=over) for run in theirs], axis=0)
    alive = size > 0
    return float(np.sqrt(difference[alive] / size[alive]).mean()) if alive.any() else 0.0


def _inherited(operation: Operation, errors: dict[str, float]) -> float:
    return max((errors.get(name, 0.0) for name in operation.inputs), default=0.0)


def _short(name: str) -> str:
    """Return the first of the layers that were made one; the converter joins their names."""
    return name.split(";")[0]
