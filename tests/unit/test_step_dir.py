"""End stops, homing, and what the settings of a STEP/DIR driver refuse."""

import random

import pytest
from pydantic import ValidationError
from recorded_pins import DATA_SHEETS, ChipWitness, RecordedPins

from hw.end_stop import EndStop, EndStopSettings
from hw.guard import GuardedStage
from hw.stage import Range, StageError, StageFault, StageStopped, can_home
from hw.step_chips import CHIPS
from hw.step_dir import HomingStepDir, StepDirMotor, StepDirSettings, step_dir
from hw.virtual.clock import SimulatedClock

STEP_UM = 0.25
END_STOP = {
    "pin": 26,
    "position_um": -100.0,
    "speed_steps_per_s": 200,
    "approach_steps_per_s": 20,
    "back_off_um": 5.0,
}


def settings(**changes):
    options = {
        "chip": "A4988",
        "step_pin": 20,
        "direction_pin": 21,
        "enable_pin": 16,
        "step_um": STEP_UM,
        "travel_low_um": -110,
        "travel_high_um": 110,
    }
    return StepDirSettings(**options | changes)


class Axis:
    """An axis with a switch at one end, which bounces, and is let go later than it is pressed."""

    def __init__(self, *, start=0, switch_at=-300, hysteresis=8, seed=0, **changes):
        self.clock = SimulatedClock()
        self.pins = RecordedPins(self.clock)
        self.chip = ChipWitness(20, 21, 16, DATA_SHEETS["A4988"])
        self.pins.watchers += [self.chip, self.moved]
        self.pins.inputs[26] = self.level
        options = {"end_stop": END_STOP} | changes
        self.settings = settings(**options)
        self.stage = step_dir(self.settings, self.clock, self.pins)
        self.start, self.switch_at, self.hysteresis = start, switch_at, hysteresis
        self.sign = -1 if self.settings.reversed else 1
        self.down = self.settings.end_stop.end == "low"
        self.rng = random.Random(seed)
        self.is_pressed = self.wired_wrong = False
        self.changed_s = -1.0
        self.furthest = 0
        self.glitch = 0.0

    @property
    def at(self):
        """Where the axis is, in steps up from where the test says that it started."""
        return self.start + self.sign * self.chip.count

    def moved(self, edge):
        beyond = (self.switch_at - self.at) * (1 if self.down else -1)
        self.furthest = max(self.furthest, beyond)
        pressed = beyond >= (-self.hysteresis if self.is_pressed else 0)
        if pressed != self.is_pressed:
            self.is_pressed, self.changed_s = pressed, edge.time_s

    def level(self):
        pressed = self.is_pressed
        if self.clock.now_s() - self.changed_s < 0.002:
            pressed = self.rng.random() < 0.5
        elif self.rng.random() < self.glitch:
            pressed = not pressed
        return not pressed or self.wired_wrong  # pressed pulls it low


@pytest.mark.parametrize("seed", range(10))
@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"reversed": True},
        {"forward_level": "low"},
        {"end_stop": END_STOP | {"end": "high", "position_um": 100.0}, "reversed": True},
    ],
)
def test_homing_finds_the_switch_and_sets_the_count(changes, seed):
    rng = random.Random(seed)
    axis = Axis(start=rng.randint(-250, 250), seed=seed, **changes)
    if not axis.down:
        axis.switch_at = 300
    if changes.get("forward_level") == "low":
        axis.sign = -axis.sign
    with axis.stage as stage:
        if rng.random() < 0.5:
            stage.move_to_um(rng.uniform(-2, 2))
        stage.home(within_um=200.0)
        end = axis.settings.end_stop
        assert stage.position_um == end.position_um
        # Pressed slowly, it is seen within the bounce, which is less than a step period there.
        assert abs(axis.at - axis.switch_at) <= 1
        # Seen at speed after the bounce, and the debounce, at 200 steps/s.
        assert axis.furthest <= 3
        # The count goes on from there.
        stage.move_to_um(end.position_um + (20.0 if axis.down else -20.0))
        assert abs(axis.at - axis.switch_at) == pytest.approx(80, abs=1)
    assert axis.chip.faults == []


