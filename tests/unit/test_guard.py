import threading
from contextlib import contextmanager

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hw.clock import WallClock
from hw.guard import GuardedStage
from hw.path import slack_after_um
from hw.stage import LimitError, Range, StageError, StageFault, StageStopped
from hw.virtual.clock import SimulatedClock
from hw.virtual.mechanics import Mechanics, MechanicsSettings
from hw.virtual.stage import VirtualStage

QUIET = {"play_um": 0.0, "ring_um": 0.0, "drift_um_per_s": 0.0}
LIMITS = Range(-100.0, 80.0)


class Bench:
    """A guarded virtual stage, its truth, and the targets that reached the driver."""

    def __init__(self, clock=None, mechanics=None, driver=VirtualStage, start_um=0.0, **options):
        self.clock = clock or SimulatedClock()
        self.mechanics = Mechanics(
            MechanicsSettings(**QUIET | (mechanics or {})),
            start_um=start_um,
            start_s=self.clock.now_s(),
        )
        self.driver = driver(self.mechanics, self.clock)
        options = {"soft_limits": LIMITS, "backlash_um": 2.5, "trusted": True} | options
        self.guard = GuardedStage(self.driver, **options)
        self.sent_um = []
        move = self.driver.move_to_um
        self.driver.move_to_um = lambda target_um: (self.sent_um.append(target_um), move(target_um))

    @contextmanager
    def running(self, budget_um=10_000.0):
        with self.guard as guard, guard.command(budget_um=budget_um):
            yield guard

    def axis_um(self):
        return float(self.mechanics.position_um(self.clock.now_s()))


# Commands


def test_a_move_outside_a_command_is_refused():
    bench = Bench()
    with bench.guard as guard:
        with pytest.raises(StageError, match=r"guard\.command"):
            guard.move_to_um(5.0)
        with guard.command(budget_um=10):
            pass
        with pytest.raises(StageError, match=r"guard\.command"):
            guard.move_to_um(5.0)
    assert bench.sent_um == []


def test_a_second_command_is_refused_from_any_thread_and_the_first_goes_on():
    bench = Bench()
    refused = []

    def second():
        try:
            with bench.guard.command(budget_um=10):
                pass
        except StageError as error:
            refused.append(str(error))

    with bench.running() as guard:
        thread = threading.Thread(target=second)
        thread.start()
        thread.join()
        second()
        guard.move_to_um(5.0)
    assert len(refused) == 2
    assert all("another command" in each for each in refused)
    assert bench.guard.position_um == pytest.approx(5.0)


def test_a_second_move_of_one_command_is_refused_while_one_is_under_way():
    bench, refused = Bench(), []

    def second():
        try:
            bench.guard.move_to_um(-5.0)
        except StageError as error:
            refused.append(str(error))

    with bench.running() as guard:
        bench.clock.at(0.02, second)
        guard.move_to_um(20.0)
        assert guard.position_um == pytest.approx(20.0)
        guard.move_to_um(25.0)
    assert refused == ["another move is under way; wait for its end, or stop it"]


def test_a_command_needs_a_connected_stage():
    guard = Bench().guard
    with pytest.raises(StageError, match="not connected"), guard.command(budget_um=10):
        pass


@pytest.mark.parametrize("budget_um", [0.0, -1.0, float("nan"), float("inf")])
def test_a_budget_is_a_positive_length(budget_um):
    bench = Bench()
    with (
        bench.guard as guard,
        pytest.raises(LimitError, match=f"budget is {budget_um} um"),
        guard.command(budget_um=budget_um),
    ):
        pass


def test_moves_and_travel_count_per_command():
    bench = Bench()
    with bench.guard as guard:
        with guard.command(budget_um=1000):
            guard.move_to_um(10.0)  # engages: 10 um up
            guard.move_to_um(4.0)  # down 8.5, up 2.5
            guard.move_to_um(4.0)  # there already
            guard.move_to_um(4.04)  # no step is nearer
            assert (guard.moves, guard.travel_um) == (2, pytest.approx(21.0))
        assert guard.moves == 2
        with guard.command(budget_um=1000):
            assert (guard.moves, guard.travel_um) == (0, 0.0)


# Backlash


