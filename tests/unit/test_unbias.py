"""Putting back what quantisation shifted, on a network whose biases were pushed by hand."""

import numpy as np
import pytest
from ai_edge_litert import schema_py_generated as schema

from convert.lite import Lite, operations
from convert.pack import packed
from convert.unbias import unbiased

LAYERS = ("CONV_2D", "FULLY_CONNECTED")


def ignore(what, done, total):
    """Take the progress, and do nothing with it."""
    del what, done, total


@pytest.fixture
def networks(tiny_models):
    """The same network in float and in int8, and pictures as both take them."""
    shown = np.load(tiny_models / "pixels_float.npz")["features"].astype(np.float32) / 127.5 - 1
    contents = ((tiny_models / f"pixels_{of}.tflite").read_bytes() for of in ("float", "int8"))
    return *contents, shown


def pushed(content, steps):
    """Add `steps` to every bias of convolutions and dense layers."""
    model = schema.ModelT.InitFromPackedBuf(content)
    graph = model.subgraphs[0]
    for operator, operation in zip(graph.operators, operations(content), strict=True):
        if operation.kind in LAYERS:
            buffer = model.buffers[graph.tensors[operator.inputs[2]].buffer]
            codes = np.frombuffer(bytes(bytearray(buffer.data)), "<i4") + np.int32(steps)
            buffer.data = np.frombuffer(codes.tobytes(), np.uint8)
    return packed(model)


def off(float_content, int8_content, shown):
    """Root mean square over the classes of by how much their mean answer differs."""
    differs = Lite(int8_content)(shown) - Lite(float_content)(shown)
    return np.sqrt((differs.mean(axis=0) ** 2).mean())


def test_biases_that_were_pushed_come_back(networks):
    floats, int8, shown = networks
    wrong = pushed(int8, 600)
    cured = unbiased(floats, wrong, shown, shown, ignore)
    as_quantised = off(floats, int8, shown)
    assert off(floats, wrong, shown) > 5 * as_quantised
    assert off(floats, cured, shown) <= as_quantised
    assert len(Lite(cured)(shown[:1])[0]) == 41


def test_nothing_but_biases_changes(networks):
    floats, int8, shown = networks
    before, after = (
        schema.ModelT.InitFromPackedBuf(content)
        for content in (int8, unbiased(floats, int8, shown, shown, ignore))
    )
    graph = before.subgraphs[0]
    biases = {
        graph.tensors[operator.inputs[2]].buffer
        for operator, operation in zip(graph.operators, operations(int8), strict=True)
        if operation.kind in LAYERS
    }
    same = [
        np.array_equal(one.data, other.data)
        for number, (one, other) in enumerate(zip(before.buffers, after.buffers, strict=True))
        if number not in biases and one.data is not None
    ]
    assert same
    assert all(same)
    assert [each.name for each in after.subgraphs[0].tensors] == [
        each.name for each in graph.tensors
    ]


def test_layers_without_a_twin_stay_as_they_are(networks):
    floats, int8, shown = networks
    model = schema.ModelT.InitFromPackedBuf(floats)
    for tensor in model.subgraphs[0].tensors:
        tensor.name = b"other/" + tensor.name
    cured = unbiased(packed(model), int8, shown, shown, ignore)
    assert np.array_equal(Lite(cured)(shown), Lite(int8)(shown))
