"""What every stage must do, bare and behind the guard."""

import threading
from contextlib import ExitStack

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    rule,
    run_state_machine_as_test,
)

from hw.guard import GuardedStage
from hw.stage import LimitError, Range, StageError, StageStopped


def from_another_thread(action):
    def run():
        thread = threading.Thread(target=action)
        thread.start()
        thread.join()

    return run


# Bare


@settings(
    max_examples=20,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(shares=st.lists(st.floats(0, 1), min_size=1, max_size=5))
def test_position_is_the_asked_one_to_the_step(make_rig, shares):
    rig = make_rig()
    with rig.stage as stage:
        for share in shares:
            target_um = rig.span.low_um + share * (rig.span.high_um - rig.span.low_um)
            stage.move_to_um(target_um)
            assert abs(stage.position_um - target_um) <= stage.step_um / 2 + 1e-9


def test_moving_to_where_it_is_sends_nothing(rig):
    with rig.stage as stage:
        before = (stage.position_um, stage.settled_at_s, rig.axis_um(), rig.clock.now_s())
        stage.move_to_um(stage.position_um)
        assert (stage.position_um, stage.settled_at_s, rig.axis_um(), rig.clock.now_s()) == before


@pytest.mark.parametrize("share", [0.05, 0.3, 0.5, 0.9])
def test_stop_in_mid_move_halts_within_a_step_period(make_rig, share):
    def engaged_at_low(rig):
        rig.stage.move_to_um(rig.span.low_um)
        rig.stage.move_to_um(rig.span.low_um + rig.backlash_um + rig.stage.step_um)
        return rig.clock.now_s(), rig.stage.position_um

    whole = make_rig()
    with whole.stage:
        start_s, _ = engaged_at_low(whole)
        whole.stage.move_to_um(whole.span.high_um)
        duration_s = whole.clock.now_s() - start_s

    rig = make_rig()
    with rig.stage as stage:
        start_s, start_um = engaged_at_low(rig)
        stop_s = start_s + share * duration_s
        rig.clock.at(stop_s, from_another_thread(stage.stop))
        with pytest.raises(StageStopped):
            stage.move_to_um(rig.span.high_um)
        assert rig.clock.now_s() - stop_s <= rig.step_period_s
        assert start_um <= stage.position_um < rig.span.high_um
        # The count is of the steps sent, for the axis stands there.
        assert rig.axis_um() == pytest.approx(stage.position_um, abs=1e-6)
        stage.move_to_um(rig.span.high_um)
        assert rig.axis_um() == pytest.approx(stage.position_um, abs=1e-6)


def test_stop_before_or_after_a_move_is_harmless(rig):
    stage = rig.stage
    stage.stop()
    with stage:
        stage.stop()
        stage.move_to_um(rig.span.high_um)
        stage.stop()
        stage.stop()
        assert stage.position_um == pytest.approx(rig.span.high_um, abs=stage.step_um / 2 + 1e-9)
        stage.move_to_um(rig.span.low_um)
        assert stage.position_um == pytest.approx(rig.span.low_um, abs=stage.step_um / 2 + 1e-9)
    stage.stop()


def test_is_settled_no_sooner_than_its_last_step(rig):
    with rig.stage as stage:
        assert stage.settled_at_s <= rig.clock.now_s()
        stage.move_to_um(rig.span.high_um)
        assert stage.settled_at_s >= rig.clock.now_s()


@pytest.mark.parametrize("failure", [None, RuntimeError, KeyboardInterrupt])
def test_is_released_on_exit(rig, failure):
    try:
        with rig.stage as stage:
            stage.move_to_um(rig.span.high_um)
            if failure:
                raise failure
    except (RuntimeError, KeyboardInterrupt) as error:
        assert type(error) is failure  # noqa: PT017 - also that nothing was swallowed
    else:
        assert failure is None
    before_um = rig.axis_um()
    with pytest.raises(StageError):
        rig.stage.move_to_um(rig.span.low_um)
    assert rig.axis_um() == before_um


def test_exit_stops_a_move_under_way(rig):
    stage = rig.stage.__enter__()
    exit_s = rig.clock.now_s() + 3 * rig.step_period_s
    rig.clock.at(exit_s, from_another_thread(lambda: stage.__exit__(None, None, None)))
    with pytest.raises(StageStopped):
        stage.move_to_um(rig.span.high_um)
    assert rig.clock.now_s() - exit_s <= rig.step_period_s
    assert stage.position_um < rig.span.high_um


# Behind the guard


def guard_of(rig, **changes):
    options = {"soft_limits": rig.span, "backlash_um": rig.backlash_um, "trusted": True} | changes
    return GuardedStage(rig.stage, **options)


def state_of(rig, guard):
    return guard.position_um, guard.travel_um, guard.moves, rig.axis_um(), rig.clock.now_s()


def test_a_path_is_checked_before_its_first_step(rig):
    with guard_of(rig) as guard, guard.command(budget_um=1000):
        before = state_of(rig, guard)
        refused_um = [rig.span.high_um + 1, rig.span.low_um - 1, float("nan"), float("inf")]
        if rig.backlash_um:
            refused_um.append(rig.span.low_um + rig.backlash_um / 2)  # inside; its overshoot is not
        for target_um in refused_um:
            with pytest.raises(LimitError):
                guard.move_to_um(target_um)
        assert state_of(rig, guard) == before


def test_soft_limits_do_not_open_the_mechanics(rig):
    wide = Range(-1e6, 1e6)
    with guard_of(rig, soft_limits=wide) as guard, guard.command(budget_um=1e7):
        before = state_of(rig, guard)
        for target_um in (rig.stage.travel.high_um + 1, rig.stage.travel.low_um - 1):
            with pytest.raises(LimitError, match="travel of the stage"):
                guard.move_to_um(target_um)
        assert state_of(rig, guard) == before
        guard.move_to_um(guard.reachable.low_um)
        guard.move_to_um(guard.reachable.high_um)
    assert rig.crashes() == 0


def test_the_budget_counts_overshoots_and_is_not_passed(rig):
    with guard_of(rig) as guard:
        with guard.command(budget_um=1000):
            guard.move_to_um(guard.reachable.high_um)
        down_um = guard.position_um - 5.0
        path_um = 5.0 + 2 * rig.backlash_um
        with guard.command(budget_um=path_um - guard.step_um):
            before = state_of(rig, guard)
            with pytest.raises(LimitError, match="budget"):
                guard.move_to_um(down_um)
            assert state_of(rig, guard) == before
        with guard.command(budget_um=path_um + 1):
            guard.move_to_um(down_um)
            assert guard.travel_um == pytest.approx(path_um)
            with pytest.raises(LimitError, match="budget"):
                guard.move_to_um(guard.position_um + 1.5)
            guard.move_to_um(guard.position_um + 0.5)


class GuardedMoves(RuleBasedStateMachine):
    """Random commands, moves, stops and losses of trust, beside a model that counts steps."""

    window = Range(-8.0, 3.0)

    def __init__(self, make_rig):
        super().__init__()
        self.rig = make_rig()
        self.unit_um = self.rig.stage.step_um
        self.guard = guard_of(self.rig, trusted=False, untrusted_window=self.window)
        self.legs = []
        inner_move = self.rig.stage.move_to_um

        def logged_move(target_um):
            self.legs.append(self.steps(target_um))
            inner_move(target_um)

        self.rig.stage.move_to_um = logged_move
        self.on_exit = ExitStack()
        self.on_exit.enter_context(self.guard)
        self.command = self.on_exit.enter_context(ExitStack())
        # The model, in steps
        self.low, self.high = self.steps(self.rig.span.low_um), self.steps(self.rig.span.high_um)
        self.backlash = self.steps(self.rig.backlash_um)
        self.at = self.steps(self.guard.position_um)
        self.slack = self.backlash
        self.lost_at, self.trusted = self.at, False
        self.budget = self.travelled = 0
        self.open = self.stopped = False

    def steps(self, length_um):
        return round(length_um / self.unit_um)

    def allowed(self, step):
        near = self.steps(self.window.low_um) <= step - self.lost_at
        near &= step - self.lost_at <= self.steps(self.window.high_um)
        return self.low <= step <= self.high and (near or self.trusted)

    def run_to(self, step):
        self.travelled += abs(step - self.at)
        self.slack = min(max(self.slack - (step - self.at), 0), self.backlash)
        self.at = step

    @initialize(trusted=st.booleans())
    def start(self, trusted):
        if trusted:
            self.trust()
        self.begin(10_000)

    @rule(step=st.integers(-20, 370))
    def move_anywhere(self, step):
        self.move_or_stop(self.low + step, None)

    @rule(run=st.integers(-40, 40))
    def move_near(self, run):
        self.move_or_stop(self.at + run, None)

    @rule(step=st.integers(0, 350), stop_after_s=st.floats(0, 0.2))
    def move_and_stop(self, step, stop_after_s):
        self.move_or_stop(self.low + step, stop_after_s)
        if self.stopped:
            self.move_or_stop(self.at + 1, None)
            self.begin(10_000)

    @rule(what=st.sampled_from(["end", "stop", "distrust", "trust", "small budget", "budget"]))
    def do(self, what):
        if what == "end":
            self.command.close()
            self.open = False
        elif what == "stop":
            self.guard.stop()
            self.stopped = True
        elif what == "distrust":
            self.guard.distrust("the test says so")
            if self.trusted:
                self.lost_at = self.at
            self.trusted, self.slack = False, self.backlash
        elif what == "trust":
            self.trust()
        else:
            self.begin(60 if what == "small budget" else 10_000)

    def begin(self, budget):
        self.command.close()
        self.command.enter_context(self.guard.command(budget_um=budget * self.unit_um))
        self.budget, self.travelled = budget, 0
        self.open, self.stopped = True, False

    def trust(self):
        self.guard.trust(self.guard.position_um)
        self.trusted = True

    def move_or_stop(self, run, stop_after_s):
        target = self.at + run
        direct = run >= self.slack or not self.backlash
        path = [target] if direct else [target - self.backlash, target]
        path = path if run else []
        length = sum(abs(b - a) for a, b in zip([self.at, *path], path, strict=False))
        self.legs.clear()
        fired = []
        if stop_after_s is not None:

            def stop_now():
                if waiting:
                    fired.append(True)
                    from_another_thread(self.guard.stop)()

            self.rig.clock.at(self.rig.clock.now_s() + stop_after_s, stop_now)
        waiting = True
        try:
            self.guard.move_to_um(target * self.unit_um)
            outcome = None
        except StageError as error:
            outcome = type(error)
        waiting = False

        if not self.open:
            expected = StageError
        elif self.stopped or fired:
            expected = StageStopped
        elif not all(map(self.allowed, path)) or length > self.budget - self.travelled:
            expected = LimitError
        else:
            expected = None
        assert outcome is expected
        if fired:
            self.stopped = True
            assert self.legs == path[: len(self.legs)]
            for leg in self.legs[:-1]:
                self.run_to(leg)
            self.run_to(self.steps(self.guard.position_um))
        elif expected is None:
            assert self.legs == path
            for leg in self.legs:
                self.run_to(leg)
            if path:
                assert self.slack == 0
        else:
            assert not self.legs

    @invariant()
    def agrees_with_the_model_and_the_truth(self):
        assert self.guard.position_um == pytest.approx(self.at * self.unit_um, abs=1e-6)
        assert self.guard.slack_um == pytest.approx(self.slack * self.unit_um, abs=1e-6)
        assert self.guard.trusted is self.trusted
        if self.open:
            assert self.guard.travel_um == pytest.approx(self.travelled * self.unit_um, abs=1e-6)
        ahead_um = self.rig.axis_um() - self.guard.position_um
        assert -1e-6 <= ahead_um <= self.guard.slack_um + 1e-6
        assert self.rig.crashes() == 0
        assert self.rig.span.low_um - 1e-6 <= self.guard.position_um <= self.rig.span.high_um + 1e-6

    def teardown(self):
        self.on_exit.close()


def run_random_commands(make_rig, sequences):
    run_state_machine_as_test(
        lambda: GuardedMoves(make_rig),
        settings=settings(max_examples=sequences, stateful_step_count=25, deadline=None),
    )


def test_random_guarded_commands(make_rig):
    run_random_commands(make_rig, 120)


@pytest.mark.slow
def test_ten_thousand_random_guarded_commands(make_rig):
    run_random_commands(make_rig, 400)
