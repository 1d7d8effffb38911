"""The classical methods, each against what it should find, and how a contest is counted."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge_af.bench.classic.brent import maximum
from edge_af.bench.classic.curve import vertex_um
from edge_af.bench.classic.two_frames import pair_defocus_um
from edge_af.bench.contest import METHODS, Run, compete
from edge_af.bench.fields import FieldClass, Scope, draw_field
from edge_af.bench.standings import breakdown, standings
from edge_af.classifier import Classifier
from edge_af.shipped import read_model
from hw.stage import Range


@settings(max_examples=60, deadline=None)
@given(peak=st.floats(-9, 9), width=st.floats(0.5, 20))
def test_brent_finds_the_top_of_one_peak(peak, width):
    places = []

    def function(x):
        places.append(x)
        return -((x - peak) ** 2) / width - 0.1 * abs(x - peak)

    assert maximum(function, Range(-10, 10), 0.01) == pytest.approx(peak, abs=0.03)
    # Golden section alone would take ln(20 / 0.01) / ln(1 / 0.618) = 16; noise takes a few more.
    assert len(places) <= 30


@given(peak=st.floats(-1, 1), sigma=st.floats(0.5, 5), pitch=st.floats(0.2, 1.5))
def test_a_gaussian_has_its_vertex_where_it_has_its_top(peak, sigma, pitch):
    places = pitch * np.arange(-4, 5)
    curve = {um: float(np.exp(-((um - peak) ** 2) / (2 * sigma**2))) + 1e-30 for um in places}
    inside = abs(peak) < 3 * pitch
    assert not inside or vertex_um(curve) == pytest.approx(peak, abs=1e-3)


@pytest.mark.parametrize("defocus_um", [-10.0, -5.0, -1.0, 3.0, 8.0])
def test_two_frames_tell_side_and_distance(defocus_um):
    field = replace(
        draw_field(3, 0), kind="smear", start_um=defocus_um, drift_um_per_s=0.0, backlash_um=0.5
    )
    scope, apart_um = Scope(field), 3.2
    with scope.stage, scope.microscope.camera, scope.stage.command(budget_um=100):
        start_um = scope.stage.position_um
        scope.stage.move_to_um(start_um + 1)
        scope.stage.move_to_um(start_um)  # the gears are engaged now
        true_um = scope.truth.defocus_um
        lower = scope.microscope.camera.frame(scope.stage.settled_at_s)
        scope.stage.move_to_um(start_um + apart_um)
        upper = scope.microscope.camera.frame(scope.stage.settled_at_s)
    told_um = pair_defocus_um(lower, upper, apart_um, 0.75, farthest_um=12.0)
    assert told_um == pytest.approx(true_um, abs=2.5)


def dense_field():
    return replace(draw_field(1, 3), kind="smear", start_um=7.5, backlash_um=2.5)


@pytest.mark.parametrize("method", [name for name in METHODS if name not in ("jpeg_sweep",)])
def test_each_method_focuses_a_dense_field(method):
    (run,) = compete(dense_field(), [method], Classifier(read_model(None)))
    assert run.success
    assert run.field_class == FieldClass.DENSE
    assert run.frames > 0
    assert run.time_s > 0
    assert run.travel_um > 5


@pytest.mark.parametrize(
    ("method", "number"), [("hill_climb", 9), ("hill_climb", 29), ("two_frame_difference", 11)]
)
def test_a_wide_gap_of_the_gears_does_not_fool_a_search(method, number):
    field = draw_field(1041, number)
    assert field.backlash_um == 5
    (run,) = compete(field, [method], Classifier(read_model(None)))
    assert run.success


@pytest.mark.slow
@pytest.mark.parametrize("start_um", [-11.0, -2.0, 7.5])
def test_the_sweep_in_motion_focuses_too(start_um):
    field = replace(dense_field(), start_um=start_um)
    (run,) = compete(field, ["jpeg_sweep"], Classifier(read_model(None)))
    assert run.success
    assert run.moves == 4  # down, up, down, up
    assert run.frames > 20


def test_what_a_search_begins_with_tells_no_side():
    runs = compete(dense_field(), ["single_shot", "z_stack"], Classifier(read_model(None)))
    assert [run.false_direction for run in runs] == [False, None]


def test_the_same_field_is_the_same_run():
    classifier = Classifier(read_model(None))
    one, other = (compete(dense_field(), ["brent"], classifier) for _ in range(2))
    assert one == other
    assert draw_field(4, 9) == draw_field(4, 9) != draw_field(4, 10)


def run_of(**changes):
    run = Run(
        method="m",
        field=0,
        field_class=FieldClass.DENSE,
        start_um=5.0,
        backlash_um=2.5,
        drift_um_per_s=0.0,
        found=True,
        error_um=0.1,
        frames=2,
        moves=1,
        travel_um=7.0,
        time_s=0.5,
        false_direction=False,
        limit_hit=False,
        crashed=False,
        reason="",
    )
    return replace(run, **changes)


def test_a_success_is_in_focus_and_unharmed():
    assert run_of().success
    assert run_of(error_um=-0.5).success
    for change in (
        {"error_um": 0.51},
        {"found": False},
        {"crashed": True},
        {"limit_hit": True},
    ):
        assert not run_of(**change).success
    empty = run_of(field_class=FieldClass.EMPTY, error_um=8.0)
    assert not empty.success
    assert replace(empty, found=False).success


def test_standings_count_fields_that_hold_something():
    runs = [
        run_of(error_um=0.1, time_s=1.0, false_direction=True),
        run_of(error_um=-0.3, time_s=2.0, false_direction=None),
        run_of(error_um=4.0, time_s=9.0, found=False, limit_hit=True, start_um=-11.0),
        run_of(field_class=FieldClass.EMPTY, found=False, time_s=50.0),
    ]
    (line,) = standings(runs)
    assert (line.method, line.fields, line.limit_hits, line.crashes) == ("m", 3, 1, 0)
    assert line.success == pytest.approx(2 / 3)
    assert (line.median_error_um, line.median_time_s) == (0.3, 2.0)
    assert line.false_direction == 0.5  # of the two that started from afar
    told = breakdown(runs)
    assert told["field_class"] == {"dense": {"m": pytest.approx(2 / 3)}, "empty": {"m": 1.0}}
    assert told["start_distance"] == {"3 to 6 um": {"m": 1.0}, "9 to 12 um": {"m": 0.0}}
