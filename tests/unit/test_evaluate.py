import numpy as np
import pytest

from edge_af.scale import DefocusScale
from train.metrics import Verdicts, metrics

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
