"""What a Keras network costs: parameters and multiply-accumulates."""

import math
from typing import Any

import keras


def parameters(network: keras.Model) -> int:
    """Return how many weights a Keras network has, those that do not learn included."""
    return int(network.count_params())


def macs(network: keras.Model) -> int:
    """Return the multiply-accumulates of one tile in convolutions and dense layers."""
    return sum(_macs_of(layer) for layer in network.layers)


def _macs_of(layer: Any) -> int:
    if isinstance(layer, keras.Model):
        return macs(layer)
    if not hasattr(layer, "kernel"):
        return 0
    kernel = int(math.prod(layer.kernel.shape))
    if isinstance(layer, keras.layers.Dense):
        return kernel
    height, width = layer.output.shape[1:3]
    return int(height) * int(width) * kernel
