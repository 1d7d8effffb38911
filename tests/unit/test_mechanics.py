import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from hw.ramp import step_times_s
from hw.stage import Range, StageFault, StageStopped
from hw.virtual.clock import SimulatedClock
from hw.virtual.mechanics import HISTORY_S, Mechanics, MechanicsSettings
from hw.virtual.stage import VirtualStage

PLAIN = {"play_um": 0.0, "ring_um": 0.0, "drift_um_per_s": 0.0}
REST_S = 1.0  # between the moves below: far longer than a ring


def made(slack_um=0.0, seed=0, start_um=0.0, **changes):
    return Mechanics(
        MechanicsSettings(**PLAIN | changes), seed, start_um=start_um, slack_um=slack_um
    )


class Pusher:
    """Sends steps a millisecond apart, and reads the axis at rest."""

    def __init__(self, mechanics):
        self.mechanics, self.time_s = mechanics, 0.0

    def run(self, steps):
        for _ in range(abs(steps)):
            self.time_s += 0.001
            self.mechanics.step(1 if steps > 0 else -1, self.time_s)
        self.time_s += REST_S
        return self.axis_um()

    def axis_um(self):
        return float(self.mechanics.position_um(self.time_s))


# Backlash


def test_hysteresis_loop_with_the_gears_engaged():
    pusher = Pusher(made(slack_um=0.0))
    assert pusher.run(100) == pytest.approx(10.0)
    assert pusher.run(-24) == pytest.approx(10.0)  # 2.4 um of the 2.5 um gap
    assert pusher.mechanics.slack_um == pytest.approx(2.4)
    assert pusher.run(+24) == pytest.approx(10.0)
    assert pusher.run(-25) == pytest.approx(10.0)
    assert pusher.run(-75) == pytest.approx(2.5)  # motor at 0, axis behind by the gap
    assert pusher.run(+25) == pytest.approx(2.5)
    assert pusher.run(+75) == pytest.approx(10.0)


@given(
    runs=st.lists(st.integers(-80, 80), max_size=12),
    slack_um=st.floats(0, 2.5),
)
def test_axis_is_within_the_gap_and_at_the_motor_after_a_long_run_up(runs, slack_um):
    pusher = Pusher(made(slack_um=slack_um))
    for steps in runs:
        axis_um = pusher.run(steps)
        assert -1e-9 <= axis_um - pusher.mechanics.motor_um <= 2.5 + 1e-9
        if steps >= 25:
            assert axis_um == pytest.approx(pusher.mechanics.motor_um, abs=1e-9)
        if steps <= -25:
            assert axis_um == pytest.approx(pusher.mechanics.motor_um + 2.5, abs=1e-9)
    assert pusher.mechanics.motor_um == pytest.approx(0.1 * sum(runs))


def test_the_seed_draws_the_first_slack_over_the_whole_gap():
    slack_um = [Mechanics(seed=seed).slack_um for seed in range(200)]
    assert min(slack_um) >= 0
    assert max(slack_um) <= 2.5
    assert np.histogram(slack_um, bins=5, range=(0, 2.5))[0].min() > 20


# Play


def test_play_changes_at_reversals_and_starts_only_and_stays_bounded():
    pusher = Pusher(made(backlash_um=0.0, play_um=0.1))
    offsets_um = []
    for run in [10, 10, -10, -10] * 60:
        begin_s = pusher.time_s
        pusher.run(run)
        times_s = begin_s + 0.001 * np.arange(1, 11) + 0.0005
        motor_um = pusher.mechanics.motor_um + 0.1 * np.sign(run) * np.arange(-9, 1)
        offset_um = pusher.mechanics.position_um(times_s) - motor_um
        assert np.ptp(offset_um) < 1e-9  # one run, one draw
        offsets_um.append(offset_um[0])
    assert np.abs(offsets_um).max() <= 0.05
    assert len(np.unique(np.round(offsets_um, 9))) == len(offsets_um)
    assert np.std(offsets_um) == pytest.approx(0.1 / 12**0.5, rel=0.1)  # uniform


# Ring


def test_ring_is_a_decaying_sine_after_the_last_step():
    mechanics = made(ring_um=0.3, ring_hz=200.0, ring_decay_s=0.01)
    mechanics.step(+1, 2.0)
    since_s = np.linspace(0, 0.1, 500)
    expected_um = 0.1 + 0.3 * np.exp(-since_s / 0.01) * np.sin(2 * np.pi * 200 * since_s)
    np.testing.assert_allclose(mechanics.position_um(2.0 + since_s), expected_um, atol=1e-9)


