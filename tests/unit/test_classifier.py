import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from convert.pack import pack
from edge_af.card import ModelCard, PolarSpectrumInput
from edge_af.classifier import (
    INDEPENDENT_TILES,
    MOST_TILES,
    Abstained,
    Classifier,
    agree,
    calibrated,
    entropy_nats,
    fuse,
    novelty,
)
from edge_af.errors import ModelError
from edge_af.model_file import read_model_file
from edge_af.spectrum import CHANNELS, MIDDLE, PER_DEVIATION
from edge_af.tiles import Tile
from hw.camera import Frame

CLASSES = 41


@pytest.fixture
def classifier_of(tmp_path, tiny_tflite, tiny_card):
    """A classifier on the tiny model, with the abstention thresholds given."""

    def classifier_of(**limits):
        abstention = tiny_card.abstention.model_dump() | limits
        card = ModelCard.model_validate(tiny_card.model_dump() | {"abstention": abstention})
        path = tmp_path / "model.tflite"
        path.write_bytes(pack(tiny_tflite, card))
        return Classifier(read_model_file(path))

    return classifier_of


def frame_of(pixels, um_per_px=0.35):
    return Frame(np.asarray(pixels, np.uint8), 0.0, 0.01, um_per_px)


def textured(shape_px=(96, 128)):
    """Blocks of random grey: content at every scale that a content score may look at."""
    rng = np.random.default_rng(4)
    coarse = rng.integers(60, 200, (shape_px[0] // 8, shape_px[1] // 8, 3))
    return np.repeat(np.repeat(coarse, 8, axis=0), 8, axis=1)


rows = arrays(float, (6, CLASSES), elements=st.floats(0, 1)).filter(
    lambda row: row.sum(axis=1).min() > 1e-3
)
answers = rows.map(lambda row: row / row.sum(axis=1, keepdims=True))
quick = settings(max_examples=40, deadline=None)


@quick
@given(
    logits=arrays(np.float32, (3, CLASSES), elements=st.floats(-100, 100, width=32)),
    temperature=st.floats(0.05, 20),
)
def test_calibrated_is_softmax_at_the_cards_temperature(tiny_card, logits, temperature):
    card = tiny_card.model_copy(update={"temperature": temperature})
    got = calibrated(logits, card)
    assert got.dtype == np.float64
    assert got.sum(axis=1) == pytest.approx(1)
    # Odds are what a softmax is about: log (p_i / p_j) = (l_i - l_j) / T.
    top, other = logits[0].argmax(), 7
    odds = (float(logits[0, top]) - float(logits[0, other])) / temperature
    if odds < 500:
        assert got[0, top] == pytest.approx(got[0, other] * math.exp(odds), rel=1e-6)


def test_a_higher_temperature_is_less_certain(tiny_card):
    logits = np.random.default_rng(2).normal(0, 3, (5, CLASSES)).astype(np.float32)
    entropies = [
        entropy_nats(calibrated(logits, tiny_card.model_copy(update={"temperature": temperature})))
        for temperature in (0.5, 1.0, 2.0, 8.0)
    ]
    assert (np.diff(entropies, axis=0) > 0).all()


def test_probabilities_are_kept_at_temperature_1_and_softened_above(tiny_card):
    said = np.full((1, CLASSES), 0.5 / 40, np.float32)
    said[0, 3] = 0.5
    card = tiny_card.model_copy(update={"output": "probabilities"})
    assert calibrated(said, card) == pytest.approx(said, abs=1e-6)
    softer = calibrated(said, card.model_copy(update={"temperature": 2.0}))
    assert softer[0, 3] / softer[0, 4] == pytest.approx(math.sqrt(40), rel=1e-5)


def test_an_int8_probability_of_0_is_not_impossible(tiny_card):
    said = np.eye(1, CLASSES, dtype=np.float32)
    got = calibrated(said, tiny_card.model_copy(update={"output": "probabilities"}))
    # An int8 softmax has steps of 1/256: a 0 may be anything below half of one.
    assert got[0, 1] / got[0, 0] == pytest.approx(1 / 512)
    assert got.sum() == pytest.approx(1)


@quick
@given(index=st.integers(0, CLASSES - 1))
def test_entropy_runs_from_0_to_that_of_an_even_spread(index):
    even = np.full(CLASSES, 1 / CLASSES)
    rows = np.stack([np.eye(CLASSES)[index], even])
    assert entropy_nats(rows) == pytest.approx([0.0, math.log(CLASSES)], abs=1e-9)


@quick
@given(answers=answers, seed=st.integers(0, 100))
def test_fusing_does_not_depend_on_the_order_of_the_tiles(answers, seed):
    shuffled = np.random.default_rng(seed).permutation(answers)
    fused = fuse(answers)
    assert fuse(shuffled) == pytest.approx(fused)
    assert fused.sum() == pytest.approx(1)
    assert (fused > 0).all()


@quick
@given(answers=answers, copies=st.integers(2, 5))
def test_more_tiles_than_are_independent_add_no_certainty(answers, copies):
    # All the same evidence over again: 6 tiles are above the cap already.
    assert len(answers) > INDEPENDENT_TILES
    assert fuse(np.tile(answers, (copies, 1))) == pytest.approx(fuse(answers))


def test_up_to_the_cap_tiles_that_agree_add_certainty():
    answer = np.full((1, CLASSES), 0.3 / 40)
    answer[0, 9] = 0.7
    cap = int(INDEPENDENT_TILES)
    tops = [fuse(np.repeat(answer, count, axis=0))[9] for count in range(1, cap + 4)]
    assert np.all(np.diff(tops[:cap]) > 0)
    assert tops[cap:] == pytest.approx([tops[cap - 1]] * 3)


def test_one_tile_does_not_veto_the_others():
    right, wrong = np.eye(CLASSES)[20], np.eye(CLASSES)[3]
    assert fuse(np.stack([right, right, wrong])).argmax() == 20


@pytest.mark.parametrize(
    ("expected_um", "makes_sense"),
    [
        ([4.0], True),
        ([4.0, 4.9, 3.2, 4.1], True),
        ([4.0, 4.2, 3.9, 4.1, -9.0], True),  # one outlier
        ([-8.0, 8.0, -6.0, 7.0], False),
        ([-9.0, -4.0, 0.5, 5.0, 11.0], False),
    ],
)
def test_tiles_of_one_plane_agree(expected_um, makes_sense):
    assert agree(np.array(expected_um)) is makes_sense


def test_a_frame_gets_a_distribution(classifier_of):
    classifier = classifier_of(min_content=0.02, max_entropy_nats=10.0)
    sight = classifier.look(frame_of(textured()))
    # 3 x 4 tiles of 32 px, all of them full.
    assert (sight.abstained, sight.tiles_used) == (None, 12)
    assert sight.distribution.shape == (CLASSES,)
    assert sight.distribution.sum() == pytest.approx(1)


def test_no_more_tiles_are_looked_at_than_help(classifier_of):
    classifier = classifier_of(min_content=0.02, max_entropy_nats=10.0)
    assert classifier.look(frame_of(textured((160, 160)))).tiles_used == MOST_TILES < 25


@pytest.mark.parametrize("level", [0, 128, 255])
def test_a_frame_of_one_level_is_empty(classifier_of, level):
    sight = classifier_of(min_content=0.02).look(frame_of(np.full((96, 128, 3), level)))
    assert (sight.distribution, sight.abstained) == (None, Abstained.EMPTY)


def test_only_full_tiles_are_asked(classifier_of):
    pixels = np.full((96, 128, 3), 200)
    pixels[32:64, 64:96] = textured((32, 32))
    sight = classifier_of(min_content=0.02, max_entropy_nats=10.0).look(frame_of(pixels))
    assert (sight.abstained, sight.tiles_used) == (None, 1)


def test_answers_that_say_nothing_are_not_given(classifier_of):
    sight = classifier_of(max_entropy_nats=0.0).look(frame_of(textured()))
    assert (sight.distribution, sight.abstained) == (None, Abstained.UNCERTAIN)


@pytest.mark.parametrize(("content", "used"), [(0.009, 1), (0.09, 0)])
def test_tiles_that_hold_little_silence_no_other(classifier_of, monkeypatch, content, used):
    classifier = classifier_of(min_content=0.001, max_entropy_nats=1.0)
    answers = np.vstack([np.eye(CLASSES)[[7]], np.full((5, CLASSES), 1 / CLASSES)])
    monkeypatch.setattr(classifier, "answer", lambda _: answers)
    pixels = textured((32, 32)).astype(np.uint8)
    sight = classifier.see([Tile(pixels, (0, 0), content)] * 6)
    assert sight.tiles_used == used
    if used:
        assert sight.place.defocus_um == pytest.approx(classifier.scale.centres_um[7])
    else:
        assert sight.abstained is Abstained.UNCERTAIN


@pytest.mark.parametrize(
    ("shape_px", "um_per_px", "fault"),
    [
        ((24, 128), 0.35, "128 x 24 px at 0.35 um/px, smaller than the model's tile of 32 px"),
        ((96, 128), 0.1, "smaller than the model's tile"),
        ((96, 128), 0.5, "the camera's pixels are 0.5 um"),
    ],
)
def test_frames_that_do_not_fit_are_refused(classifier_of, shape_px, um_per_px, fault):
    with pytest.raises(ModelError, match=fault):
        classifier_of().look(frame_of(np.zeros((*shape_px, 3)), um_per_px))


def test_novelty_counts_standard_deviations_of_training(tiny_card):
    rings, sectors = 3, 4
    spectrum = PolarSpectrumInput(
        kind="polar_spectrum",
        ring_edges=tuple(range(1, rings + 2)),
        sectors=sectors,
        mean=(0.0,) * rings * CHANNELS,
        std=(1.0,) * rings * CHANNELS,
    )
    card = tiny_card.model_copy(update={"input": spectrum})
    typical = np.full((rings, sectors, CHANNELS), MIDDLE)
    two_off = typical + round(2 * PER_DEVIATION)
    # Sectors that differ, about the same mean, are texture with a direction: nothing new.
    directed = typical + np.array([20, -20, 20, -20])[:, None]
    features = np.stack([typical, two_off, directed]).astype(np.uint8)
    assert novelty(card, features) == pytest.approx([0.0, 4.0, 0.0], abs=0.1)
    assert novelty(tiny_card, features).tolist() == [0.0, 0.0, 0.0]
