"""A Sangaboard of either firmware family behind a pty; its motors turn in simulated time."""

from pathlib import Path
from tempfile import mkdtemp

from firmware.own_port import OwnPort
from firmware.sangaboard import BUSY_S, NewSangaboard, OldSangaboard
from stages import Rig

from hw.sangaboard import BLOCKING_PIECE_S, POLL_S, Sangaboard, SangaboardSettings
from hw.stage import Range
from hw.virtual.clock import SimulatedClock

STEP_UM = 0.1


def sangaboard_v1(folder: Path) -> Rig:
    """It listens while it moves: a stop is passed on at once, and noticed at the next look."""
    clock = SimulatedClock()
    return _rig(folder, clock, NewSangaboard(clock, step_delay_us=2000), stops_within_s=POLL_S)


def sangaboard_v05(folder: Path) -> Rig:
    """It listens between the pieces of a move."""
    clock = SimulatedClock()
    firmware = OldSangaboard(clock, step_delay_us=8000)
    return _rig(folder, clock, firmware, stops_within_s=BLOCKING_PIECE_S + BUSY_S)


def _rig(
    folder: Path,
    clock: SimulatedClock,
    firmware: NewSangaboard | OldSangaboard,
    stops_within_s: float,
) -> Rig:
    line = OwnPort(firmware, Path(mkdtemp(dir=folder)))
    settings = SangaboardSettings(
        kind="sangaboard",
        port=line.port,
        step_um=STEP_UM,
        travel_low_um=-25,
        travel_high_um=25,
    )
    return Rig(
        stage=Sangaboard(settings, clock, line),
        clock=clock,
        axis_um=lambda: firmware.motors[2] * STEP_UM,
        crashes=lambda: sum(abs(steps) * STEP_UM > 25 for steps in firmware.motors),
        span=Range(-20.0, 15.0),
        backlash_um=0.0,
        step_period_s=stops_within_s + 1e-9,
    )


SANGABOARD_RIGS = {"sangaboard v0.5": sangaboard_v05, "sangaboard v1": sangaboard_v1}