def test_every_move_ends_upwards_with_the_gears_engaged():
    bench = Bench(trusted=True)
    with bench.running() as guard:
        assert guard.slack_um == 2.5
        guard.move_to_um(1.0)  # too short to engage from an unknown gap: round by below
        assert bench.sent_um == pytest.approx([-1.5, 1.0])
        assert guard.slack_um == 0.0
        bench.sent_um.clear()
        guard.move_to_um(1.1)  # engaged and upwards: straight
        guard.move_to_um(0.5)  # downwards: by below
        assert bench.sent_um == pytest.approx([1.1, -2.0, 0.5])
        assert bench.axis_um() == pytest.approx(0.5)


def test_a_long_run_up_engages_without_an_overshoot():
    bench = Bench()
    with bench.running() as guard:
        guard.move_to_um(2.5)
        assert bench.sent_um == pytest.approx([2.5])
        assert bench.axis_um() == pytest.approx(2.5)


def test_without_backlash_moves_go_straight():
    bench = Bench(backlash_um=0.0, mechanics={"backlash_um": 0.0})
    with bench.running() as guard:
        guard.move_to_um(-5.0)
        guard.move_to_um(3.0)
    assert bench.sent_um == pytest.approx([-5.0, 3.0])


def test_a_backlash_between_steps_is_taken_up_in_whole_steps():
    bench = Bench(backlash_um=2.45)
    with bench.running() as guard:
        guard.move_to_um(-5.0)
    assert bench.sent_um == pytest.approx([-7.5, -5.0])


@given(
    runs_um=st.lists(st.floats(-6, 6), max_size=10),
    gap_um=st.floats(0, 2.5),
)
def test_slack_is_an_upper_bound_of_the_true_gap(runs_um, gap_um):
    slack_um = 2.5
    for run_um in runs_um:
        gap_um = min(max(gap_um - run_um, 0.0), 2.5)  # the play operator itself
        slack_um = slack_after_um(slack_um, run_um, 2.5)
        assert gap_um <= slack_um + 1e-5
        assert slack_um <= 2.5


# Limits


@pytest.mark.parametrize(
    ("target_um", "words"),
    [
        (81.0, ["81 um", "soft limits", "-100 um to 80 um", "widen"]),
        (-99.0, ["-99 um", "-101.5 um", "backlash overshoot", "soft limits", "reachable"]),
        (float("nan"), ["nan um", "finite"]),
        (float("-inf"), ["-inf um", "finite"]),
    ],
)
def test_a_limit_error_names_the_limit_the_asked_value_and_the_cure(target_um, words):
    bench = Bench()
    with bench.running() as guard, pytest.raises(LimitError) as refusal:
        guard.move_to_um(target_um)
    assert bench.sent_um == []
    for word in words:
        assert word in str(refusal.value)
    assert guard.trusted


def test_the_travel_of_the_driver_limits_too():
    bench = Bench(soft_limits=Range(-1000.0, 1000.0))
    with bench.running() as guard:
        assert guard.travel == Range(-499.9, 499.9)
        with pytest.raises(LimitError, match=r"travel of the stage, -499\.9 um to 499\.9 um"):
            guard.move_to_um(500.0)
        guard.move_to_um(499.9)
    assert bench.mechanics.crashes == 0


def test_float_noise_does_not_carry_a_waypoint_past_a_limit_that_the_driver_also_keeps():
    class Strict(VirtualStage):
        def move_to_um(self, target_um):
            assert self.travel.contains(target_um)
            super().move_to_um(target_um)

    bench = Bench(driver=Strict, soft_limits=Range(-1000.0, 1000.0))
    with bench.running() as guard:
        guard.move_to_um(guard.reachable.low_um)
        guard.move_to_um(guard.reachable.high_um)


def test_a_budget_error_names_what_is_left():
    bench = Bench()
    with bench.running(budget_um=20.0) as guard:
        guard.move_to_um(15.0)
        with pytest.raises(LimitError, match=r"15 um long and 5 um are left .* budget of 20 um"):
            guard.move_to_um(30.0)
        guard.move_to_um(20.0)
        with pytest.raises(LimitError, match="0 um are left"):
            guard.move_to_um(20.1)
    assert bench.sent_um == pytest.approx([15.0, 20.0])


