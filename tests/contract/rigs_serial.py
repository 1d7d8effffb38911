"""A GRBL board behind a pty; its motor turns in simulated time."""

from pathlib import Path
from tempfile import mkdtemp

from firmware.grbl import GrblFirmware
from firmware.own_port import BAUD, OwnPort
from stages import Rig

from hw.grbl import Grbl, GrblSettings
from hw.grbl_board import POLL_AT_END_S, POLL_S
from hw.stage import Range
from hw.virtual.clock import SimulatedClock

STEP_UM = 0.1
RATE_UM_PER_S = 50.0


def grbl(folder: Path) -> Rig:
    """Jogs of 500 steps/s; a stop is passed on at once and noticed at the next look."""
    clock = SimulatedClock()
    firmware = GrblFirmware({122: 800}, clock=clock)  # 200,000 steps/s^2
    line = OwnPort(firmware, Path(mkdtemp(dir=folder)))
    settings = GrblSettings(
        kind="grbl",
        port=line.port,
        baud=BAUD,
        step_um=STEP_UM,
        travel_low_um=-25,
        travel_high_um=25,
        rate_um_per_s=RATE_UM_PER_S,
    )
    return Rig(
        stage=Grbl(settings, clock, line),
        clock=clock,
        axis_um=lambda: firmware.motor_steps[2] * STEP_UM,
        crashes=lambda: abs(firmware.motor_steps[2] * STEP_UM) > 25,
        span=Range(-20.0, 15.0),
        backlash_um=0.0,
        step_period_s=POLL_S + 3 * POLL_AT_END_S,  # a look under way, then until it reports Idle
    )


SERIAL_RIGS = {"grbl": grbl}
