import numpy as np
import pytest
from data_sets import write_data

from edge_af.classifier import Classifier, fuse
from edge_af.errors import UserError
from edge_af.model_file import read_model_file
from edge_af.place import place_of
from edge_af.scale import PAPER41_LABELS, DefocusScale
from train.evaluate import frames_from_manifest, frames_in, from_manifest, judge, judge_frames
from train.manifest import read_rows
from train.metrics import (
    Verdicts,
    answers_of,
    calibration_error,
    confusion,
    metrics,
    per_class,
)

SCALE = DefocusScale.paper41()


def verdicts(truth_um, classes, content=None, answered=None):
    count = len(truth_um)
    return Verdicts(
        truth_um=np.array(truth_um),
        content=np.full(count, 0.2) if content is None else np.array(content),
        probabilities=np.eye(41)[classes],
        answered=np.full(count, True) if answered is None else np.array(answered),
    )


def test_figures_worked_out_by_hand():
    width_um = 0.6075
    centre_um = SCALE.centres_um
    truth_um = [0.0, centre_um[25], centre_um[30] + 0.1, -centre_um[35], 0.9]
    figures = metrics(verdicts(truth_um, [20, 26, 30, 35, 19]), SCALE)
    errors = [0.0, width_um, 0.1, 2 * centre_um[35], 0.9 + centre_um[21]]
    assert figures["n"] == figures["answered"] == 5
    assert figures["top1"] == pytest.approx(2 / 5)
    assert figures["within_1"] == pytest.approx(3 / 5)
    assert figures["mae_um"] == pytest.approx(np.mean(errors))
    assert figures["median_abs_error_um"] == pytest.approx(width_um)
    assert figures["within_dof"] == pytest.approx(2 / 5)
    # Of the three tiles further than 1 um one has the wrong sign; the one at 0.9 um is too near.
    assert figures["false_direction"] == pytest.approx(1 / 3)
    assert figures["abstained"] == 0


def test_classes_are_ranked_by_their_place_not_their_index():
    labels = tuple(sorted(f"class {number}" for number in range(-20, 21)))
    shuffled = DefocusScale.from_labels(labels)
    beside = labels.index("class 2")
    figures = metrics(verdicts([shuffled.centres_um[labels.index("class 1")]], [beside]), shuffled)
    assert (figures["top1"], figures["within_1"]) == (0, 1)


def test_empty_tiles_are_left_out_and_silent_ones_counted():
    figures = metrics(
        verdicts(
            [0.0, 0.0, 0.0, 5.0],
            [20, 40, 20, 0],
            content=[0.2, 0.0, np.nan, 0.2],
            answered=[True, True, True, False],
        ),
        SCALE,
    )
    assert (figures["n"], figures["answered"]) == (3, 2)
    assert figures["abstained"] == pytest.approx(1 / 3)
    assert figures["mae_um"] == pytest.approx(0)


def test_a_model_that_says_nothing_abstained_throughout():
    figures = metrics(verdicts([1.0], [20], answered=[False]), SCALE)
    assert figures == {"n": 1, "abstained": 1.0}


def test_confidence_that_is_kept_is_no_error_and_one_that_is_not_is():
    # Ten answers at 0.75: right three times in four is as it should be, half of the time is not.
    answer = np.full(41, 0.25 / 40)
    answer[20] = 0.75

    def said(right, wrong):
        truth_um = [0.0] * right + [5.0] * wrong
        count = right + wrong
        told = Verdicts(
            np.array(truth_um),
            np.full(count, 0.2),
            np.tile(answer, (count, 1)),
            np.full(count, True),
        )
        return calibration_error(answers_of(told, SCALE))

    assert said(15, 5) == pytest.approx(0)
    assert said(10, 10) == pytest.approx(0.25)
    assert said(20, 0) == pytest.approx(0.25)


def test_the_table_of_classes_and_the_confusion_follow_the_line_of_defocus():
    labels = tuple(sorted(PAPER41_LABELS))
    scale = DefocusScale.from_labels(labels)
    at = {label: scale.centres_um[labels.index(label)] for label in labels}
    told = verdicts(
        [at["class -20"], at["class -20"], at["class 3"]],
        [labels.index(label) for label in ("class -20", "class -18", "class 4")],
    )
    answers = answers_of(told, scale)
    table = per_class(answers, labels, scale)
    assert [row["label"] for row in table] == list(PAPER41_LABELS)
    first, third = table[0], table[23]
    assert (first["n"], first["top1"], first["within_1"]) == (2, 0.5, 0.5)
    assert first["bias_um"] == pytest.approx(0.6075)
    assert (third["n"], third["top1"], third["within_1"]) == (1, 0.0, 1.0)
    assert table[1]["n"] == 0
    assert table[1]["mae_um"] is None
    shares = confusion(answers, 41)
    assert (shares[0, 0], shares[0, 2], shares[23, 24]) == (0.5, 0.5, 1.0)


class TestOnAManifest:
    @pytest.fixture
    def classifier(self, packed_model):
        return Classifier(read_model_file(packed_model))

    @pytest.fixture
    def data(self, tmp_path):
        return write_data(tmp_path / "d", fields={"test": 2}, per_field=12, tile_px=48)

    def test_tiles_are_judged_in_batches_as_one_by_one(self, classifier, data):
        rows = read_rows(data)
        told = judge(classifier, from_manifest(data, rows, 32), lambda _: None)
        alone = [judge(classifier, from_manifest(data, [row], 32), lambda _: None) for row in rows]
        np.testing.assert_array_equal(
            told.probabilities, np.concatenate([one.probabilities for one in alone])
        )
        np.testing.assert_array_equal(told.truth_um, [row.z_um for row in rows])

    def test_the_middle_of_larger_tiles_is_looked_at_and_smaller_ones_are_refused(
        self, classifier, data
    ):
        rows = read_rows(data)
        first = next(from_manifest(data, rows, 32))
        whole = next(from_manifest(data, rows, 48))
        np.testing.assert_array_equal(first.pixels, whole.pixels[8:40, 8:40])
        with pytest.raises(UserError, match="--tile-px 64"):
            judge(classifier, from_manifest(data, rows, 64), lambda _: None)

    def test_a_frame_fuses_its_tiles_as_the_device_does(self, classifier, data):
        rows = read_rows(data)  # four tiles a frame
        assert frames_in(rows) == 6
        told = judge_frames(classifier, frames_from_manifest(data, rows, 32), lambda _: None)
        tiles = judge(classifier, from_manifest(data, rows, 32), lambda _: None)
        assert len(told.truth_um) == 6
        for number in range(6):
            of_frame = slice(4 * number, 4 * number + 4)
            assert told.truth_um[number] == pytest.approx(tiles.truth_um[of_frame].mean())
            if told.answered[number]:
                answers = tiles.probabilities[of_frame][tiles.answered[of_frame]]
                np.testing.assert_allclose(told.probabilities[number], fuse(answers))
                place = place_of(classifier.scale, answers)
                assert told.said_um[number] == pytest.approx(place.defocus_um)
