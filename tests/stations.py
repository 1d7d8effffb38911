"""A station over a virtual microscope on the simulated clock, small and so fast to render."""

import time
from contextlib import contextmanager

from oracle import MODEL_FRAME_PX, Rig

from edge_af.config import Config
from edge_af.instrument import State
from edge_af.parts import Parts
from edge_af.service.station import Station
from hw.stage import Range

CONNECTED = frozenset(State) - {State.OFF, State.STARTING}


class Bench:
    """The settings as they are on disk, and the one microscope that they describe."""

    def __init__(self, folder, model, rig=None):
        self.rig = rig or Rig(seed=3, kind="smear", defocus_um=5.0, frame_px=MODEL_FRAME_PX)
        self.camera, self.driver = self.rig.camera, self.rig.driver
        self.tables = {"virtual": {}, "state_folder": str(folder), "model": str(model)}
        self.made = 0

    def read(self):
        return Config.model_validate(self.tables)

    def parts(self, config):
        self.made += 1
        start_um = self.rig.start_um
        return Parts(
            camera=self.camera,
            driver=self.driver,
            clock=self.rig.clock,
            settings=config.focus,
            soft_limits=Range(start_um - 60, start_um + 60),
            backlash_um=config.guard.backlash_um,
            untrusted_window=Range(-60, 60),
        )

    @contextmanager
    def station(self):
        with Station(self.read, self.parts) as station:
            until(lambda: station.status().state in CONNECTED)
            yield station


def until(holds, within_s=20.0):
    """Wait for something that another thread does."""
    ends_s = time.monotonic() + within_s
    while not holds():
        assert time.monotonic() < ends_s, "it did not happen"
        time.sleep(0.002)
