import sys
import types

import ai_edge_litert.interpreter
import flatbuffers
import numpy as np
import pytest
from ai_edge_litert import schema_py_generated as schema

from convert.pack import pack
from edge_af.card import ModelCard, PixelInput, PolarSpectrumInput
from edge_af.errors import EdgeAfError, ModelError, UserError
from edge_af.interpreter import Network
from edge_af.model_file import read_model_file

POLAR = PolarSpectrumInput(
    kind="polar_spectrum",
    ring_edges=tuple(0.1 * edge for edge in range(1, 10)),
    sectors=6,
    mean=(0.0,) * 72,
    std=(1.0,) * 72,
)


@pytest.fixture
def load(tmp_path, tiny_models, tiny_card):
    """Pack one of the tiny models with a changed card, and load it."""

    def load(name, **fields):
        card = ModelCard.model_validate(tiny_card.model_dump() | fields)
        path = tmp_path / f"{name}.tflite"
        path.write_bytes(pack((tiny_models / path.name).read_bytes(), card))
        return Network(read_model_file(path))

    return load


def truth(tiny_models, name):
    """Features, and what Keras computes from them in float32."""
    with np.load(tiny_models / f"{name}.npz") as file:
        return file["features"], file["outputs"]


def test_int8_logits_are_those_of_keras(load, tiny_models):
    features, logits = truth(tiny_models, "pixels_int8")
    computed = load("pixels_int8")(features)
    assert computed.dtype == np.float32
    assert np.abs(computed - logits).max() < 0.03 * np.ptp(logits)


def test_float_logits_are_those_of_keras(load, tiny_models):
    features, logits = truth(tiny_models, "pixels_float")
    assert np.abs(load("pixels_float")(features) - logits).max() < 1e-4 * np.ptp(logits)


def test_a_polar_spectrum_goes_in_as_it_is(load, tiny_models):
    features, probabilities = truth(tiny_models, "polar_int8")
    assert np.ptp(probabilities) > 0.5
    computed = load("polar_int8", input=POLAR, output="probabilities")(features)
    assert np.abs(computed - probabilities).max() < 0.1
    assert computed.sum(axis=1) == pytest.approx(1.0, abs=0.05)


def test_the_cards_preprocessing_is_what_is_done(load, tiny_models):
    features, logits = truth(tiny_models, "pixels_int8")
    network = load("pixels_int8", input=PixelInput(kind="pixels", multiply=1 / 255, add=0.0))
    assert np.abs(network(features) - logits).max() > 0.2 * np.ptp(logits)


def test_a_tile_is_computed_by_itself(packed_model):
    network = Network(read_model_file(packed_model), threads=2)
    tiles = np.random.default_rng(1).integers(0, 256, (3, 32, 32, 3), dtype=np.uint8)
    together = network(tiles)
    assert network(tiles[2:]).tolist() == together[2:].tolist()
    assert network(tiles[:0]).shape == (0, 41)


def test_another_tile_size_than_the_cards_is_refused(load):
    with pytest.raises(ModelError, match=r"input has shape \(1, 32, 32, 3\).*\(1, 64, 64, 3\)"):
        load("pixels_int8", tile_px=64)


def test_another_kind_of_input_than_the_cards_is_refused(load):
    with pytest.raises(ModelError, match=r"input has shape \(1, 8, 6, 9\).*\(1, 32, 32, 3\)"):
        load("polar_int8")


def test_another_class_count_than_the_cards_is_refused(load, tiny_card):
    with pytest.raises(ModelError, match=r"output has shape \(1, 41\).*\(1, 21\)"):
        load("pixels_int8", labels=tiny_card.labels[:21], bins_um=tiny_card.bins_um[:21])