def test_reference_is_still_to_10_nm_once_settled():
    settings = MechanicsSettings(drift_um_per_s=0.0, play_um=0.0)
    mechanics = Mechanics(settings, slack_um=0.0)
    mechanics.step(+1, 0.0)
    ringing_um = mechanics.position_um(np.linspace(0.0, 0.01, 200)) - 0.1
    assert np.abs(ringing_um).max() > 0.1
    settled_um = mechanics.position_um(np.linspace(settings.settle_s, 1.0, 500)) - 0.1
    assert np.abs(settled_um).max() < 0.01


def test_steps_within_the_gap_do_not_ring():
    mechanics = made(slack_um=2.5, ring_um=0.3)
    mechanics.step(+1, 0.0)
    assert np.ptp(mechanics.position_um(np.linspace(0, 0.1, 100))) == 0
    assert not mechanics.moving(0.0, 0.1)


# Drift


def test_drift_is_the_integral_of_a_speed_that_falls_off():
    mechanics = Mechanics(
        MechanicsSettings(**PLAIN | {"drift_um_per_s": 0.05, "drift_decay_s": 120.0}),
        slack_um=0.0,
        start_s=10.0,
    )
    times_s = np.linspace(10.0, 610.0, 60_001)
    position_um = mechanics.position_um(times_s)
    speed = 0.05 * np.exp(-(times_s - 10.0) / 120.0)
    integral_um = np.concatenate([[0], np.cumsum((speed[1:] + speed[:-1]) / 2 * 0.01)])
    np.testing.assert_allclose(position_um, integral_um, atol=1e-6)
    assert mechanics.position_um(5.0) == 0.0  # nothing before the start


# Faults


def test_missed_steps_part_the_count_from_the_truth():
    clock = SimulatedClock()
    mechanics = made(missed_step_probability=0.1, seed=4)
    with VirtualStage(mechanics, clock) as stage:
        stage.move_to_um(100.0)
        assert stage.position_um == pytest.approx(100.0)
    assert 60 < mechanics.missed_steps < 140  # 1000 steps; 4 sigma are 38
    assert mechanics.motor_um == pytest.approx(100.0 - 0.1 * mechanics.missed_steps)
    assert mechanics.position_um(clock.now_s()) == pytest.approx(mechanics.motor_um)


def test_no_step_is_missed_unless_the_fault_is_on():
    mechanics = made()
    Pusher(mechanics).run(3000)
    assert mechanics.missed_steps == 0
    assert mechanics.motor_um == pytest.approx(300.0)


@pytest.mark.parametrize(("direction", "stop_um"), [(1, 5.0), (-1, -4.0)])
def test_a_hard_stop_is_a_crash_and_is_not_passed(direction, stop_um):
    mechanics = made(low_stop_um=-4.0, high_stop_um=5.0, ring_um=0.3, start_um=0.0)
    pusher = Pusher(mechanics)
    pusher.run(direction * 200)
    whole_run_um = mechanics.position_um(np.linspace(0, 0.25, 5000))
    assert whole_run_um.min() >= -4.0
    assert whole_run_um.max() <= 5.0
    assert mechanics.crashes == 1
    (crash_s,) = mechanics.crash_times_s
    # Upwards the axis follows at once; downwards only after the gap of 25 steps.
    steps_to_stop = 50 if direction > 0 else 40 + 25
    assert crash_s == pytest.approx(0.001 * steps_to_stop)
    assert abs(pusher.axis_um() - stop_um) == pytest.approx(0.1)

    pusher.run(-direction * 10)
    pusher.run(direction * 20)
    assert mechanics.crashes == 2  # away and into it again


def test_travel_may_be_used_to_its_ends_without_a_crash():
    clock, mechanics = SimulatedClock(), made(slack_um=0.0)
    with VirtualStage(mechanics, clock) as stage:
        assert stage.travel == Range(-499.9, 499.9)
        stage.move_to_um(stage.travel.high_um)
        stage.move_to_um(stage.travel.low_um)
    assert mechanics.crashes == 0


# Reading


def test_positions_are_those_of_their_times_whatever_their_order_and_shape():
    mechanics = made()
    for k in range(10):
        mechanics.step(+1, 1.0 + k)
    times_s = np.array([[10.5, 0.5], [9.0, 1.0]])
    np.testing.assert_allclose(mechanics.position_um(times_s), [[1.0, 0.0], [0.9, 0.1]])
    assert mechanics.position_um([]).shape == (0,)


