import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hw.ramp import step_times_s, stopping_waits_s

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


@pytest.mark.parametrize(
    "bad", [(-1, 1, 1), (1, 0, 1), (1, 1, -2), (1, float("nan"), 1), (1, 1, 1, 0), (1, 1, 1, -1)]
)
def test_nonsense_is_refused(bad):
    with pytest.raises(ValueError, match="got"):
        step_times_s(*bad)


# The S-curve


jerks = st.floats(1e3, 1e8)


def integrated_s_curve(steps, speed, acceleration, jerk):
    """Times and steps covered, by integrating a jerk of +j, 0, -j up, then rest, and the same down.

    Independent of the closed form: the speed that just covers half the way is found by bisection.
    """

    def phases_s(top):
        peak = min(acceleration, (top * jerk) ** 0.5)
        return peak / jerk, max(top / peak - peak / jerk, 0)

    def ramp_steps(top):
        change_s, level_s = phases_s(top)
        return top * (2 * change_s + level_s) / 2

    low, high = 0.0, speed
    if ramp_steps(speed) > steps / 2:
        for _ in range(200):
            middle = (low + high) / 2
            low, high = (low, middle) if ramp_steps(middle) > steps / 2 else (middle, high)
    change_s, level_s = phases_s(high)
    cruise_s = max(steps - 2 * ramp_steps(high), 0) / high
    lengths_s = [change_s, level_s, change_s, cruise_s, change_s, level_s, change_s]
    jerks_at = [jerk, 0, -jerk, 0, -jerk, 0, jerk]
    time_s, x, v, a, now_s = [np.zeros(1)], [np.zeros(1)], 0.0, 0.0, 0.0
    for length_s, j in zip(lengths_s, jerks_at, strict=True):
        t = np.linspace(0, length_s, 100_001)
        # Each phase starts from what the one before came to, not from a formula of the whole.
        x.append(x[-1][-1] + v * t + a * t**2 / 2 + j * t**3 / 6)
        time_s.append(now_s + t)
        v, a, now_s = (
            v + a * length_s + j * length_s**2 / 2,
            a + j * length_s,
            now_s + length_s,
        )
    return np.concatenate(time_s), np.concatenate(x)


@pytest.mark.parametrize(
    ("steps", "speed", "acceleration", "jerk"),
    [
        (1, 1000, 20_000, 1e6),
        (40, 1000, 20_000, 1e6),  # short of both top speed and acceleration
        (70, 1000, 20_000, 4e6),  # short of top speed
        (400, 1000, 20_000, 1e6),
        (400, 1000, 20_000, 2e5),  # reaches top speed, and never the acceleration
        (400, 800, 900, 1e4),
        (400, 800, 900, 1e9),  # almost a trapezoid
    ],
)
def test_the_s_curve_steps_where_its_integral_says(steps, speed, acceleration, jerk):
    time_s, covered = integrated_s_curve(steps, speed, acceleration, jerk)
    inner = np.arange(1, steps)
    times_s = step_times_s(steps, speed, acceleration, jerk)
    np.testing.assert_allclose(times_s[:-1], np.interp(inner, covered, time_s), atol=1e-6, rtol=0)
    assert times_s[-1] == pytest.approx(time_s[-1], abs=1e-6)


def test_the_s_curve_by_hand():
    # j = 6 steps/s^3 for T = 1 s covers j T^3 / 6 = 1 step and gets to a = j T = 6 steps/s^2; after
    # another second down, v = j T^2 = 6 steps/s and 6 steps are covered. The same again to rest.
    times_s = step_times_s(12, 6, 6, 6)
    assert times_s[0] == pytest.approx(1)
    assert times_s[5] == pytest.approx(2)
    assert times_s[-1] == pytest.approx(4)


@given(steps=st.integers(1, 1000), speed=speeds, acceleration=accelerations, jerk=jerks)
def test_the_s_curve_exceeds_neither_speed_nor_acceleration(steps, speed, acceleration, jerk):
    times_s = step_times_s(steps, speed, acceleration, jerk)
    assert times_s.shape == (steps,)
    waits_s = np.diff(times_s, prepend=0.0)
    mean_speed = 1 / waits_s
    assert mean_speed.max() <= speed * (1 + 1e-6)
    change = np.abs(np.diff(mean_speed))
    assert (change <= acceleration * (waits_s[1:] + waits_s[:-1]) / 2 * (1 + 1e-6) + 1e-5).all()
    there_and_back = np.concatenate([[0], times_s])
    np.testing.assert_allclose(
        there_and_back, times_s[-1] - there_and_back[::-1], atol=1e-7 * times_s[-1]
    )
    # Slower than without a bound of the jerk.
    assert times_s[-1] >= step_times_s(steps, speed, acceleration)[-1] * (1 - 1e-9)


# Stopping


@given(steps=st.integers(2, 1000), speed=speeds, acceleration=accelerations, share=st.floats(0, 1))
def test_a_stop_slows_down_no_faster_than_allowed_and_no_longer_than_needed(
    steps, speed, acceleration, share
):
    waits_s = np.diff(step_times_s(steps, speed, acceleration), prepend=0.0)
    at = int(share * (steps - 1))
    rest_s = stopping_waits_s(waits_s[at], steps - at - 1, acceleration)
    assert rest_s.size <= steps - at - 1
    assert rest_s.size <= speed**2 / (2 * acceleration) + 1
    all_s = np.concatenate([waits_s[at : at + 1], rest_s])
    assert (np.diff(all_s) >= -1e-12 * all_s[:-1]).all()
    change = -np.diff(1 / all_s)
    assert (change <= acceleration * (all_s[1:] + all_s[:-1]) / 2 * (1 + 1e-6) + 1e-6).all()
    # So slow in the end that it may halt: from the last step on, v^2 / 2 a is at most one step.
    assert (1 / all_s[-1]) ** 2 / (2 * acceleration) <= 1 + 1e-6


def test_a_stop_by_hand():
    # At a = 2 the last wait of a ramp is 1 s, the one before sqrt(2) - 1.
    np.testing.assert_allclose(stopping_waits_s(0.4, 9, 2), [2**0.5 - 1, 1])
    np.testing.assert_allclose(stopping_waits_s(0.42, 9, 2), [1])
    assert stopping_waits_s(1.1, 9, 2).size == 0
    np.testing.assert_allclose(stopping_waits_s(0.4, 1, 2), [1])
