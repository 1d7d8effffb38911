"""What motors on GPIO lines do, as their recorded pins tell: every chip, and both sequences."""

import math
import random
from contextlib import suppress
from dataclasses import dataclass
from itertools import pairwise

import pytest
from recorded_pins import DATA_SHEETS, ChipWitness, RecordedPins, RotorWitness

from hw.four_phase import FourPhase, FourPhaseSettings
from hw.gpio_stage import GpioStage
from hw.guard import GuardedStage
from hw.pins import PinError
from hw.stage import LimitError, Range, StageFault, StageStopped
from hw.step_chips import CHIPS
from hw.step_dir import StepDirSettings, step_dir
from hw.virtual.clock import SimulatedClock

STEP_UM = 0.25
STEP, DIR, ENABLE = 20, 21, 16
COILS = (5, 6, 13, 19)
KINDS = [*CHIPS, "half", "full"]


class TestTimer:
    """A timer on the simulated clock."""

    __test__ = False

    def __init__(self, clock, after_s, action):
        self._clock, self._after_s, self._action = clock, after_s, action

    def start(self):
        due_s = self._clock.now_s() + self._after_s
        self._clock.at(due_s, lambda: self._action and self._action())

    def cancel(self):
        self._action = None


@dataclass
class Bench:
    stage: GpioStage
    pins: RecordedPins
    witness: ChipWitness | RotorWitness
    clock: SimulatedClock
    per_step: float
    """What the witness counts for a step of the motor."""

    @property
    def steps(self):
        return round(self.witness.count / self.per_step, 6)

    def agrees(self):
        assert self.stage.position_um == pytest.approx(self.steps * STEP_UM, abs=1e-9)
        assert self.witness.faults == []

    def stop_after(self, after_s, *, stop=None):
        self.clock.at(self.clock.now_s() + after_s, stop or self.stage.stop)


def bench(kind="A4988", **changes):
    clock = SimulatedClock()
    pins = RecordedPins(clock)
    options = {
        "step_um": STEP_UM,
        "travel_low_um": -50,
        "travel_high_um": 50,
        "top_speed_steps_per_s": 1000,
        "acceleration_steps_per_s2": 20_000,
    } | changes

    def timer(after_s, action):
        return TestTimer(clock, after_s, action)

    if kind in CHIPS:
        options = {"step_pin": STEP, "direction_pin": DIR, "enable_pin": ENABLE} | options
        settings = StepDirSettings(chip=kind, **options)
        stage = step_dir(settings, clock, pins, timer)
        witness, per_step = ChipWitness(STEP, DIR, ENABLE, DATA_SHEETS[kind]), 1
    else:
        stage = FourPhase(
            FourPhaseSettings(coil_pins=COILS, steps=kind, **options), clock, pins, timer
        )
        witness, per_step = RotorWitness(COILS), {"half": 1, "full": 2}[kind]
    pins.watchers.append(witness)
    return Bench(stage, pins, witness, clock, per_step)


def assert_within_ramp(times_s, speed=1000, acceleration=20_000):
    """From the times of the steps of one move, in s: no faster, and no more abrupt, than set."""
    waits_s = [after_s - before_s for before_s, after_s in pairwise(times_s)]
    # A step ends a move from rest to rest, and begins one, at most at v^2 = 2 a x for x = 1.
    start = math.sqrt(acceleration / 2) * (1 + 1e-6)
    rates = [1 / wait_s for wait_s in waits_s]
    assert all(rate <= speed * (1 + 1e-6) for rate in rates)
    if rates:
        assert rates[0] <= start * (1 + math.sqrt(2)) + 1e-6
        assert rates[-1] <= start * (1 + math.sqrt(2)) + 1e-6
    for (one_s, other_s), (rate, next_rate) in zip(pairwise(waits_s), pairwise(rates), strict=True):
        allowed = acceleration * (one_s + other_s) / 2
        assert abs(next_rate - rate) <= allowed * (1 + 1e-6) + 1e-6


# Moves


@pytest.mark.parametrize("jerk", [None, 1e6])
@pytest.mark.parametrize("kind", KINDS)
def test_random_moves_send_the_right_pulses(kind, jerk):
    made = bench(kind, jerk_steps_per_s3=jerk, reversed=False)
    rng = random.Random(kind)
    with made.stage as stage:
        for _ in range(1000 if jerk is None else 100):
            before, sent = made.steps, len(made.witness.steps_s)
            target = rng.choice([rng.randint(-30, 30), before + rng.randint(-3, 3)])
            target = max(min(target, 200), -200)
            stage.move_to_um(target * STEP_UM)
            assert len(made.witness.steps_s) - sent == abs(target - before)
            assert made.steps == target
            made.agrees()
            assert_within_ramp(made.witness.steps_s[sent:])


