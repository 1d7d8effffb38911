"""What a frozen graph says of its two ends: how it scales its input, and what its answers are."""

from collections.abc import Callable
from typing import Any

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

_PASSING = ("Identity", "Cast", "StopGradient")
_CONSTANT_SIDE: dict[str, Callable[..., Any]] = {
    "Mul": np.multiply,
    "AddV2": np.add,
    "Add": np.add,
    "BiasAdd": np.add,
}
_CONSTANT_RIGHT: dict[str, Callable[..., Any]] = {
    "Sub": np.subtract,
    "RealDiv": np.divide,
    "Div": np.divide,
}


def answer_of(output: Any) -> tuple[Any, str, Any]:
    """Return the tensor to answer with, the operation that the network ends in, what feeds it.

    A softmax is left off: in int8 its steps would be 1/256, and the device has its own. The last is
    the input, (1, m), of a closing dense layer, None where there is none.
    """
    tensor = _behind(output)
    ending = str(tensor.op.type)
    if ending == "Softmax":
        tensor = _behind(tensor.op.inputs[0])
    dense = tensor.op
    if dense.type in ("BiasAdd", "AddV2", "Add"):
        dense = _behind(dense.inputs[0]).op
    if dense.type == "MatMul" and dense.inputs[0].shape.rank == 2:
        if ending != "Softmax":
            ending = "dense"
        return tensor, ending, dense.inputs[0]
    return tensor, ending, None


def scaling_of(features: Any) -> dict[str, list[float]] | None:
    """Return what the network itself makes of 0 and of 255, by channel, before its first layer.

    None where it does nothing to its input. As a Rescaling or Normalization layer, or the
    preprocess_input of keras.applications, leaves it in the graph.
    """
    black, white = np.zeros(1), np.full(1, 255.0)
    tensor, scaled = features, False
    while len(tensor.consumers()) == 1:
        (operation,) = tensor.consumers()
        if operation.type in (*_PASSING, "ReverseV2", "StridedSlice"):
            # Reversed channels do not matter for whether something is scaled.
            tensor = operation.outputs[0]
            continue
        constant = _other(operation, tensor)
        apply = _CONSTANT_SIDE.get(operation.type)
        if operation.type in _CONSTANT_RIGHT and operation.inputs[0] is tensor:
            apply = _CONSTANT_RIGHT[operation.type]
        if apply is None or constant is None or constant.size not in (1, 3):
            break
        black, white = apply(black, constant.ravel()), apply(white, constant.ravel())
        tensor, scaled = operation.outputs[0], True
    return {"black": black.tolist(), "white": white.tolist()} if scaled else None


def _behind(tensor: Any) -> Any:
    while tensor.op.type in _PASSING:
        tensor = tensor.op.inputs[0]
    return tensor


def _other(operation: Any, tensor: Any) -> NDArray[np.float64] | None:
    """Return the constant that a two-sided operation has beside `tensor`."""
    others = [_behind(each) for each in operation.inputs if each is not tensor]
    if len(others) != 1 or others[0].op.type != "Const":
        return None
    return np.asarray(tf.make_ndarray(others[0].op.get_attr("value")), np.float64)
