"""A virtual stage that was told wrong of its mechanics."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hw.axis import AxisSettings
from hw.virtual.clock import SimulatedClock
from hw.virtual.mechanics import Mechanics, MechanicsSettings
from hw.virtual.microscope import MicroscopeSettings, VirtualMicroscope
from hw.virtual.stage import VirtualStage

STILL = {"play_um": 0, "ring_um": 0, "drift_um_per_s": 0, "backlash_um": 0}


@given(
    st.floats(0.02, 0.5),
    st.floats(0.02, 0.5),
    st.booleans(),
    st.booleans(),
    st.lists(st.floats(-20, 20), min_size=1, max_size=5),
)
@settings(deadline=None, max_examples=40)
def test_it_counts_as_told_and_moves_as_it_is(true_um, told_um, wired, told, targets_um):
    clock = SimulatedClock()
    mechanics = Mechanics(MechanicsSettings(step_um=true_um, reversed=wired, **STILL))
    axis = AxisSettings(step_um=told_um, reversed=told)
    way = -1 if wired != told else 1
    with VirtualStage(mechanics, clock, axis) as stage:
        start_um, counted_um = float(mechanics.position_um(clock.now_s())), stage.position_um
        for target_um in targets_um:
            stage.move_to_um(target_um)
            assert stage.position_um == pytest.approx(target_um, abs=told_um / 2 + 1e-9)
            went_um = float(mechanics.position_um(clock.now_s())) - start_um
            said_um = stage.position_um - counted_um
            assert went_um == pytest.approx(way * said_um * true_um / told_um, abs=1e-6)


def test_told_nothing_it_knows_the_truth():
    mechanics = Mechanics(MechanicsSettings(step_um=0.25, reversed=True, **STILL), start_um=7.0)
    stage = VirtualStage(mechanics, SimulatedClock())
    assert stage.position_um == 7.0
    assert stage.step_um == 0.25
    assert (stage.travel.low_um, stage.travel.high_um) == (-499.75, 499.75)
    with stage:
        stage.move_to_um(9.0)
    assert mechanics.motor_um == 9.0


def test_a_microscope_passes_on_what_its_stage_is_told():
    microscope = VirtualMicroscope(
        SimulatedClock(),
        1,
        settings=MicroscopeSettings(
            frame_px=(128, 160),
            axis=AxisSettings(step_um=0.37, travel_low_um=-50, travel_high_um=40, settle_s=0.2),
        ),
    )
    assert microscope.stage.step_um == 0.37
    assert (microscope.stage.travel.low_um, microscope.stage.travel.high_um) == (-50, 40)
