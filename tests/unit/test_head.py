import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from convert.pack import pack
from edge_af.card import Abstention, ModelCard
from edge_af.classifier import Classifier
from edge_af.errors import ModelError, UserError
from edge_af.head import Head, HeadCard, head_beside
from edge_af.model_file import read_model_file

CLASSES = 41


@pytest.fixture
def model(tmp_path, tiny_models, tiny_card):
    """A model with two outputs, both 41 long."""
    card = ModelCard.model_validate(tiny_card.model_dump() | {"penultimate": 41})
    path = tmp_path / "two.tflite"
    path.write_bytes(pack((tiny_models / "two_outputs.tflite").read_bytes(), card))
    return read_model_file(path)


def head_for(sha256, **changes):
    fields = {
        "format": 1,
        "model": "tiny",
        "model_sha256": sha256,
        "um_per_px": 0.5,
        "penultimate": 41,
        "classes": CLASSES,
        "temperature": 1.5,
        "abstention": Abstention(min_content=0.01, max_entropy_nats=2.0, max_novelty=7.0),
        "training": {"fields": ["a", "b"]},
        "metrics": {"after_median_error_um": 0.4},
        "tool_versions": {"numpy": "2"},
    }
    weights = np.random.default_rng(3).normal(0, 1, (42, CLASSES)).astype(np.float32)
    return Head(HeadCard.model_validate(fields | changes), weights)


def test_a_head_survives_its_file(tmp_path):
    head = head_for("a" * 64)
    path = tmp_path / "my.head"
    head.write(path)
    read = Head.read(path)
    assert read.weights.tolist() == head.weights.tolist()
    assert read.card.model_dump(exclude={"sha256"}) == head.card.model_dump(exclude={"sha256"})
    assert [one.name for one in tmp_path.iterdir()] == ["my.head"]
    read.write(path)  # over the old one, and the same again
    assert Head.read(path).card == read.card


@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_no_damaged_byte_is_taken(tmp_path_factory, data):
    path = tmp_path_factory.mktemp("head") / "my.head"
    head_for("b" * 64).write(path)
    content = bytearray(path.read_bytes())
    at = data.draw(st.integers(0, len(content) - 1))
    content[at] ^= data.draw(st.integers(1, 255))
    path.write_bytes(content)
    with pytest.raises(ModelError) as caught:
        Head.read(path)
    assert str(caught.value).startswith(str(path))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("kept", [0, 1, 100, 3000, -4])
def test_a_head_that_is_cut_short_is_refused(tmp_path, kept):
    path = tmp_path / "my.head"
    head_for("c" * 64).write(path)
    path.write_bytes(path.read_bytes()[:kept])
    with pytest.raises(ModelError, match=r"my\.head: "):
        Head.read(path)


def test_what_cannot_be_read_or_written_says_why(tmp_path):
    with pytest.raises(ModelError, match="no such file"):
        Head.read(tmp_path / "none.head")
    with pytest.raises(ModelError, match="cannot be read"):
        Head.read(tmp_path)
    with pytest.raises(UserError, match=r"cannot write .*none/my\.head"):
        head_for("d" * 64).write(tmp_path / "none" / "my.head")


def test_a_head_that_does_not_fit_its_own_card_is_refused(tmp_path):
    path = tmp_path / "my.head"
    head_for("e" * 64, penultimate=40).write(path)
    with pytest.raises(ModelError, match="damaged"):
        Head.read(path)


def test_it_lies_beside_its_model(model):
    assert head_beside(model.path) == model.path.with_name("two.head")


def test_a_classifier_answers_by_the_head_that_it_is_given(model):
    head = head_for(model.card.sha256)
    classifier = Classifier(model, head=head)
    features = np.random.default_rng(1).integers(0, 256, (4, 32, 32, 3), dtype=np.uint8)
    _, penultimate = classifier.network.both(features)
    logits = (penultimate.astype(float) @ head.weights[:-1] + head.weights[-1]) / 1.5
    wanted = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    assert classifier.answer(features) == pytest.approx(wanted, rel=1e-3, abs=1e-6)
    assert np.abs(Classifier(model).answer(features) - wanted).max() > 0.1


def test_the_heads_limits_and_pixel_size_take_the_models_place(model):
    head = head_for(model.card.sha256)
    card = Classifier(model, head=head).card
    assert (card.um_per_px, card.temperature) == (0.5, 1.5)
    assert card.abstention == head.card.abstention
    assert card.sha256 == model.card.sha256


def test_a_head_of_another_model_is_refused(model):
    with pytest.raises(ModelError, match=r"fitted on another model .*ffffffffffff.*--revert"):
        Classifier(model, head=head_for("f" * 64))
