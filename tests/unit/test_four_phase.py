"""The patterns of a four-phase motor, and the settings that it refuses."""

import pytest
from pydantic import ValidationError
from recorded_pins import RecordedPins

from hw.four_phase import FourPhase, FourPhaseSettings
from hw.virtual.clock import SimulatedClock

IN1, IN2, IN3, IN4 = 5, 6, 13, 19


def settings(**changes):
    return FourPhaseSettings(**{"coil_pins": (IN1, IN2, IN3, IN4), "step_um": 0.25} | changes)


def patterns_of(moves_um, **changes):
    """Which coils are on after each instant in which any changed."""
    clock = SimulatedClock()
    pins = RecordedPins(clock)
    at = {}
    pins.watchers.append(lambda edge: at.__setitem__(edge.time_s, coils_on(pins)))
    with FourPhase(settings(release="at exit", **changes), clock, pins) as stage:
        for target_um in moves_um:
            stage.move_to_um(target_um)
        return list(at.values())


def coils_on(pins):
    return [place for place, pin in enumerate((IN1, IN2, IN3, IN4), 1) if pins.levels.get(pin)]


def test_half_steps_take_one_coil_and_two_in_turn():
    # The data sheet of the 28BYJ-48: eight states a cycle, one wire or two neighbours.
    cycle = [[1], [1, 2], [2], [2, 3], [3], [3, 4], [4], [1, 4]]
    assert patterns_of([2.5]) == [*cycle, *cycle[:3]]
    back = [cycle[0], *cycle[::-1], cycle[7]]
    assert patterns_of([-2.25]) == back


def test_full_steps_keep_two_coils_on():
    cycle = [[1, 2], [2, 3], [3, 4], [1, 4]]
    assert patterns_of([1.25], steps="full") == [*cycle, *cycle[:2]]


def test_the_count_goes_on_through_turns():
    there_and_back = patterns_of([1.0, 0.5, 1.0])
    assert there_and_back == [[1], [1, 2], [2], [2, 3], [3], [2, 3], [2], [2, 3], [3]]


def test_the_coils_are_off_before_and_after():
    clock = SimulatedClock()
    pins = RecordedPins(clock)
    stage = FourPhase(settings(), clock, pins)
    with stage:
        assert coils_on(pins) == []
    edges = [edge for edge in pins.edges if edge.level]
    assert edges == []


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"coil_pins": (5, 6, 13, 13)}, "four GPIO numbers"),
        ({"coil_pins": (5, 6, 13, 40)}, "four GPIO numbers"),
        ({"coil_pins": (5, 6, 13)}, "coil_pins"),
        ({"steps": "quarter"}, "half"),
        ({"top_speed_steps_per_s": 5000}, "2000"),
    ],
)
def test_settings_that_do_not_fit_are_refused(changes, why):
    with pytest.raises(ValidationError, match=why):
        settings(**changes)
