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


def test_what_looks_have_wrong_in_common_is_learnt_from_a_witness_without_it():
    rng = np.random.default_rng(4)
    drift = DriftFilter()
    drift.replaced(0.3)
    drift.look(0.0, 10.4, 0.1)
    assert drift.sigma_um == pytest.approx(math.hypot(0.3, 0.1), abs=0.01)
    drift.found(0.0, 10.0, 0.1)
    for number in range(1, 100):  # and from then on it is held against
        drift.look(5.0 * number, 10.4 + 0.002 * 5 * number + rng.normal(0, 0.1), 0.1)
    assert drift.focus_um == pytest.approx(10.0 + 0.002 * 5 * 99, abs=0.15)
    # A gap in the gears that closes moves the count, not the specimen.
    drift.displaced()
    drift.look(500.0, 20.4, 0.1)
    assert drift.focus_um == pytest.approx(20.0, abs=0.2)
    # Another specimen has a bias of its own.
    drift.replaced(0.3)
    drift.look(505.0, 20.4, 0.1)
    assert drift.focus_um == pytest.approx(20.4, abs=0.01)


def test_unwatched_it_goes_on_and_grows_unsure():
    drift = fed(0.01 * 5.0 * np.arange(100))
    before_um, sure_um = drift.focus_um, drift.sigma_um
    drift.until(99 * 5.0 + 60)
    assert drift.focus_um == pytest.approx(before_um + 0.6, abs=0.15)
    assert drift.sigma_um > sure_um
