"""Where the picture is sharpest, against the hidden truth and against curves of known middle."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from oracle import Oracle, Rig

from edge_af.classifier import Abstained
from edge_af.routines.hill import hill_um, middle_of, path_um, vertex_um
from edge_af.settings import FocusSettings
from hw.stage import Range


def lorentz(places_um, middle_um, width_um=1.2, floor=0.0):
    return {um: floor + 1 / (1 + ((um - middle_um) / width_um) ** 2) for um in places_um}


@given(st.floats(-0.9, 0.9), st.floats(0.6, 4.0), st.floats(-100, 100))
def test_the_middle_of_a_lorentz_curve_is_found_exactly(middle_um, width_um, at_um):
    places_um = [at_um + offset_um for offset_um in (-2.0, -1.0, 0.0, 1.0, 2.0)]
    found_um = middle_of(lorentz(places_um, at_um + middle_um, width_um))
    assert found_um == pytest.approx(at_um + middle_um, abs=1e-3)


@given(st.floats(-1.4, 1.4), st.floats(0.6, 2.5), st.floats(0.8, 1.5))
def test_three_looks_tell_the_sharpest_place_also_a_little_outside(middle_um, width_um, apart_um):
    found_um = vertex_um(lorentz([-apart_um, 0.0, 1.0], middle_um, width_um), beyond_um=0.5)
    if -apart_um - 0.49 < middle_um < 1.49:
        assert found_um == pytest.approx(middle_um, abs=1e-3)
    elif middle_um < -apart_um - 0.51:
        assert found_um is None


def test_three_looks_that_are_alike_or_at_a_valley_or_at_nothing_tell_no_place():
    assert vertex_um({-1.0: 1.0, 0.0: 1.01, 1.0: 1.0}, beyond_um=0.5) is None
    assert vertex_um({-1.0: 2.0, 0.0: 1.0, 1.0: 2.0}, beyond_um=0.5) is None
    assert vertex_um({-1.0: 0.0, 0.0: 0.0, 1.0: 0.0}, beyond_um=0.5) is None


@pytest.mark.parametrize(
    "curve",
    [
        {um: 1.0 for um in range(5)},
        {um: 1.0 + 0.001 * (um == 2) for um in range(5)},
        {um: 1.0 + um for um in range(5)},
        {um: 5.0 - um for um in range(5)},
        {um: 1.0 + abs(um - 2) for um in range(5)},
        {um: 0.0 for um in range(5)},
    ],
    ids=["flat", "noise", "rises", "falls", "valley", "black"],
)
def test_what_has_no_peak_has_no_middle(curve):
    assert middle_of(curve) is None


AS_SURE_UM = 0.25 * FocusSettings().depth_of_field_um
"""Of an observer that counts as much as sharpness."""


def found_off_um(seed, kind, defocus_um, tells, sigma_um=AS_SURE_UM):
    """How far off the focus it found, looking about a place `defocus_um` off."""
    rig = Rig(seed=seed, kind=kind, defocus_um=0.0, drift_um_per_s=0.0, play_um=0.0)
    rig.engage()
    with rig.desk() as desk:
        at_um = rig.guard.position_um - rig.truth.defocus_um
        most_um = path_um(desk, at_um + defocus_um)
        found_um = hill_um(desk, at_um + defocus_um, Oracle(rig, tells, sigma_um))
        assert rig.guard.travel_um <= most_um
    assert found_um is not None
    return found_um - at_um


@pytest.mark.parametrize("kind", ["tissue", "smear", "sparse"])
@pytest.mark.parametrize("defocus_um", [-0.4, 0.4])
def test_sharpness_alone_tells_where_the_focus_is(kind, defocus_um):
    off_um = [
        found_off_um(seed, kind, defocus_um, lambda _: Abstained.UNCERTAIN) for seed in (0, 1, 2)
    ]
    assert np.median(np.abs(off_um)) < 0.3
    assert np.max(np.abs(off_um)) < 0.5


@pytest.mark.parametrize("error_um", [-0.2, 0.0, 0.2])
@pytest.mark.parametrize(("sigma_um", "share"), [(0.05, 0.5), (AS_SURE_UM, 0.5), (10.0, 0.0)])
def test_what_the_observer_says_counts_by_how_sure_it_is(error_um, sigma_um, share):
    alone_um = found_off_um(1, "tissue", 0.0, lambda _: Abstained.UNCERTAIN)
    both_um = found_off_um(1, "tissue", 0.0, lambda um: um + error_um, sigma_um)
    assert both_um == pytest.approx((1 - share) * alone_um - share * error_um, abs=0.05)


def test_what_errs_from_one_side_of_focus_counts_for_less():
    alone_um = found_off_um(1, "tissue", 0.0, lambda _: Abstained.UNCERTAIN)
    # Wrong by 0.5 um at the two places above, and right at the other three.
    both_um = found_off_um(1, "tissue", 0.0, lambda um: um - 0.5 * (um > 0.5))
    assert both_um == pytest.approx((alone_um + 2 / 5 * 0.5) / 2, abs=0.05)


def test_an_observer_that_contradicts_sharpness_is_not_believed():
    alone_um = found_off_um(1, "tissue", 0.0, lambda _: Abstained.UNCERTAIN)
    both_um = found_off_um(1, "tissue", 0.0, lambda defocus_um: defocus_um + 0.8)
    assert both_um == pytest.approx(alone_um, abs=0.05)


def test_it_goes_nowhere_where_it_may_not_go_all_the_way():
    rig = Rig(seed=3, defocus_um=0.0, limits=Range(-20.0, 1.0))
    with rig.desk() as desk:
        assert hill_um(desk, rig.start_um, Oracle(rig)) is None
    assert rig.moved_um == 0