@pytest.mark.parametrize("on_stop", ["at once", "decelerate"])
@pytest.mark.parametrize("kind", KINDS)
def test_stops_at_random_times_leave_the_count_right(kind, on_stop):
    made = bench(kind, on_stop=on_stop)
    rng = random.Random(kind)
    with made.stage as stage:
        stage.move_to_um(STEP_UM)
        for _ in range(200):
            sent = len(made.witness.steps_s)
            stop_s = made.clock.now_s() + rng.uniform(0, 0.2)
            fired = []
            made.clock.at(stop_s, lambda fired=fired: (stage.stop(), fired.append(True)))
            target_um = rng.choice([-1, 1]) * rng.uniform(5, 40)
            try:
                stage.move_to_um(target_um)
                assert not fired
                made.clock.wait_until_s(stop_s + 1)
            except StageStopped:
                assert fired
            made.agrees()
            times_s = made.witness.steps_s[sent:]
            after = sum(time_s > stop_s for time_s in times_s)
            if on_stop == "at once":
                assert after == 0
            else:
                assert after <= 1000**2 / (2 * 20_000) + 1
                assert_within_ramp(times_s)


def test_a_stop_with_deceleration_slows_down_and_stands_short_of_the_target():
    made = bench(on_stop="decelerate")
    with made.stage as stage:
        made.stop_after(0.15)  # 25 steps up to 1000 steps/s in 0.05 s, and 100 more
        with pytest.raises(StageStopped):
            stage.move_to_um(50.0)
        made.agrees()
        assert made.steps == pytest.approx(125 + 25, abs=3)
        # Told again and again, as the guard does, it slows down no faster.
        made.stop_after(0.15)
        made.stop_after(0.16)
        with pytest.raises(StageStopped):
            stage.move_to_um(-50.0)
        assert made.steps == pytest.approx(0, abs=4)
        made.agrees()


def test_a_stop_before_the_first_step_sends_none():
    made = bench(on_stop="decelerate")
    with made.stage as stage:
        made.stop_after(0.005)
        with pytest.raises(StageStopped):
            stage.move_to_um(50.0)
    assert made.steps == 0
    made.agrees()


def test_the_travel_is_that_of_the_settings_and_the_axis_may_be_reversed():
    made = bench(reversed=True)
    with made.stage as stage:
        stage.move_to_um(10.0)
        assert made.witness.count == -40
        assert stage.position_um == 10.0
    assert stage.travel == Range(-50, 50)
    assert stage.step_um == STEP_UM


@pytest.mark.parametrize("late_s", [0.0003, 0.003])
def test_after_a_late_step_the_motor_is_not_rushed(late_s):
    made = bench()
    rng = random.Random(1)
    made.pins.slow_write_s = lambda: late_s if rng.random() < 0.05 else 0.0
    with made.stage as stage:
        stage.move_to_um(50.0)
    made.agrees()
    waits_s = [after - before for before, after in pairwise(made.witness.steps_s)]
    # A late rising edge is one that began in time: the next may come that much sooner.
    assert min(waits_s) >= 1e-3 - late_s - 1e-9
    if late_s > 1e-3:
        stood = [at for at, wait_s in enumerate(waits_s[:-1]) if wait_s > 3.5e-3]
        assert stood


def test_a_motor_that_stood_sets_off_from_rest_again():
    made = bench()
    clock = made.clock
    with made.stage as stage:
        # Someone else holds this thread up for 50 ms, at top speed.
        clock.at(0.1, lambda: clock.wait_until_s(0.15))
        stage.move_to_um(50.0)
    made.agrees()
    times_s = made.witness.steps_s
    at = next(i for i, (a, b) in enumerate(pairwise(times_s)) if b - a > 0.04) + 1
    assert times_s[at + 1] - times_s[at] == pytest.approx(0.01, abs=1e-5)
    assert_within_ramp(times_s[at:])


def test_a_motor_that_stood_while_it_slowed_down_stays_there():
    made = bench(on_stop="decelerate")
    clock = made.clock
    with made.stage as stage:
        clock.at(0.1, stage.stop)
        clock.at(0.11, lambda: clock.wait_until_s(0.15))
        with pytest.raises(StageStopped):
            stage.move_to_um(50.0)
    made.agrees()
    assert sum(time_s > 0.12 for time_s in made.witness.steps_s) == 1


# Guarded


@pytest.mark.parametrize(
    "commands", [1000, pytest.param(10_000, marks=pytest.mark.slow)], ids=["some", "many"]
)
@pytest.mark.parametrize("kind", KINDS)
def test_random_guarded_commands(kind, commands):
    made = bench(kind)
    limits = Range(-8.0, 8.0)
    rng = random.Random(kind)
    outcomes = dict.fromkeys(["made", "refused", "stopped"], 0)
    guard = GuardedStage(made.stage, soft_limits=limits, backlash_um=0.5, trusted=True)
    with guard:
        for _ in range(commands):
            here = round(guard.position_um / STEP_UM)
            target = rng.randint(-36, 36) if rng.random() < 0.1 else here + rng.randint(-5, 5)
            stop_s = rng.uniform(0, 0.02) if rng.random() < 0.1 else None
            waiting = True
            if stop_s is not None:
                made.stop_after(stop_s, stop=lambda: waiting and guard.stop())  # noqa: B023
            try:
                with guard.command(budget_um=rng.choice([2.0, 100.0])):
                    guard.move_to_um(target * STEP_UM)
                assert made.steps == target
                outcomes["made"] += 1
            except LimitError:
                assert made.steps == here
                outcomes["refused"] += 1
            except StageStopped:
                outcomes["stopped"] += 1
            waiting = False
            made.agrees()
            if rng.random() < 0.01:
                guard.distrust("the test says so")
                guard.trust(guard.position_um)
    reached_um = [count / made.per_step * STEP_UM for count in made.witness.counts]
    assert limits.low_um - 1e-9 <= min(reached_um)
    assert max(reached_um) <= limits.high_um + 1e-9
    assert min(outcomes.values()) > commands / 50


