import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hw.ramp import step_times_s

speeds = st.floats(10, 5000)
accelerations = st.floats(100, 100_000)


@pytest.mark.parametrize(
    ("steps", "speed", "acceleration"),
    [
        (1, 1000, 20_000),
        (30, 1000, 20_000),
        (50, 1000, 20_000),
        (51, 1000, 20_000),
        (400, 800, 900),
    ],
)
def test_steps_fall_where_the_integrated_speed_reaches_them(steps, speed, acceleration):
    # Independent of the closed form: integrate the speed, and read off when it has covered k steps.
    ramp_s = speed / acceleration
    triangle = steps < speed * ramp_s
    end_s = 2 * (steps / acceleration) ** 0.5 if triangle else ramp_s + steps / speed
    time_s = np.linspace(0, end_s, 2_000_001)
    rate = np.minimum.reduce(
        [acceleration * time_s, np.full_like(time_s, speed), acceleration * (end_s - time_s)]
    )
    covered = np.concatenate([[0], np.cumsum((rate[1:] + rate[:-1]) / 2 * np.diff(time_s))])
    inner = np.arange(1, steps)
    times_s = step_times_s(steps, speed, acceleration)
    np.testing.assert_allclose(times_s[:-1], np.interp(inner, covered, time_s), atol=1e-6, rtol=0)
    assert times_s[-1] == pytest.approx(end_s, abs=1e-6)


def test_times_by_hand():
    # a = 2 steps/s^2 reaches v = 2 steps/s in 1 s, having made 1 step; 6 steps take 1 + 2 + 1 s.
    expected_s = [1, 1.5, 2, 2.5, 3, 4]
    np.testing.assert_allclose(step_times_s(6, 2, 2), expected_s, atol=1e-12)
    # Too short for top speed: up one step, down one step.
    np.testing.assert_allclose(step_times_s(2, 10, 2), [1, 2], atol=1e-12)


@given(steps=st.integers(1, 2000), speed=speeds, acceleration=accelerations)
def test_neither_speed_nor_acceleration_is_exceeded(steps, speed, acceleration):
    times_s = step_times_s(steps, speed, acceleration)
    assert times_s.shape == (steps,)
    waits_s = np.diff(times_s, prepend=0.0)
    mean_speed = 1 / waits_s
    assert mean_speed.max() <= speed * (1 + 1e-6)
    # The means over two neighbouring intervals differ by at most a times the time between middles.
    change = np.abs(np.diff(mean_speed))
    assert (change <= acceleration * (waits_s[1:] + waits_s[:-1]) / 2 * (1 + 1e-6) + 1e-6).all()


@given(steps=st.integers(1, 500), speed=speeds, acceleration=accelerations)
def test_a_move_is_the_same_backwards(steps, speed, acceleration):
    times_s = np.concatenate([[0], step_times_s(steps, speed, acceleration)])
    np.testing.assert_allclose(times_s, times_s[-1] - times_s[::-1], atol=1e-7 * times_s[-1])


def test_no_steps_take_no_time():
    assert step_times_s(0, 1000, 20_000).shape == (0,)


@pytest.mark.parametrize("bad", [(-1, 1, 1), (1, 0, 1), (1, 1, -2), (1, float("nan"), 1)])
def test_nonsense_is_refused(bad):
    with pytest.raises(ValueError, match="got"):
        step_times_s(*bad)
