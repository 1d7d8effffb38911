"""The mean of twenty regressions."""

import numpy as np

from edge_af.bench.classic.rig import Rig
from edge_af.routines.ports import Attempt

_FRAMES = 20
_ROUNDS = 2


def mean_of_twenty(rig: Rig) -> Attempt:
    """Regress the defocus of 20 frames, move by their mean, and do both again.

    As the Remoscope (czbiohub-sf/ulc-malaria-scope) does. Its network is for another microscope,
    so ours takes its place, as a regression. What is measured is the procedure.
    """
    start_um = rig.stage.position_um
    for _ in range(_ROUNDS):
        sights = [rig.observer.look(rig.desk.view.frame()) for _ in range(_FRAMES)]
        said_um = [sight.place.defocus_um for sight in sights if sight.place is not None]
        if not said_um:
            return rig.desk.give_up(start_um, "the network abstained from all frames")
        target_um = rig.stage.position_um - float(np.mean(said_um))
        rig.stage.move_to_um(rig.stage.reachable.clip(target_um))
    return Attempt(True)
