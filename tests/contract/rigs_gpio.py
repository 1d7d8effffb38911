"""GPIO stages whose pins are recorded: the axis stands where a witness of the pins says."""

from pathlib import Path

from recorded_pins import DATA_SHEETS, ChipWitness, RecordedPins, RotorWitness
from stages import Rig

from hw.four_phase import FourPhase, FourPhaseSettings
from hw.stage import Range
from hw.step_dir import StepDir, StepDirSettings
from hw.virtual.clock import SimulatedClock

STEP_UM = 0.25


def step_dir(folder: Path) -> Rig:  # noqa: ARG001
    """A DRV8825, which is the slowest chip, whose motor turns the other way."""
    settings = StepDirSettings(
        chip="DRV8825",
        step_pin=20,
        direction_pin=21,
        enable_pin=16,
        step_um=STEP_UM,
        reversed=True,
        travel_low_um=-25,
        travel_high_um=25,
    )
    clock = SimulatedClock()
    pins = RecordedPins(clock)
    witness = ChipWitness(20, 21, 16, DATA_SHEETS["DRV8825"])
    pins.watchers.append(witness)
    return Rig(
        stage=StepDir(settings, clock, pins),
        clock=clock,
        axis_um=lambda: -witness.count * STEP_UM,
        crashes=lambda: len(witness.faults),
        span=Range(-20.0, 15.0),
        backlash_um=1.0,
        step_period_s=(2 / settings.acceleration_steps_per_s2) ** 0.5,
    )


def four_phase(folder: Path) -> Rig:  # noqa: ARG001
    """A 28BYJ-48 in half steps."""
    settings = FourPhaseSettings(
        coil_pins=(5, 6, 13, 19),
        step_um=STEP_UM,
        release="at exit",
        travel_low_um=-25,
        travel_high_um=25,
    )
    clock = SimulatedClock()
    pins = RecordedPins(clock)
    witness = RotorWitness((5, 6, 13, 19))
    pins.watchers.append(witness)
    return Rig(
        stage=FourPhase(settings, clock, pins),
        clock=clock,
        axis_um=lambda: witness.count * STEP_UM,
        crashes=lambda: len(witness.faults),
        span=Range(-20.0, 15.0),
        backlash_um=1.0,
        step_period_s=(2 / settings.acceleration_steps_per_s2) ** 0.5,
    )


GPIO_RIGS = {"step/dir": step_dir, "four-phase": four_phase}
