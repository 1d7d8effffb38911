import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge_af.place import place_of
from edge_af.scale import PAPER41_LABELS, DefocusScale

SCALE = DefocusScale.paper41()
BIN_UM = float(SCALE.widths_um.mean())


def bell(middle_um, width_um, scale=SCALE):
    row = np.exp(-0.5 * ((scale.centres_um - middle_um) / width_um) ** 2)
    return row / row.sum()


@settings(max_examples=60, deadline=None)
@given(shifts=st.lists(st.integers(-8, 8), min_size=1, max_size=8), width_um=st.floats(0.4, 0.9))
def test_tiles_as_sure_as_each_other_are_averaged(shifts, width_um):
    even = DefocusScale.uniform(41, -12.3, 12.3)
    middles_um = 0.6 * np.array(shifts)
    place = place_of(even, np.array([bell(um, width_um, even) for um in middles_um]))
    assert place.defocus_um == pytest.approx(middles_um.mean(), abs=1e-6)


def test_it_follows_a_small_change_within_a_class():
    steps_um = np.arange(3.0, 3.6, 0.05)
    places = [place_of(SCALE, np.tile(bell(um, 0.45), (6, 1))).defocus_um for um in steps_um]
    assert np.diff(places) == pytest.approx(0.05, abs=0.03)


def test_a_sure_tile_counts_for_more():
    place = place_of(SCALE, np.array([bell(0.0, 0.3), bell(1.0, 1.2)]))
    assert 0 < place.defocus_um < 0.2


def test_what_lies_apart_from_the_highest_peak_does_not_count():
    torn = 0.6 * bell(5.0, 0.5) + 0.4 * bell(-5.0, 0.5)
    place = place_of(SCALE, torn[None])
    assert place.defocus_um == pytest.approx(5.0, abs=0.05)
    alone = place_of(SCALE, bell(5.0, 0.5)[None])
    assert place.sigma_um == pytest.approx(alone.sigma_um, rel=0.05)


@pytest.mark.parametrize(
    ("width_um", "sigma_um"), [(0.5, 0.5**2 / (1.6 * BIN_UM)), (2.0, 2.0)], ids=["narrow", "wide"]
)
def test_how_sure_it_is(width_um, sigma_um):
    # Cutting a bell off at 2 % of its height takes some of its width.
    place = place_of(SCALE, bell(0.0, width_um)[None])
    assert place.sigma_um == pytest.approx(sigma_um, rel=0.15)


@settings(max_examples=60, deadline=None)
@given(index=st.integers(0, 40))
def test_an_answer_of_one_class_is_its_middle(index):
    place = place_of(SCALE, np.eye(41)[index][None])
    assert place.defocus_um == pytest.approx(SCALE.centres_um[index])
    assert place.sigma_um == 0.1  # never quite sure


def test_of_an_answer_that_says_nothing_the_width_is_that_of_the_scale():
    place = place_of(SCALE, np.full((1, 41), 1 / 41))
    assert place.defocus_um == pytest.approx(0.0, abs=1e-9)
    assert place.sigma_um == pytest.approx(25 / math.sqrt(12), rel=0.05)


@settings(max_examples=60, deadline=None)
@given(middle_um=st.floats(-12, 12), width_um=st.floats(0.2, 2))
def test_the_order_of_the_labels_does_not_matter(middle_um, width_um):
    alphabetical = DefocusScale.from_labels(sorted(PAPER41_LABELS))
    one = place_of(SCALE, bell(middle_um, width_um)[None])
    other = place_of(alphabetical, bell(middle_um, width_um, alphabetical)[None])
    assert other.defocus_um == pytest.approx(one.defocus_um, abs=1e-9)
    assert other.sigma_um == pytest.approx(one.sigma_um, abs=1e-9)