@settings(max_examples=60, deadline=None)
@given(
    low_um=st.floats(-30, -10),
    high_um=st.floats(-5, 20),
    shares=st.lists(st.floats(0, 1), min_size=1, max_size=4),
)
def test_whatever_is_reachable_is_reached_and_no_limit_between_steps_is_passed(
    low_um, high_um, shares
):
    bench = Bench(soft_limits=Range(low_um, high_um), start_um=-7.5)
    seen_um = []
    step = bench.mechanics.step

    def watched(direction, time_s):
        step(direction, time_s)
        seen_um.append(bench.mechanics.motor_um)

    bench.mechanics.step = watched
    with bench.running() as guard:
        reachable = guard.reachable
        assert (reachable.low_um, reachable.high_um) == pytest.approx((low_um + 2.5, high_um))
        for share in [*shares, 0.0, 1.0]:
            target_um = reachable.low_um + share * (reachable.high_um - reachable.low_um)
            guard.move_to_um(reachable.clip(target_um))
            assert abs(guard.position_um - target_um) <= 0.1 + 1e-6
            if low_um + 2.6 <= target_um <= high_um - 0.1:
                assert abs(guard.position_um - target_um) <= 0.05 + 1e-6
    assert all(low_um - 1e-6 <= each <= high_um + 1e-6 for each in seen_um)


def test_reachable_is_the_present_point_where_there_is_no_room():
    bench = Bench(trusted=False, untrusted_window=Range(-1.0, 1.0))
    with bench.running() as guard:
        assert guard.reachable == Range(0.0, 0.0)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"backlash_um": -1.0}, "-1.0 um"),
        ({"backlash_um": float("nan")}, "nan um"),
        ({"soft_limits": Range(0.0, 2.0)}, "no room"),
        ({"untrusted_window": Range(1.0, 2.0)}, "must contain 0 um"),
    ],
)
def test_settings_that_leave_no_move_are_refused(options, words):
    with pytest.raises(ValueError, match=words):
        Bench(**options)


# Trust


class Breaks(VirtualStage):
    """A driver whose line fails on the way."""

    error: BaseException = StageFault("the line is dead; plug it in")

    def move_to_um(self, target_um):
        super().move_to_um(target_um)
        raise self.error


def test_an_unconfirmed_stage_moves_little_towards_the_slide_and_more_away():
    bench = Bench(trusted=False)
    with bench.running() as guard:
        assert not guard.trusted
        assert guard.reachable == Range(-47.5, 15.0)
        with pytest.raises(LimitError, match=r"not confirmed.*-50 um to 15 um; home the stage"):
            guard.move_to_um(15.1)
        with pytest.raises(LimitError, match="untrusted"):
            guard.move_to_um(-47.6)
        guard.move_to_um(15.0)
        guard.move_to_um(-47.5)
        assert guard.reachable == Range(-47.5, 15.0)  # fixed to where trust was lost


def test_trust_opens_the_soft_limits():
    bench = Bench(trusted=False)
    with bench.running() as guard:
        guard.move_to_um(5.0)
        for wrong_um in (5.3, float("nan")):
            with pytest.raises(StageError, match="count says 5 um"):
                guard.trust(wrong_um)
        assert not guard.trusted
        guard.trust(5.0)
        assert guard.trusted
        assert guard.untrusted_reason is None
        guard.move_to_um(60.0)


@pytest.mark.parametrize(
    "error",
    [StageFault("dead line"), OSError("gone"), KeyboardInterrupt(), LimitError("its own")],
    ids=lambda error: type(error).__name__,
)
def test_a_failing_driver_costs_the_trust(error):
    bench = Bench(driver=Breaks)
    bench.driver.error = error
    with bench.running() as guard:
        with pytest.raises(type(error)):
            guard.move_to_um(7.0)
        assert not guard.trusted
        assert type(error).__name__ in guard.untrusted_reason
        assert "0 um to 7 um" in guard.untrusted_reason
        assert guard.slack_um == 2.5
        assert guard.travel_um == pytest.approx(7.0)
        with pytest.raises(LimitError, match="untrusted position"):
            guard.move_to_um(7.0 + 15.1)


@pytest.mark.parametrize("stop_fails", [False, True])
def test_a_driver_that_failed_is_told_to_stop_and_its_own_error_is_told(stop_fails):
    stops = []

    class Runaway(Breaks):
        def stop(self):
            stops.append(self.position_um)
            if stop_fails and len(stops) == 1:
                raise StageFault("nor does it hear a stop")

    bench = Bench(driver=Runaway)
    with bench.running() as guard:
        with pytest.raises(StageFault, match="the line is dead"):
            guard.move_to_um(7.0)
        assert stops == pytest.approx([7.0])


