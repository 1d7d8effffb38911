"""The model that ships, on what it must do: rendered fields, a recorded stack, unseen tiles."""

from pathlib import Path

import pytest

from edge_af.classifier import Classifier
from edge_af.demo import replay_fields, summary, virtual_fields
from edge_af.settings import FocusSettings
from edge_af.shipped import read_model
from hw.stack import read_stacks
from train.evaluate import judge, rendered
from train.metrics import metrics

PADS = Path(__file__).parents[3] / "shared/data/stacks/pads"


@pytest.fixture(scope="module")
def model():
    return read_model(None)


def test_virtual_fields_come_into_focus(model):
    results = list(virtual_fields(model, seed=100, fields=24, settings=FocusSettings()))
    figures = summary(results)
    assert figures["success"] >= 0.95
    assert figures["median_frames"] <= 4
    assert (figures["crashes"], figures["limit_hits"]) == (0, 0)
    assert figures["empty"] >= 1
    assert figures["empty_held"] == figures["empty"]


def test_a_recorded_stack_it_never_saw_the_like_of_ends_in_focus(model):
    if not PADS.is_dir():
        pytest.skip("the recorded stack is not beside this checkout")
    stacks = read_stacks(PADS, um_per_px=0.286)
    results = list(replay_fields(model, stacks, FocusSettings()))
    assert len(results) == 22
    assert [result.end_um for result in results] == [0.0] * 22


def test_tiles_of_unseen_specimens_are_told_right(model):
    classifier = Classifier(model)
    verdicts = judge(classifier, rendered("reference", 400, seed=5000), progress=[].append)
    figures = metrics(verdicts, classifier.scale)
    assert figures["median_abs_error_um"] <= 0.5
    assert figures["false_direction"] <= 0.05
    assert figures["abstained"] <= 0.10
