import numpy as np
import pytest

from convert.draw import drawn_evenly
from convert.proof import proof
from convert.run_folder import HeldOut, read_run
from convert.thresholds import fit_abstention, fit_temperature
from edge_af.abstention import ABSTAIN_SHARE
from edge_af.classifier import calibrated, entropy_nats
from edge_af.errors import UserError
from edge_af.scale import DefocusScale

SCALE = DefocusScale.paper41()


def held_out(defocus_um, full=None, seen=None):
    count = len(defocus_um)
    return HeldOut(
        features=np.zeros((count, 32, 32, 3), np.uint8),
        defocus_um=np.asarray(defocus_um),
        seen=np.full(count, 0.1) if seen is None else seen,
        full=np.full(count, True) if full is None else full,
    )


@pytest.mark.parametrize("temperature", [0.6, 1.0, 2.5])
def test_the_temperature_that_made_the_labels_is_found(tiny_card, temperature):
    rng = np.random.default_rng(1)
    logits = rng.normal(0, 4, (6000, 41))
    weights = np.exp(logits / temperature)
    weights /= weights.sum(axis=1, keepdims=True)
    classes = [rng.choice(41, p=row) for row in weights]
    truth = held_out(SCALE.centres_um[classes])
    found = fit_temperature(logits.astype(np.float32), tiny_card, truth)
    assert found == pytest.approx(temperature, rel=0.08)


def test_empty_tiles_do_not_count_for_the_temperature(tiny_card):
    rng = np.random.default_rng(2)
    logits = rng.normal(0, 4, (4000, 41)).astype(np.float32)
    classes = logits.argmax(axis=1)
    full = np.arange(4000) < 2000
    classes[~full] = (classes[~full] + 20) % 41
    truth = held_out(SCALE.centres_um[classes], full=full)
    assert fit_temperature(logits, tiny_card, truth) < 0.6


def test_the_least_certain_share_abstains(tiny_card):
    rng = np.random.default_rng(3)
    logits = rng.normal(0, 1, (5000, 41)) * rng.uniform(0.5, 8, (5000, 1))
    probabilities = calibrated(logits.astype(np.float32), tiny_card)
    limits = fit_abstention(probabilities, tiny_card, held_out(rng.uniform(-12, 12, 5000)))
    silent = entropy_nats(probabilities) > limits.max_entropy_nats
    assert silent.mean() == pytest.approx(ABSTAIN_SHARE, abs=0.002)


def test_proof_against_figures_worked_out_by_hand():
    certain = np.eye(41)
    exact, beside = certain[[20, 25, 30]], certain[[20, 26, 30]]
    truth = held_out(SCALE.centres_um[[20, 25, 30]])
    report = proof(exact, beside, SCALE, truth)
    assert report["agreement"] == pytest.approx(2 / 3)
    assert (report["top1_float"], report["top1_int8"]) == (1.0, pytest.approx(2 / 3))
    assert report["mae_float_um"] == pytest.approx(0, abs=1e-9)
    assert report["mae_int8_um"] == pytest.approx(0.6075 / 3)
    assert report["max_shift_um"] == pytest.approx(0.6075)


def test_tiles_without_content_or_off_the_scale_prove_nothing():
    certain = np.eye(41)
    truth = held_out([0.0, 13.0, 5.0], full=np.array([True, True, False]))
    report = proof(certain[[20, 0, 0]], certain[[20, 40, 40]], SCALE, truth)
    assert (report["images"], report["agreement"]) == (1, 1.0)


def test_calibration_tiles_are_drawn_evenly_over_unequal_classes():
    classes = np.repeat([0, 1, 2], [500, 50, 5])
    chosen = drawn_evenly(classes, 60)
    assert len(set(chosen.tolist())) == 60
    counts = np.bincount(classes[chosen])
    assert counts[2] == 5
    assert abs(counts[0] - counts[1]) <= 1


def test_more_than_there_are_gives_all():
    assert sorted(drawn_evenly(np.array([0, 0, 1]), 10).tolist()) == [0, 1, 2]


def test_an_unfinished_run_is_refused_by_the_part_that_is_missing(tmp_path):
    with pytest.raises(UserError, match=r"no model\.keras"):
        read_run(tmp_path)
    for name in ("model.keras", "card.json"):
        (tmp_path / name).write_text("{}")
    with pytest.raises(UserError, match=r"no held_out\.npz"):
        read_run(tmp_path)
    (tmp_path / "held_out.npz").write_bytes(b"PK\x03\x04 cut short")
    with pytest.raises(UserError, match="is damaged"):
        read_run(tmp_path)
