"""What is before the objective, and how it looks at a given time."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hw.virtual.imaging import transmission
from hw.virtual.mechanics import Mechanics
from hw.virtual.optics import OtfBank
from hw.virtual.specimen import Specimen

_IN_MOTION_UM = 0.2
"""To so much is the defocus of a picture taken in motion rounded: motion blurs more, and pictures
that follow each other then share most of their OTFs."""


@dataclass(frozen=True)
class Scene:
    """A specimen, in focus where the axis stands at `focus_um`, seen through optics."""

    specimen: Specimen
    bank: OtfBank
    mechanics: Mechanics
    focus_um: float

    def defocus_um(self, times_s: NDArray[np.float64] | float) -> NDArray[np.float64]:
        """Return the true defocus at `times_s`."""
        return self.mechanics.position_um(times_s) - self.focus_um

    def light(self, times_s: NDArray[np.float64]) -> NDArray[np.float32]:
        """Return the transmission (3 x H x W) averaged over `times_s`; several are in motion."""
        defocus_um = self.defocus_um(times_s)
        if len(defocus_um) > 1:
            defocus_um = np.round(defocus_um / _IN_MOTION_UM) * _IN_MOTION_UM
            if np.ptp(defocus_um) == 0:
                defocus_um = defocus_um[:1]
        return transmission(self.specimen, self.bank, defocus_um)
