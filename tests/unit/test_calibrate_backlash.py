"""The fit of scale, gap and drift, on loops whose truth is known."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge_af.calibration import CalibrationError
from edge_af.routines.backlash import RELIABLE_UM, fit_loop, play
from hw.virtual.mechanics import Mechanics, MechanicsSettings

STILL = {"play_um": 0, "ring_um": 0, "drift_um_per_s": 0}


def loop(scale, gap_um, pitch_um=0.8):
    """Counted positions up and down again, so far that the axis goes from -8 to 8 um and back."""
    bottom_um, top_um = -8 / scale - gap_um, 8 / scale
    up = np.arange(bottom_um, top_um, pitch_um)
    return np.concatenate([up, up[::-1]])


def readings(scale, gap_um, drift_um_per_s=0.0):
    counted_um = loop(scale, gap_um)
    times_s = 0.2 * np.arange(len(counted_um))
    return counted_um, times_s, scale * play(counted_um, gap_um) + drift_um_per_s * times_s


@given(st.lists(st.integers(-60, 60), min_size=1, max_size=15), st.integers(0, 40))
@settings(deadline=None, max_examples=50)
def test_play_is_how_a_geared_axis_moves(targets, gap_steps):
    mechanics = Mechanics(
        MechanicsSettings(step_um=0.1, backlash_um=0.1 * gap_steps, **STILL),
        slack_um=0.1 * gap_steps,  # as a run downwards leaves it
    )
    steps, time_s, counted_um, axis_um = 0, 0.0, [0.0], [float(mechanics.position_um(0.0))]
    for target in targets:
        while steps != target:
            way = 1 if target > steps else -1
            time_s += 1.0
            mechanics.step(way, time_s)
            steps += way
        counted_um.append(0.1 * steps)
        axis_um.append(float(mechanics.position_um(time_s)))
    np.testing.assert_allclose(play(np.array(counted_um), 0.1 * gap_steps), axis_um, atol=1e-9)


@given(
    scale=st.floats(0.5, 2.0),
    gap_um=st.floats(0.0, 10.0),
    drift_um_per_s=st.floats(-0.08, 0.08),
)
@settings(deadline=None, max_examples=12)
def test_readings_without_error_give_back_what_they_were_made_of(scale, gap_um, drift_um_per_s):
    fitted = fit_loop(*readings(scale, gap_um, drift_um_per_s))
    assert fitted.scale.value == pytest.approx(scale, rel=1e-3)
    assert fitted.gap_um.value == pytest.approx(gap_um, abs=0.01)
    assert fitted.drift_um_per_s == pytest.approx(drift_um_per_s, abs=1e-3)
    assert not fitted.thick


def test_an_axis_that_runs_against_its_count_has_a_negative_scale():
    counted_um, times_s, read_um = readings(1.0, 2.0)
    assert fit_loop(counted_um, times_s, -read_um).scale.value == pytest.approx(-1.0, rel=1e-3)


def test_the_uncertainties_are_those_that_many_trials_show():
    rng = np.random.default_rng(3)
    counted_um, times_s, truth_um = readings(0.9, 3.0, 0.05)
    truth_um *= 0.85  # no reading is left out for what its own error makes of it
    fits = [
        fit_loop(counted_um, times_s, truth_um + rng.normal(0, 0.15, len(truth_um)))
        for _ in range(24)
    ]
    for name, truth in (("scale", 0.765), ("gap_um", 3.0)):
        values = np.array([getattr(fit, name).value for fit in fits])
        stated = float(np.mean([getattr(fit, name).uncertainty for fit in fits]))
        assert abs(values.mean() - truth) < 3 * values.std() / 24**0.5 + 0.002
        # Independent errors; stated is for such as go together in threes.
        assert stated == pytest.approx(3**0.5 * values.std(), rel=0.4)


def test_wrong_signs_gaps_and_wild_readings_do_not_bend_the_fit():
    rng = np.random.default_rng(4)
    counted_um, times_s, read_um = readings(1.1, 4.0, -0.05)
    read_um = read_um + rng.normal(0, 0.1, len(read_um))
    wild = rng.random(len(read_um))
    read_um[wild < 0.06] *= -1
    read_um[(wild > 0.06) & (wild < 0.1)] = 7.5
    read_um[(wild > 0.1) & (wild < 0.25)] = np.nan
    fitted = fit_loop(counted_um, times_s, read_um)
    assert fitted.scale.value == pytest.approx(1.1, rel=0.02)
    assert fitted.gap_um.value == pytest.approx(4.0, abs=0.2)


def test_a_thick_specimen_is_noticed_and_its_shift_taken_out():
    rng = np.random.default_rng(5)
    counted_um, times_s, z_um = readings(1.0, 2.5)
    shifted_um = z_um - 0.8 * np.tanh(z_um / 0.7) * np.exp(-np.abs(z_um) / 14)
    fitted = fit_loop(counted_um, times_s, shifted_um + rng.normal(0, 0.1, len(z_um)))
    assert fitted.thick
    assert fitted.scale.value == pytest.approx(1.0, rel=0.02)
    assert fitted.gap_um.value == pytest.approx(2.5, abs=0.15)


def test_the_zero_is_where_the_model_reads_zero():
    counted_um, times_s, z_um = readings(0.8, 2.0, 0.05)
    fitted = fit_loop(counted_um + 40.0, times_s, z_um - 1.2)
    axis_um = play(counted_um + 40.0, fitted.gap_um.value)
    np.testing.assert_allclose(fitted.defocus_um(axis_um, times_s), z_um - 1.2, atol=0.02)
    assert fitted.defocus_um(np.array([fitted.zero_um]), np.array([fitted.time_s])) == [0.0]


def test_readings_beyond_the_reliable_range_are_not_used():
    counted_um, times_s, z_um = readings(1.0, 2.0)
    bent_um = np.where(np.abs(z_um) > 6, 1.5 * z_um, z_um)
    assert np.all(np.abs(bent_um[np.abs(z_um) > 6]) > RELIABLE_UM)
    assert fit_loop(counted_um, times_s, bent_um).scale.value == pytest.approx(1.0, rel=1e-3)


def test_too_few_readings_and_readings_that_follow_nothing_are_refused():
    counted_um, times_s, z_um = readings(1.0, 2.0)
    with pytest.raises(CalibrationError, match=r"only 0 readings over 0\.0 um"):
        fit_loop(counted_um, times_s, np.full_like(z_um, np.nan))
    with pytest.raises(CalibrationError, match=r"readings over [0-5]\.\d um"):
        fit_loop(counted_um, times_s, z_um / 4)
    wild_um = np.random.default_rng(6).uniform(-8, 8, len(z_um))
    with pytest.raises(CalibrationError, match="does not follow"):
        fit_loop(counted_um, times_s, wild_um)