def test_a_second_loss_of_trust_does_not_move_the_window():
    bench = Bench()
    with bench.running() as guard:
        guard.distrust("first")
        guard.move_to_um(15.0)
        guard.distrust("second")
        assert guard.untrusted_reason == "second"
        with pytest.raises(LimitError, match=r"second.*-50 um to 15 um"):
            guard.move_to_um(15.1)
        guard.trust(15.0)
        guard.distrust("third")
        guard.move_to_um(30.0)


# Stop


def test_a_stop_between_two_moves_is_not_lost():
    bench = Bench()
    with bench.guard as guard:
        with guard.command(budget_um=1000):
            guard.move_to_um(5.0)
            guard.stop()
            for _ in range(2):
                with pytest.raises(StageStopped, match="5 um"):
                    guard.move_to_um(10.0)
            assert bench.sent_um == pytest.approx([5.0])
        with guard.command(budget_um=1000):
            guard.move_to_um(10.0)


def test_a_stop_in_the_first_leg_drops_the_second():
    bench = Bench()
    with bench.running() as guard:
        bench.clock.at(0.05, guard.stop)  # also from within the very thread that moves
        with pytest.raises(StageStopped):
            guard.move_to_um(-10.0)
        assert bench.sent_um == pytest.approx([-12.5])
        assert -12.5 < guard.position_um < 0
        assert guard.position_um == pytest.approx(bench.mechanics.motor_um)
        assert guard.travel_um == pytest.approx(-guard.position_um)
        assert guard.slack_um == pytest.approx(min(2.5, 2.5 - guard.position_um))
        assert guard.trusted  # the steps are counted
        with pytest.raises(StageStopped):
            guard.move_to_um(5.0)


class DeafOnce(VirtualStage):
    """A driver that begins its move just after the first stop, and so takes it for an old one."""

    deaf = True

    def stop(self):
        if self.deaf:
            self.deaf = False
        else:
            super().stop()


def test_a_stop_that_the_driver_took_for_an_old_one_is_repeated():
    bench = Bench(clock=WallClock(), driver=DeafOnce)
    with bench.running() as guard:
        timer = threading.Timer(0.03, guard.stop)
        timer.start()
        with pytest.raises(StageStopped):
            guard.move_to_um(75.0)  # 0.8 s, if nothing stops it
        timer.join()
        assert not bench.driver.deaf
        assert guard.position_um < 70.0


def test_a_stop_at_the_last_step_still_ends_the_command():
    bench = Bench(driver=DeafOnce)
    with bench.running() as guard:
        bench.clock.at(0.0099, guard.stop)
        with pytest.raises(StageStopped):
            guard.move_to_um(2.5)
        with pytest.raises(StageStopped):
            guard.move_to_um(5.0)


# Release


@pytest.mark.parametrize("failure", [None, RuntimeError("bug"), KeyboardInterrupt()])
def test_the_driver_is_stopped_and_released_on_exit(failure):
    calls = []

    class Noted(VirtualStage):
        def stop(self):
            calls.append("stop")
            super().stop()

        def __exit__(self, kind, error, trace):
            calls.append(("exit", error))
            super().__exit__(kind, error, trace)

    bench = Bench(driver=Noted)
    try:
        with bench.running() as guard:
            guard.move_to_um(5.0)
            if failure:
                raise failure
    except BaseException as error:
        assert error is failure  # noqa: PT017 - also that it was not swallowed
    assert calls[0] == "stop"
    assert ("exit", failure) in calls
    with pytest.raises(StageError, match="not connected"), bench.guard.command(budget_um=10):
        pass


def test_the_driver_is_released_although_its_stop_fails():
    class Dead(VirtualStage):
        released = False

        def stop(self):
            raise StageFault("the line is dead")

        def __exit__(self, kind, error, trace):
            self.released = True

    bench = Bench(driver=Dead)
    with pytest.raises(StageFault, match="dead"), bench.guard:
        pass
    assert bench.driver.released


def test_exit_ends_a_move_under_way():
    bench = Bench()
    guard = bench.guard.__enter__()
    bench.clock.at(0.05, lambda: guard.__exit__(None, None, None))
    with guard.command(budget_um=100):
        with pytest.raises(StageStopped):
            guard.move_to_um(50.0)
        with pytest.raises(StageStopped):
            guard.move_to_um(5.0)
    assert guard.position_um < 5.0