# Current


@pytest.mark.parametrize("keeps_place", [False, True])
@pytest.mark.parametrize("kind", KINDS)
def test_the_motor_is_released_when_idle_and_takes_up_where_it_was(kind, keeps_place):
    made = bench(kind, release="when idle", idle_s=5.0, keeps_place=keeps_place)
    with made.stage as stage:
        stage.move_to_um(3 * STEP_UM)
        made.clock.wait_until_s(made.clock.now_s() + 4.9)
        stage.move_to_um(5 * STEP_UM)
        assert stage.take_doubt() is None
        made.clock.wait_until_s(made.clock.now_s() + 4.9)
        assert energised(made)
        made.clock.wait_until_s(made.clock.now_s() + 0.2)
        assert not energised(made)
        doubt = stage.take_doubt()
        assert doubt is None if keeps_place else "5 s" in doubt
        assert stage.take_doubt() is None
        sent = len(made.witness.steps_s)
        stage.move_to_um(6 * STEP_UM)
        assert energised(made)
        assert len(made.witness.steps_s) - sent == 1
        made.agrees()


@pytest.mark.parametrize("kind", KINDS)
def test_an_idle_motor_is_not_released_in_a_move(kind):
    made = bench(kind, release="when idle", idle_s=0.05)
    with made.stage as stage:
        stage.move_to_um(STEP_UM)
        stage.move_to_um(50.0)
        made.agrees()
        assert stage.take_doubt() is None


def energised(made):
    if isinstance(made.witness, RotorWitness):
        return bool(made.witness.on)
    return not made.pins.levels[ENABLE]


@pytest.mark.parametrize("release", ["at exit", "when idle", "never"])
@pytest.mark.parametrize("kind", KINDS)
def test_exit_releases_as_set_and_says_so(kind, release):
    made = bench(kind, release=release)
    with made.stage as stage:
        assert not energised(made)  # nothing moved yet
        stage.move_to_um(STEP_UM)
        last = len(made.pins.edges)
    off = {edge.pin for edge in made.pins.edges[last:]}
    if release == "never":
        assert off == set()
    else:
        assert off <= ({ENABLE} if kind in CHIPS else set(COILS))
        assert off
    assert not made.pins.open
    with made.stage as stage:
        assert "disconnected" in stage.take_doubt()
        stage.move_to_um(3 * STEP_UM)
        made.agrees()


def test_a_motor_that_was_never_moved_leaves_no_doubt():
    made = bench()
    for _ in range(2):
        with made.stage as stage:
            assert stage.take_doubt() is None


@pytest.mark.parametrize("on_stop", ["at once", "decelerate"])
def test_an_exit_in_mid_move_stops_releases_and_gives_the_lines_back(on_stop):
    made = bench(on_stop=on_stop)
    made.stage.__enter__()
    made.stop_after(0.2, stop=lambda: made.stage.__exit__(None, None, None))
    with pytest.raises(StageStopped):
        made.stage.move_to_um(50.0)
    made.agrees()
    assert not made.pins.open
    assert made.pins.edges[-1].pin == ENABLE
    assert made.pins.edges[-1].level
    with pytest.raises(StageFault, match="not connected"):
        made.stage.move_to_um(0.0)


# Faults


def test_a_line_that_fails_in_mid_move_is_a_fault_and_distrusted():
    made = bench()
    guard = GuardedStage(made.stage, soft_limits=Range(-50, 50), backlash_um=0, trusted=True)
    with guard, guard.command(budget_um=100):
        guard.move_to_um(STEP_UM)

        def break_it():
            made.pins.broken = "GPIO 20 is gone"

        made.stop_after(0.1, stop=break_it)
        with pytest.raises(PinError, match="is gone"):
            guard.move_to_um(40.0)
        assert not guard.trusted
        assert abs(guard.position_um / STEP_UM - made.steps) <= 1
    assert not made.pins.open


def test_lines_that_cannot_be_claimed_are_given_back():
    made = bench()
    made.pins.broken = "GPIO 21 is in use"
    with pytest.raises(PinError, match="in use"), made.stage:
        pass
    assert not made.pins.open
    with suppress(StageFault):
        made.stage.stop()


def test_two_moves_at_once_are_refused():
    made = bench()
    refused = []

    def second():
        with pytest.raises(StageFault, match="another move"):
            made.stage.move_to_um(0.0)
        refused.append(True)

    with made.stage as stage:
        made.stop_after(0.1, stop=second)
        stage.move_to_um(50.0)
        assert refused
        made.agrees()
