import math

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from edge_af.belief import DOUBT, GRID_UM, Belief
from edge_af.place import Place
from edge_af.scale import PAPER41_LABELS, DefocusScale
from hw.stage import Range

SCALE = DefocusScale.paper41()
CLASSES = len(PAPER41_LABELS)
BIN_UM = 0.6075
AXIS = Range(-30.0, 30.0)

positions_um = st.floats(-15, 15)
places = st.builds(Place, st.floats(-12.5, 12.5), st.floats(0, 5))


def in_class(index):
    return Place(SCALE.centres_um[index], 0.15)


def after(*looks, over=AXIS):
    belief = Belief(over)
    for look in looks:
        belief.look(*look)
    return belief


def mode_um(belief):
    return belief.focus_um[belief.probability.argmax()]


def mean_um(belief):
    return belief.probability @ belief.focus_um


def variance_um2(belief):
    return belief.probability @ (belief.focus_um - mean_um(belief)) ** 2


@settings(max_examples=40, deadline=None)
@given(
    looks=st.lists(st.tuples(positions_um, places, st.floats(0, 5)), max_size=4),
    sigma_um=st.floats(0, 5),
)
def test_it_stays_a_distribution_whatever_it_is_told(looks, sigma_um):
    belief = Belief(AXIS)
    for position_um, place, slack_um in looks:
        belief.look(position_um, SCALE, place, slack_um)
        belief.spread(sigma_um)
    assert np.isfinite(belief.probability).all()
    assert (belief.probability >= 0).all()
    assert belief.probability.sum() == pytest.approx(1)
    assert AXIS.contains(belief.best_um)
    assert 0 <= belief.within(belief.best_um, 0.8) <= 1 + 1e-9


@settings(max_examples=40, deadline=None)
@given(position_um=positions_um, index=st.integers(0, CLASSES - 1))
def test_the_focus_lies_at_the_position_less_the_defocus(position_um, index):
    belief = after((position_um, SCALE, in_class(index)))
    focus_um = position_um - SCALE.centres_um[index]
    assert abs(mode_um(belief) - focus_um) < BIN_UM
    assert abs(belief.best_um - focus_um) < BIN_UM


@settings(max_examples=40, deadline=None)
@given(one=st.tuples(positions_um, places), other=st.tuples(positions_um, places))
def test_two_looks_multiply(one, other):
    both = after((one[0], SCALE, one[1]), (other[0], SCALE, other[1])).probability
    product = after((one[0], SCALE, one[1])).probability
    product = product * after((other[0], SCALE, other[1])).probability
    assert both == pytest.approx(product / product.sum(), rel=1e-6, abs=1e-12)


def test_it_goes_to_one_of_two_places_not_to_the_nothing_between_them():
    belief = after((0.0, SCALE, Place(5.0, 0.4)), (0.0, SCALE, Place(-5.0, 0.4)))
    assert abs(belief.best_um) == pytest.approx(5.0, abs=0.1)
    belief.look(-5.0, SCALE, Place(0.0, 0.4))
    assert belief.best_um == pytest.approx(-5.0, abs=0.1)
    assert belief.within(-5.0, 0.8) > 0.9


@settings(max_examples=40, deadline=None)
@given(slack_um=st.floats(0.2, 8))
def test_slack_moves_the_focus_up_by_half_of_it_and_widens_by_an_even_spread(slack_um):
    look = (0.0, SCALE, Place(2.0, 0.5))
    known, slack = after(look, over=Range(-20, 20)), after((*look, slack_um), over=Range(-20, 20))
    # focus = position + gap - defocus, with any gap in [0, slack] as likely as another. The doubt
    # mixed into a look is even, here over 40 um of places, of which it takes this share.
    share = DOUBT * 40 / 25 / (1 - DOUBT + DOUBT * 40 / 25)
    shift_um = (mean_um(slack) - mean_um(known)) / (1 - share)
    assert shift_um == pytest.approx(slack_um / 2, abs=0.05)
    assert slack.best_um - known.best_um == pytest.approx(slack_um / 2, abs=0.05)
    inner = np.abs(slack.focus_um - slack.best_um) < slack_um / 2 + 3
    tails = slack.probability[~inner].mean()
    peak = slack.probability[inner] - tails
    places_um = slack.focus_um[inner]
    widened_um2 = peak @ (places_um - slack.best_um) ** 2 / peak.sum()
    inner = np.abs(known.focus_um - known.best_um) < 3
    peak = known.probability[inner] - known.probability[~inner].mean()
    alone_um2 = peak @ (known.focus_um[inner] - known.best_um) ** 2 / peak.sum()
    # 12: the variance of an even spread.
    assert widened_um2 - alone_um2 == pytest.approx(slack_um**2 / 12, rel=0.03, abs=0.02)


