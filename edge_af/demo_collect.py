"""A virtual microscope to collect stacks from."""

import numpy as np

from edge_af.demo import START_UM
from edge_af.instrument import Instrument
from edge_af.settings import FocusSettings
from hw.guard import GuardedStage
from hw.stage import Range
from hw.virtual.clock import SimulatedClock
from hw.virtual.microscope import VirtualMicroscope

_ROOM_UM = 10.0


def virtual_instrument(seed: int, room_um: float, settings: FocusSettings) -> Instrument:
    """Return an instrument, not yet entered, over the tissue and the start that `seed` draws.

    The focus lies within START_UM of the start, and the soft limits leave `room_um` around both.
    """
    rng = np.random.default_rng([seed, 43])
    clock = SimulatedClock()
    microscope = VirtualMicroscope(
        clock,
        int(rng.integers(2**31)),
        kind="tissue",
        defocus_um=float(rng.uniform(-START_UM, START_UM)),
    )
    reach_um = START_UM + room_um + _ROOM_UM
    start_um = microscope.stage.position_um
    stage = GuardedStage(
        microscope.stage,
        soft_limits=Range(start_um - reach_um, start_um + reach_um),
        backlash_um=microscope.backlash_um,
        trusted=True,
    )
    return Instrument(microscope.camera, stage, clock, settings)