def test_homing_behind_the_guard_gives_trust_and_may_start_on_the_switch():
    axis = Axis(start=-300)
    axis.is_pressed = True
    guard = GuardedStage(axis.stage, soft_limits=Range(-100, 100), backlash_um=0)
    with guard:
        assert can_home(axis.stage)
        with guard.command(budget_um=500):
            guard.home()
        assert guard.trusted
        assert guard.position_um == -100.0
        assert abs(axis.at - axis.switch_at) <= 1
        with guard.command(budget_um=500):
            guard.move_to_um(50.0)
        assert axis.at == pytest.approx(300, abs=1)


def test_a_switch_that_is_not_there_is_a_fault_after_the_length_allowed():
    axis = Axis(switch_at=-10_000)
    with axis.stage as stage:
        with pytest.raises(StageFault, match="GPIO 26 was not found within 30 um"):
            stage.home(within_um=30.0)
        assert axis.at == -120
        assert stage.position_um == -30.0
        # No longer than the axis, whatever is allowed.
        with pytest.raises(StageFault, match="within 220 um"):
            stage.home(within_um=1e6)


def test_a_switch_that_stays_pressed_is_a_fault():
    axis = Axis(hysteresis=1000)
    with axis.stage as stage, pytest.raises(StageFault, match="still pressed 5 um"):
        stage.home(within_um=100.0)


def test_homing_can_be_stopped_and_counts_on():
    for after_s in (0.0, 0.2, 1.0, 1.6, 2.0, 2.2):
        axis = Axis()
        axis.clock.at(after_s, axis.stage.stop)
        with axis.stage as stage, pytest.raises(StageStopped):
            stage.home(within_um=100.0)
        assert axis.clock.now_s() <= after_s + 0.1  # a step period at the slowest, and a debounce
        assert stage.position_um == pytest.approx(axis.at * STEP_UM)


def test_a_move_into_the_end_stop_ends_at_once_in_a_fault():
    axis = Axis(start=-280)  # 20 steps from the switch, and the count says 0
    guard = GuardedStage(axis.stage, soft_limits=Range(-90, 90), backlash_um=0, trusted=True)
    with guard, guard.command(budget_um=500):
        with pytest.raises(StageFault, match="met its end stop at a count of -5"):
            guard.move_to_um(-50.0)
        assert axis.furthest <= 4
        assert not guard.trusted
        guard.move_to_um(0.0)  # away from it, pressed or not


def test_noise_on_the_switch_is_neither_met_nor_found():
    axis = Axis()
    axis.glitch = 0.02
    with axis.stage as stage:
        for target_um in (-40.0, 40.0, -40.0):
            stage.move_to_um(target_um)
            assert axis.at * STEP_UM == target_um
        stage.home(within_um=200.0)
        assert axis.at == pytest.approx(axis.switch_at, abs=2)
    assert axis.chip.faults == []


@pytest.mark.parametrize("pressed_level", ["low", "high"])
def test_the_switch_must_be_seen_for_the_debounce_time(pressed_level):
    clock = SimulatedClock()
    levels = []
    pins = RecordedPins(clock)
    pins.inputs[26] = lambda: levels.pop(0)
    made = EndStopSettings(**END_STOP | {"debounce_s": 0.01, "pressed_level": pressed_level})
    stop = EndStop(made, pins, clock)
    on = pressed_level == "high"
    with pins:
        stop.claim()
        assert pins.pulls == {26: "up"}
        levels[:] = [on] * 5
        assert stop.pressed()
        assert clock.now_s() == pytest.approx(0.01)
        levels[:] = [on] * 4 + [not on]
        assert not stop.pressed()
        levels[:] = [not on]
        before_s = clock.now_s()
        assert not stop.pressed()
        assert clock.now_s() == before_s  # a move is not held up by a switch that is not pressed