@settings(max_examples=40, deadline=None)
@given(sigma_um=st.floats(0.1, 2))
def test_spread_adds_its_variance(sigma_um):
    belief = after((0.0, SCALE, Place(0.0, 0.5)), (0.0, SCALE, Place(0.0, 0.5)))
    before_um2, before_um = variance_um2(belief), mean_um(belief)
    belief.spread(sigma_um)
    assert variance_um2(belief) - before_um2 == pytest.approx(sigma_um**2, rel=0.01, abs=1e-3)
    assert mean_um(belief) == pytest.approx(before_um, abs=1e-6)


def test_no_spread_changes_nothing_and_nothing_known_stays_unknown():
    belief = after((1.0, SCALE, Place(3.0, 0.5)))
    before = belief.probability.copy()
    belief.spread(0.0)
    assert (belief.probability == before).all()
    unknown = Belief(AXIS)
    unknown.spread(3.0)
    assert unknown.probability == pytest.approx(1 / len(unknown.probability))


@settings(max_examples=40, deadline=None)
@given(position_um=positions_um, place=places, slack_um=st.floats(0, 3))
def test_the_order_of_the_labels_does_not_matter(position_um, place, slack_um):
    scale = DefocusScale.from_labels(sorted(PAPER41_LABELS))
    one = after((position_um, SCALE, place, slack_um))
    other = after((position_um, scale, place, slack_um))
    assert other.probability == pytest.approx(one.probability, rel=1e-9)


@settings(max_examples=40, deadline=None)
@given(
    truth_um=st.floats(-12, 12),
    wrong=st.integers(0, CLASSES - 1),
    seen_from_um=st.lists(st.floats(-12, 12), min_size=3, max_size=3),
)
def test_one_wrong_look_never_rules_the_truth_out(truth_um, wrong, seen_from_um):
    assume(abs(-SCALE.centres_um[wrong] - truth_um) > 2.5)
    belief = after((0.0, SCALE, in_class(wrong)))
    for position_um in seen_from_um:
        from_um = position_um if abs(position_um - truth_um) < 12 else truth_um
        belief.look(from_um, SCALE, Place(from_um - truth_um, 0.4))
    assert belief.best_um == pytest.approx(truth_um, abs=0.3)


def test_a_focus_beyond_the_scale_is_still_found():
    truth_um = -16.0
    belief = after((0.0, SCALE, in_class(CLASSES - 1)))
    assert belief.best_um == pytest.approx(-SCALE.centres_um[-1], abs=BIN_UM)
    belief.look(-12.0, SCALE, Place(-12.0 - truth_um, 0.4))
    assert belief.best_um == pytest.approx(truth_um, abs=0.3)


def test_within_is_the_share_of_an_interval():
    belief = Belief(Range(0.0, 10.0))
    assert belief.within(5.0, 2.0) == pytest.approx(0.4, abs=2 * GRID_UM / 10)
    assert belief.within(5.0, 50.0) == pytest.approx(1)


@settings(max_examples=40, deadline=None)
@given(defocus_um=st.floats(-10, 10), sigma_um=st.floats(0.15, 1))
def test_a_look_at_an_unknown_field_is_a_normal_distribution_with_doubt(defocus_um, sigma_um):
    over = Range(-12.5, 12.5)
    belief = after((0.0, SCALE, Place(defocus_um, sigma_um)), over=over)
    for reach in (0.5, 1, 2):
        normal = (1 - DOUBT) * math.erf(reach / math.sqrt(2)) + DOUBT * 2 * reach * sigma_um / 25
        seen = belief.within(-defocus_um, reach * sigma_um)
        # An end of the interval may fall to either side of a grid point.
        assert seen == pytest.approx(normal, abs=0.8 * GRID_UM / sigma_um)


def test_the_smallest_axis_is_still_one():
    belief = after((3.0, SCALE, Place(0.0, 0.3)), over=Range(3.0, 3.0))
    assert belief.best_um == 3.0
