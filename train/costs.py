"""What a .tflite costs: parameters, multiply-accumulates and time."""

import math
import time
from collections.abc import Iterable
from statistics import median

import numpy as np
from ai_edge_litert import schema_py_generated as schema

from edge_af.classifier import Classifier
from edge_af.tiles import Tile

_TIMED_RUNS = 20
_WARM_UP_RUNS = 3


def macs_of_tflite(content: bytes) -> int:
    """Return the multiply-accumulates of one tile in convolutions and dense layers."""
    graph = schema.ModelT.InitFromPackedBuf(content)
    codes = [code.builtinCode for code in graph.operatorCodes]
    tensors = graph.subgraphs[0].tensors
    total = 0
    for operator in graph.subgraphs[0].operators:
        code = codes[operator.opcodeIndex]
        if code == schema.BuiltinOperator.FULLY_CONNECTED:
            total += _size(tensors[operator.inputs[1]].shape)
        elif code in (schema.BuiltinOperator.CONV_2D, schema.BuiltinOperator.DEPTHWISE_CONV_2D):
            places = tensors[operator.outputs[0]].shape[1:3]
            total += _size(places) * _size(tensors[operator.inputs[1]].shape)
    return total


def parameters_of_tflite(content: bytes) -> int:
    """Return how many weights a .tflite holds."""
    graph = schema.ModelT.InitFromPackedBuf(content)
    return sum(
        _size(tensor.shape)
        for tensor in graph.subgraphs[0].tensors
        if tensor.shape is not None and graph.buffers[tensor.buffer].data is not None
    )


def _size(shape: Iterable[int]) -> int:
    """Return the product; in Python's integers, for those of the schema have 32 bits."""
    return math.prod(int(extent) for extent in shape)


def latency_ms(classifier: Classifier) -> float:
    """Return the median time for one tile on one thread here, from pixels to the answer, in ms."""
    card = classifier.card
    rng = np.random.default_rng(0)
    pixels = rng.integers(0, 256, (card.tile_px, card.tile_px, 3), np.uint8)
    tile = Tile(pixels, (0, 0), 1.0)
    durations_s = []
    for _ in range(_WARM_UP_RUNS + _TIMED_RUNS):
        start_s = time.perf_counter()
        classifier.answer(classifier.features([tile]))
        durations_s.append(time.perf_counter() - start_s)
    return 1e3 * median(durations_s[_WARM_UP_RUNS:])