def test_history_reaches_back_and_is_bounded():
    mechanics = made(slack_um=0.0, high_stop_um=5000.0)
    for k in range(1, 10_001):
        mechanics.step(+1, 0.001 * k)
        if k % 50 == 0:
            times_s = 0.001 * k - np.linspace(0, min(HISTORY_S, 0.001 * k), 50)
            np.testing.assert_allclose(mechanics.position_um(times_s), 100 * times_s, atol=0.1001)
    with pytest.raises(ValueError, match="kept from"):
        mechanics.position_um(1.0)


def test_moving_covers_steps_and_settling():
    mechanics = made(slack_um=0.0, settle_s=0.04)
    assert not mechanics.moving(-1.0, 0.0)
    for k in range(5):
        mechanics.step(+1, 1.0 + 0.001 * k)
    assert not mechanics.moving(0.9, 0.999)
    assert mechanics.moving(0.9, 1.0)
    assert mechanics.moving(0.9, 2.0)
    assert mechanics.moving(1.03, 1.04)
    assert not mechanics.moving(1.0441, 1.1)


def test_time_runs_forwards():
    mechanics = made()
    mechanics.step(+1, 1.0)
    with pytest.raises(ValueError, match="before"):
        mechanics.step(+1, 0.9)


def test_same_seed_same_motion():
    def track(seed):
        pusher = Pusher(Mechanics(MechanicsSettings(missed_step_probability=0.02), seed))
        return [pusher.run(steps) for steps in (50, -30, 20, -60)]

    assert track(5) == track(5)
    assert track(5) != track(6)


@pytest.mark.parametrize(
    "bad",
    [
        {"step_um": 0.0},
        {"backlash_um": -1.0},
        {"settle_s": float("nan")},
        {"missed_step_probability": 1.5},
        {"low_stop_um": 5.0, "high_stop_um": 5.1},
        {"backlash": 2.5},
    ],
)
def test_settings_out_of_range_are_refused(bad):
    with pytest.raises(ValidationError, match=next(iter(bad)).split("_stop")[0]):
        MechanicsSettings(**bad)


@pytest.mark.parametrize("bad", [{"slack_um": 3.0}, {"start_um": 500.0}])
def test_a_start_that_cannot_be_is_refused(bad):
    with pytest.raises(ValueError, match="um"):
        made(**bad)


# The driver


def test_steps_are_sent_when_the_ramp_says():
    clock, mechanics = SimulatedClock(50.0), made()
    sent_s = []
    step = mechanics.step
    mechanics.step = lambda direction, time_s: (sent_s.append(time_s), step(direction, time_s))
    with VirtualStage(mechanics, clock) as stage:
        stage.move_to_um(20.0)
        assert stage.settled_at_s == sent_s[-1] + mechanics.settings.settle_s
    np.testing.assert_allclose(sent_s, 50.0 + step_times_s(200, 1000, 20_000), atol=1e-6, rtol=0)


def test_a_late_step_delays_the_rest_and_is_not_caught_up():
    clock, mechanics = SimulatedClock(), made()
    sent_s = []
    step = mechanics.step
    mechanics.step = lambda direction, time_s: (sent_s.append(time_s), step(direction, time_s))
    clock.at(0.08, lambda: clock.wait_until_s(0.2))
    with VirtualStage(mechanics, clock) as stage:
        stage.move_to_um(20.0)
    assert np.diff(sent_s).min() >= 0.001 - 1e-9
    assert sent_s[-1] > step_times_s(200, 1000, 20_000)[-1] + 0.1


@settings(max_examples=30, deadline=None)
@given(stop_s=st.floats(0, 0.24))
def test_a_stopped_move_has_sent_the_steps_due_by_then(stop_s):
    clock, mechanics = SimulatedClock(), made()
    with VirtualStage(mechanics, clock) as stage:
        clock.at(stop_s, stage.stop)
        with pytest.raises(StageStopped, match="on the way to 20 um"):
            stage.move_to_um(20.0)
        due = np.count_nonzero(step_times_s(200, 1000, 20_000) < stop_s - 1e-9)
        assert abs(round(stage.position_um / 0.1) - due) <= 1
        assert stage.position_um == pytest.approx(mechanics.motor_um)


def test_a_stage_that_was_not_entered_does_not_move():
    with pytest.raises(StageFault, match="not connected"):
        VirtualStage(made(), SimulatedClock()).move_to_um(1.0)


def test_the_count_starts_where_the_motor_stands():
    assert VirtualStage(made(start_um=-7.34), SimulatedClock()).position_um == pytest.approx(-7.3)