def test_a_stage_without_end_stop_cannot_home():
    clock = SimulatedClock()
    made = settings()
    stage = step_dir(made, clock, RecordedPins(clock))
    assert not can_home(stage)
    guard = GuardedStage(stage, soft_limits=Range(-90, 90), backlash_um=0, trusted=True)
    with guard, guard.command(budget_um=500):
        with pytest.raises(StageError, match="no end stop"):
            guard.home()
        assert guard.trusted
    with (
        HomingStepDir(made, clock, RecordedPins(clock)) as homing,
        pytest.raises(StageFault, match="needs an end stop"),
    ):
        homing.home(10.0)


# Settings


def test_a_driver_without_enable_pin_steps_all_the_same():
    clock = SimulatedClock()
    pins = RecordedPins(clock)
    edges = []
    pins.watchers.append(edges.append)
    with step_dir(settings(enable_pin=None), clock, pins) as stage:
        stage.move_to_um(1.0)
    assert sum(edge.level for edge in edges if edge.pin == 20) == 4
    assert {edge.pin for edge in edges} == {20, 21}


def test_enable_may_be_active_high():
    clock = SimulatedClock()
    pins = RecordedPins(clock)
    with step_dir(settings(enable_level="high"), clock, pins) as stage:
        assert pins.levels[16] is False
        stage.move_to_um(1.0)
        assert pins.levels[16] is True
    assert (pins.edges[-1].pin, pins.edges[-1].level) == (16, False)


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"direction_pin": 20}, "a pin of its own"),
        ({"end_stop": END_STOP | {"pin": 16}}, "a pin of its own"),
        ({"chip": "TMC2209", "microsteps": 4}, "8, 16, 32, 64 microsteps a step, not 4"),
        ({"microsteps": 32}, "A4988 makes"),
        ({"chip": "L298"}, "A4988"),
        ({"step_pin": 28}, "27"),
        ({"enable_pin": None, "release": "when idle"}, "needs an enable_pin"),
        ({"top_speed_steps_per_s": 0}, "greater than 0"),
        ({"pins": "pigpio"}, "lgpio"),
        ({"colour": "red"}, "colour"),
    ],
)
def test_settings_that_do_not_fit_are_refused(changes, why):
    with pytest.raises(ValidationError, match=why):
        settings(**changes)


@pytest.mark.parametrize("chip", CHIPS)
def test_the_signals_wait_for_the_chip_even_where_no_ramp_does(chip):
    clock = SimulatedClock()
    pins = RecordedPins(clock)
    witness = ChipWitness(20, 21, 16, DATA_SHEETS[chip])
    pins.watchers.append(witness)
    motor = StepDirMotor(settings(chip=chip), clock, pins, None)
    with pins:
        motor.claim()
        for direction in (1, -1, -1, 1, 1, -1):
            motor.turn(direction)
            motor.switch(True)
            motor.set_off(0.0)
            motor.step(clock.now_s(), 0.0, 0.0)
            motor.step(clock.now_s(), 0.0, 0.0)
            motor.turn(-direction)
            motor.step(clock.now_s(), 0.0, 0.0)
            motor.switch(False)
    assert len(witness.steps_s) == 18
    assert witness.faults == []


@pytest.mark.parametrize("chip", CHIPS)
def test_the_chips_are_told_what_their_data_sheets_ask_at_least(chip):
    minima, timing = DATA_SHEETS[chip], CHIPS[chip]
    assert timing.high_s >= minima.high_s
    assert timing.low_s >= minima.low_s
    assert timing.direction_setup_s >= minima.setup_s
    assert timing.high_s + timing.low_s >= minima.hold_s
    assert timing.wake_s >= minima.wake_s
