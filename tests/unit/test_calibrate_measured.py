"""Values with uncertainties, and what a calibration is stored as."""

from datetime import UTC, datetime

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from edge_af.calibration import Calibration, Measured

NOW = datetime(2025, 5, 1, 12, tzinfo=UTC)
SOME = Measured(value=2.0, uncertainty=0.1)


def test_a_product_is_as_uncertain_as_draws_of_it():
    rng = np.random.default_rng(1)
    one, other = Measured(value=2.0, uncertainty=0.05), Measured(value=0.37, uncertainty=0.01)
    drawn = rng.normal(2.0, 0.05, 200_000) * rng.normal(0.37, 0.01, 200_000)
    product = one.times(other)
    assert product.value == pytest.approx(0.74)
    assert product.uncertainty == pytest.approx(drawn.std(), rel=0.01)


def test_the_mean_weighs_by_certainty():
    sure, unsure = Measured(value=1.0, uncertainty=0.1), Measured(value=1.2, uncertainty=0.2)
    mean = Measured.mean([sure, unsure])
    assert mean.value == pytest.approx((1.0 * 100 + 1.2 * 25) / 125)
    assert mean.uncertainty == pytest.approx(125**-0.5)


def test_values_that_scatter_more_than_they_claim_make_a_less_certain_mean():
    apart = [Measured(value=value, uncertainty=0.1) for value in (0.0, 1.0, 2.0)]
    # chi^2 = 200 for two degrees of freedom: ten times the stated uncertainty
    assert Measured.mean(apart).uncertainty == pytest.approx(10 * 0.1 / 3**0.5)


@given(st.floats(-1e3, 1e3), st.floats(1e-6, 1e3), st.integers(1, 9))
def test_equal_values_agree_in_their_mean(value, uncertainty, count):
    mean = Measured.mean([Measured(value=value, uncertainty=uncertainty)] * count)
    assert mean.value == pytest.approx(value, abs=1e-9)
    assert mean.uncertainty == pytest.approx(uncertainty / count**0.5)


def test_nothing_and_the_exact_have_no_mean():
    with pytest.raises(ValueError, match="nothing"):
        Measured.mean([])
    with pytest.raises(ValueError, match="exact"):
        Measured.mean([SOME, Measured(value=1.0, uncertainty=0.0)])


def calibration(**changes):
    values = {
        "reversed": True,
        "step_um": SOME,
        "backlash_um": SOME,
        "settle_s": SOME,
        "focus_offset_um": SOME,
        "method": "model",
        "made_at": NOW,
    }
    return Calibration(**(values | changes))


def test_a_calibration_survives_its_own_json():
    for one in (calibration(), calibration(step_um=None, reversed=None, method="sharpness")):
        assert Calibration.model_validate_json(one.model_dump_json()) == one


@pytest.mark.parametrize(
    "changes",
    [
        {"made_at": datetime(2025, 5, 1)},
        {"method": "guess"},
        {"colour": "red"},
        {"backlash_um": {"value": float("nan"), "uncertainty": 0.1}},
        {"backlash_um": {"value": 1.0, "uncertainty": -0.1}},
    ],
)
def test_what_makes_no_calibration_is_refused(changes):
    with pytest.raises(ValidationError):
        calibration(**changes)
