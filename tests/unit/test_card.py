import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from edge_af.card import ModelCard, PolarSpectrumInput
from edge_af.errors import ModelError
from edge_af.scale import PAPER41_LABELS, DefocusScale

POLAR = {
    "kind": "polar_spectrum",
    "ring_edges": [0.1, 0.2, 0.4],
    "sectors": 8,
    "mean": [0.0] * 18,
    "std": [1.0] * 18,
}


def test_a_card_survives_json(tiny_card):
    assert ModelCard.from_json(tiny_card.model_dump_json().encode()) == tiny_card


def test_the_scale_keeps_the_output_order(tiny_card):
    labels = tuple(sorted(PAPER41_LABELS))
    fields = {"labels": labels, "bins_um": DefocusScale.from_labels(labels).bins_um}
    scale = changed(tiny_card, **fields).scale
    assert labels[scale.index_of(-12.0)] == "class -20"


def test_pixels_are_what_the_network_takes(tiny_card):
    assert tiny_card.feature_shape == (32, 32, 3)


def test_a_spectrum_has_one_ring_between_two_edges(tiny_card):
    card = changed(tiny_card, input=POLAR)
    assert isinstance(card.input, PolarSpectrumInput)
    assert card.feature_shape == (2, 8, 9)


def test_a_card_cannot_be_changed(tiny_card):
    with pytest.raises(ValidationError, match="frozen"):
        tiny_card.temperature = 2.0


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"format": 2}, "format"),
        ({"name": ""}, "name"),
        ({"labels": ["class 0"] * 41}, "labels"),
        ({"labels": list(PAPER41_LABELS[1:])}, "bins_um"),
        ({"labels": [*PAPER41_LABELS[:40], 20]}, "labels.40"),
        ({"bins_um": [[0, 1]] * 41}, "bins_um"),
        ({"sign_convention": "defocus = focus - stage"}, "sign_convention"),
        ({"um_per_px": 0.0}, "um_per_px"),
        ({"um_per_px": "0.35"}, "um_per_px"),
        ({"tile_px": 0}, "tile_px"),
        ({"input": {"kind": "voxels"}}, "input"),
        ({"input": {"kind": "pixels", "multiply": 0.0, "add": 0.0}}, "input.pixels.multiply"),
        ({"input": POLAR | {"ring_edges": [0.1, 0.1]}}, "input.polar_spectrum.ring_edges"),
        ({"input": POLAR | {"mean": [0.0] * 17}}, "input.polar_spectrum.mean"),
        ({"input": POLAR | {"std": [0.0] * 18}}, "input.polar_spectrum.std"),
        ({"output": "scores"}, "output"),
        ({"temperature": -1.0}, "temperature"),
        ({"objective": {"magnification": 20.0, "numerical_aperture": 75.0}}, "objective.numer"),
        ({"abstention": None}, "abstention"),
        ({"metrics": {"mae_um": None}}, "metrics.mae_um"),
        ({"sha256": "0" * 63 + "G"}, "sha256"),
        ({"colour": "red"}, "colour"),
    ],
)
def test_a_bad_card_is_refused_in_one_line_that_names_the_field(tiny_card, change, field):
    fields = tiny_card.model_dump(mode="json") | change
    with pytest.raises(ModelError) as caught:
        ModelCard.from_json(json.dumps(fields).encode())
    assert f"field '{field}" in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("field", ["sha256", "temperature", "objective", "sign_convention"])
def test_no_field_may_be_left_out(tiny_card, field):
    fields = tiny_card.model_dump(mode="json", exclude={field})
    with pytest.raises(ModelError, match=f"field '{field}' is wrong: Field required"):
        ModelCard.from_json(json.dumps(fields).encode())


@pytest.mark.parametrize("value", ["NaN", "Infinity", "1e999"])
def test_numbers_that_are_not_finite_are_refused(tiny_card, value):
    text = tiny_card.model_dump_json().replace('"temperature":1.0', f'"temperature":{value}')
    with pytest.raises(ModelError, match="temperature"):
        ModelCard.from_json(text.encode())


@given(st.binary())
def test_bytes_that_are_no_json_are_refused(text):
    with pytest.raises(ModelError):
        ModelCard.from_json(text)


def changed(card, **fields):
    return ModelCard.model_validate(card.model_dump() | fields)
