"""Reading .tflite files, against what can be worked out from the layers they were made of."""

import numpy as np
import pytest

from convert.convert import float_operations
from convert.layers import LayerError, worst
from convert.lite import Lite, all_tensors, macs, operations
from edge_af.errors import UserError


def test_multiply_accumulates_are_those_of_the_layers(tiny_models):
    # 32 px: Conv 3x3 of 3 to 8, stride 2; Conv 3x3 of 8 to 16; mean; dense 16 to 41.
    first, second, dense = 16 * 16 * 8 * 3 * 3 * 3, 16 * 16 * 16 * 3 * 3 * 8, 16 * 41
    for name in ("pixels_int8", "pixels_float"):
        assert macs((tiny_models / f"{name}.tflite").read_bytes()) == first + second + dense


def test_float_operations_are_told_from_integer_ones(tiny_models):
    assert float_operations((tiny_models / "pixels_int8.tflite").read_bytes()) == []
    in_float = float_operations((tiny_models / "pixels_float.tflite").read_bytes())
    assert {"CONV_2D", "FULLY_CONNECTED"} <= set(in_float)


def test_a_float_network_answers_as_keras_said(tiny_models):
    said = np.load(tiny_models / "pixels_float.npz")
    lite = Lite((tiny_models / "pixels_float.tflite").read_bytes())
    shown = said["features"].astype(np.float32) / 127.5 - 1
    assert lite(shown) == pytest.approx(said["outputs"], abs=1e-4)


def test_an_int8_network_answers_in_real_numbers(tiny_models):
    said = np.load(tiny_models / "pixels_int8.npz")
    lite = Lite((tiny_models / "pixels_int8.tflite").read_bytes())
    answers = lite(said["features"].astype(np.float32) / 127.5 - 1)
    assert np.abs(answers - said["outputs"]).max() < 0.05 * np.ptp(said["outputs"])


def test_every_operation_leaves_its_tensor(tiny_models):
    content = (tiny_models / "pixels_int8.tflite").read_bytes()
    (run,) = all_tensors(content, np.zeros((1, 32, 32, 3), np.float32))
    assert {each.output for each in operations(content)} <= set(run)


def test_what_is_no_network_is_refused():
    with pytest.raises(UserError, match="LiteRT refuses"):
        Lite(b"\x1c\x00\x00\x00TFL3" + bytes(100))


def test_the_worst_layer_is_the_one_that_adds_most():
    layers = [
        LayerError("a", "CONV_2D", 0.02, 0.02),
        LayerError("b", "CONV_2D", 0.4, 0.38),
        LayerError("c", "FULLY_CONNECTED", 0.5, 0.1),
    ]
    assert worst(layers) == layers[1]
    assert worst([]) is None
