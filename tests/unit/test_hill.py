"""Where the picture is sharpest, against the hidden truth and against curves of known middle."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from oracle import Rig

from edge_af.routines.hill import hill_um, middle_of, path_um, vertex_um
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


@pytest.mark.parametrize("kind", ["tissue", "smear", "sparse"])
@pytest.mark.parametrize("defocus_um", [-0.4, 0.4])
def test_it_is_where_the_focus_is(kind, defocus_um):
    off_um = []
    for seed in range(3):
        rig = Rig(seed=seed, kind=kind, defocus_um=0.0, drift_um_per_s=0.0, play_um=0.0)
        rig.engage()
        with rig.desk() as desk:
            at_um = rig.guard.position_um - rig.truth.defocus_um
            most_um = path_um(desk, at_um + defocus_um)
            found_um = hill_um(desk, at_um + defocus_um)
            assert rig.guard.travel_um <= most_um
        assert found_um is not None
        off_um.append(found_um - at_um)
    assert np.median(np.abs(off_um)) < 0.3
    assert np.max(np.abs(off_um)) < 0.5


def test_it_goes_nowhere_where_it_may_not_go_all_the_way():
    rig = Rig(seed=3, defocus_um=0.0, limits=Range(-20.0, 1.0))
    with rig.desk() as desk:
        assert hill_um(desk, rig.start_um) is None
    assert rig.moved_um == 0
