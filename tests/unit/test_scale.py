import itertools
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge_af.scale import PAPER41_LABELS, DefocusScale, ScaleError

PAPER = DefocusScale.paper41()
DEFOCUS_UM = st.floats(-12.5, 12.5)


def test_the_41_classes_are_those_of_the_paper():
    assert len(PAPER.bins_um) == 41
    assert PAPER.bins_um[20] == (-0.35, 0.35)
    assert PAPER.bins_um[21] == pytest.approx((0.35, 0.9575))
    assert PAPER.bins_um[0] == pytest.approx((-12.5, -11.8925))
    assert PAPER.bins_um[40] == pytest.approx((11.8925, 12.5))
    widths_um = [high - low for low, high in PAPER.bins_um]
    assert widths_um[:20] + widths_um[21:] == pytest.approx([0.6075] * 40)
    assert (PAPER.range.low_um, PAPER.range.high_um) == (-12.5, 12.5)


@pytest.mark.parametrize(
    ("defocus_um", "label"),
    [
        (0.0, "class 0"),
        (0.35, "class 0"),
        (-0.35, "class 0"),
        (0.36, "class 1"),
        (-0.36, "class -1"),
        (0.9575, "class 1"),
        (-5.0, "class -8"),
        (12.5, "class 20"),
        (40.0, "class 20"),
        (-math.inf, "class -20"),
    ],
)
def test_defocus_falls_in_the_papers_class(defocus_um, label):
    assert PAPER41_LABELS[PAPER.index_of(defocus_um)] == label


def test_the_alphabetical_order_of_keras_is_followed():
    labels = sorted(PAPER41_LABELS)
    assert labels[:3] == ["class -1", "class -10", "class -11"]
    scale = DefocusScale.from_labels(labels)
    assert labels[scale.index_of(-7.0)] == "class -11"
    assert scale.centres_um[labels.index("class 0")] == 0.0
    assert scale.centres_um[labels.index("class -11")] == pytest.approx(-0.35 - 0.6075 * 10.5)


@given(st.permutations(range(41)), DEFOCUS_UM)
def test_order_changes_the_index_but_not_the_bin(order, defocus_um):
    shuffled = DefocusScale(tuple(PAPER.bins_um[index] for index in order))
    found_um = shuffled.bins_um[shuffled.index_of(defocus_um)]
    assert found_um == PAPER.bins_um[PAPER.index_of(defocus_um)]
    assert found_um[0] <= defocus_um <= found_um[1]


@given(DEFOCUS_UM)
def test_a_defocus_and_its_negative_get_mirrored_classes(defocus_um):
    assert PAPER.index_of(defocus_um) + PAPER.index_of(-defocus_um) == 40


@given(st.integers(2, 60), st.floats(-50, 49), st.floats(0.5, 100))
def test_every_centre_lies_in_its_own_bin(count, low_um, span_um):
    scale = DefocusScale.uniform(count, low_um, low_um + span_um)
    assert [scale.index_of(centre) for centre in scale.centres_um] == list(range(count))
    assert np.diff(scale.centres_um) == pytest.approx(span_um / count)
    assert scale.range.high_um == low_um + span_um


def test_expected_defocus_is_the_mean_over_classes():
    scale = DefocusScale(((0.0, 2.0), (-4.0, 0.0)))
    assert scale.expected_um([[1.0, 0.0], [0.25, 0.75]]) == pytest.approx([1.0, -1.25])


@pytest.mark.parametrize("shape", [(41,), (3, 40), (3, 41, 1)])
def test_probabilities_of_another_shape_are_refused(shape):
    with pytest.raises(ScaleError, match=r"\(n, 41\)"):
        PAPER.expected_um(np.zeros(shape))


def test_centres_cannot_be_written_to():
    with pytest.raises(ValueError, match="read-only"):
        PAPER.centres_um[0] = 0.0


@pytest.mark.parametrize(
    ("bins_um", "message"),
    [
        ((), "at least 2 bins, got 0"),
        (((0.0, 1.0),), "at least 2 bins, got 1"),
        (((0.0, 1.0), (1.5, 2.0)), "leave a gap"),
        (((0.0, 1.0), (0.5, 2.0)), "overlap"),
        (((0.0, 1.0), (0.0, 1.0)), "overlap"),
        (((0.0, 9.0), (2.0, 3.0), (9.0, 10.0)), "overlap"),
        (((1.0, 0.0), (1.0, 2.0)), "bin 0 must run"),
        (((0.0, 1.0), (1.0, math.inf)), "bin 1 must run"),
        (((0.0, math.nan), (1.0, 2.0)), "bin 0 must run"),
    ],
)
def test_bins_that_make_no_scale_are_refused(bins_um, message):
    with pytest.raises(ScaleError, match=message):
        DefocusScale(bins_um)


@pytest.mark.parametrize("arguments", [(1, 0, 1), (-3, 0, 1), (4, 1, 1), (4, 0, math.inf)])
def test_uniform_bins_need_a_count_and_a_range(arguments):
    with pytest.raises(ScaleError):
        DefocusScale.uniform(*arguments)


@pytest.mark.parametrize("label", ["class 21", "class -0", "class", "Class 1", "class 1 ", "7", ""])
def test_labels_that_are_no_paper_class_are_refused(label):
    with pytest.raises(ScaleError, match="class N"):
        DefocusScale.from_labels(["class 0", label])


def test_labels_with_a_class_missing_are_refused():
    with pytest.raises(ScaleError, match="gap"):
        DefocusScale.from_labels([label for label in PAPER41_LABELS if label != "class 3"])


def test_fewer_classes_than_the_papers_are_a_scale_too():
    assert DefocusScale.from_labels(["class 1", "class -1", "class 0"]).index_of(-9.0) == 1


def test_nan_has_no_class():
    with pytest.raises(ScaleError, match="NaN"):
        PAPER.index_of(math.nan)


def test_neighbours_share_an_edge_exactly():
    for left, right in itertools.pairwise(PAPER.bins_um):
        assert left[1] == right[0]


@given(zero_um=st.floats(-3, 3))
def test_counted_from_another_zero_every_defocus_is_less_by_that(zero_um):
    scale = DefocusScale.paper41()
    moved = scale.with_zero_at(zero_um)
    answers = np.eye(41)
    assert moved.expected_um(answers) == pytest.approx(scale.expected_um(answers) - zero_um)