def test_a_second_output_is_what_feeds_the_last_layer(load, tiny_models):
    with np.load(tiny_models / "two_outputs.npz") as file:
        features, answers, penultimate = file["features"], file["answer"], file["penultimate"]
    network = load("two_outputs", penultimate=41)
    got_answers, got_penultimate = network.both(features)
    assert np.abs(got_answers - answers).max() < 0.05 * np.ptp(answers)
    assert np.abs(got_penultimate - penultimate).max() < 0.05 * np.ptp(penultimate)
    assert network(features).tolist() == got_answers.tolist()
    empty = network.both(features[:0])
    assert [part.shape for part in empty] == [(0, 41), (0, 41)]


def test_a_model_with_one_output_has_nothing_to_fit_a_head_on(packed_model):
    network = Network(read_model_file(packed_model))
    with pytest.raises(ModelError, match=r"no second output .*edge-af-convert"):
        network.both(np.zeros((1, 32, 32, 3), np.uint8))


@pytest.mark.parametrize(
    ("name", "length", "fault"),
    [
        ("two_outputs", None, "has 2 outputs, 1 is needed"),
        ("two_outputs", 40, r"penultimate has shape \(1, 41\), its card says \(1, 40\)"),
        ("pixels_int8", 41, "convert it again"),
    ],
)
def test_outputs_that_are_not_the_cards_are_refused(load, name, length, fault):
    with pytest.raises(ModelError, match=fault):
        load(name, penultimate=length)


def test_fewer_than_one_thread_is_a_users_mistake(packed_model):
    with pytest.raises(UserError, match="got 0"):
        Network(read_model_file(packed_model), threads=0)


@pytest.mark.parametrize(
    "features",
    [np.zeros((1, 32, 32, 3)), np.zeros((32, 32, 3), np.uint8), np.zeros((1, 31, 32, 3), np.uint8)],
)
def test_features_of_another_shape_or_type_are_refused(packed_model, features):
    with pytest.raises(ValueError, match="must be uint8 of shape"):
        Network(read_model_file(packed_model))(features)


def test_a_model_that_the_runtime_refuses_is_a_model_error(tmp_path, tiny_tflite, tiny_card):
    model = schema.ModelT.InitFromPackedBuf(tiny_tflite)
    for code in model.operatorCodes:
        code.builtinCode = code.deprecatedBuiltinCode = schema.BuiltinOperator.CUSTOM
        code.customCode = "NoSuchOperator"
    builder = flatbuffers.Builder()
    builder.Finish(model.Pack(builder), file_identifier=b"TFL3")
    path = tmp_path / "model.tflite"
    path.write_bytes(pack(bytes(builder.Output()), tiny_card))
    with pytest.raises(ModelError, match=r"ai-edge-litert refuses the model .*NoSuchOp") as caught:
        Network(read_model_file(path))
    assert "\n" not in str(caught.value)


def test_the_preferred_runtime_says_so(packed_model):
    assert Network(read_model_file(packed_model)).runtime == "ai-edge-litert"


def test_tflite_runtime_is_the_fall_back_and_says_so(packed_model, monkeypatch):
    # tflite-runtime cannot be installed beside numpy 2: LiteRT stands in under its name.
    stand_in = types.ModuleType("tflite_runtime.interpreter")
    stand_in.Interpreter = ai_edge_litert.interpreter.Interpreter
    monkeypatch.setitem(sys.modules, "ai_edge_litert.interpreter", None)
    monkeypatch.setitem(sys.modules, "tflite_runtime", types.ModuleType("tflite_runtime"))
    monkeypatch.setitem(sys.modules, "tflite_runtime.interpreter", stand_in)
    network = Network(read_model_file(packed_model))
    assert network.runtime == "tflite-runtime"
    assert network(np.zeros((1, 32, 32, 3), np.uint8)).shape == (1, 41)


def test_without_a_runtime_the_package_to_install_is_named(packed_model, monkeypatch):
    monkeypatch.setitem(sys.modules, "ai_edge_litert.interpreter", None)
    monkeypatch.setitem(sys.modules, "tflite_runtime", None)
    with pytest.raises(EdgeAfError, match="pip install ai-edge-litert"):
        Network(read_model_file(packed_model))
