import math

import numpy as np
import pytest

from edge_af.drift import DriftFilter


def fed(places_um, every_s=5.0, sigma_um=0.2):
    drift = DriftFilter()
    for number, place_um in enumerate(places_um):
        drift.look(number * every_s, float(place_um), sigma_um)
    return drift


def test_one_look_is_all_it_knows_then():
    drift = fed([7.0], sigma_um=0.3)
    assert drift.focus_um == pytest.approx(7.0, abs=1e-3)
    assert drift.sigma_um == pytest.approx(0.3, abs=1e-3)
    # The normal distribution above one sigma, from its table.
    assert drift.beyond(7.0, 0.3) == pytest.approx(0.1587, abs=1e-3)
    assert drift.beyond(6.4, 0.3) == pytest.approx(0.8413, abs=1e-3)


def test_a_steady_drift_is_followed_without_lag():
    rng = np.random.default_rng(1)
    truth_um = 0.01 * 5.0 * np.arange(200)
    drift = fed(truth_um + rng.normal(0, 0.2, 200))
    assert drift.focus_um == pytest.approx(truth_um[-1], abs=0.15)
    assert drift.drift_um_per_s == pytest.approx(0.01, abs=0.002)


def test_it_is_as_sure_as_it_may_be():
    # Of 300 runs the error must scatter as it says: chi^2 of 300 lies within 300 +- 5 sqrt(600).
    rng = np.random.default_rng(2)
    chi2 = 0.0
    for _ in range(300):
        speed = rng.normal(0, 0.02)
        truth_um = speed * 5.0 * np.arange(20)
        drift = fed(truth_um + rng.normal(0, 0.2, 20))
        chi2 += ((drift.focus_um - truth_um[-1]) / drift.sigma_um) ** 2
    assert chi2 < 300 + 5 * math.sqrt(600)
    assert chi2 > 100  # it allows for wandering, of which there was none


def test_one_strange_look_changes_little():
    places_um = np.zeros(30)
    places_um[-1] = 1.5
    assert abs(fed(places_um).focus_um) < 0.15


def test_two_strange_looks_say_that_it_is_elsewhere():
    places_um = np.zeros(30)
    places_um[-2:] = 1.5
    assert fed(places_um).focus_um == pytest.approx(1.5, abs=0.1)


def test_displaced_it_knows_the_drift_and_not_the_place():
    drift = fed(0.01 * 5.0 * np.arange(100))
    before = drift.drift_um_per_s
    drift.displaced()
    assert drift.drift_um_per_s == before
    drift.look(505.0, 40.0, 0.2)
    assert drift.focus_um == pytest.approx(40.0, abs=0.01)
    drift.look(510.0, 40.05, 0.2)
    assert drift.drift_um_per_s == pytest.approx(0.01, abs=0.003)


def test_long_without_a_look_it_is_unsure():
    drift = fed(np.zeros(50))
    sure_um = drift.sigma_um
    drift.look(3600.0, 3.0, 0.2)
    assert drift.focus_um == pytest.approx(3.0, abs=0.1)
    assert drift.sigma_um > sure_um
