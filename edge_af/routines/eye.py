"""Looks at single places, in the order taken: what calibration is fitted to."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from edge_af.calibration import CalibrationError
from edge_af.classifier import Abstained
from edge_af.routines.backlash import Floats
from edge_af.routines.ports import Desk, Observer
from edge_af.sharpness import tenengrad


@dataclass(frozen=True, slots=True)
class Reading:
    """One frame: where the stage was counted, when, and what was seen.

    `defocus_um` is what the model says, NaN if it abstained or there is no model.
    """

    counted_um: float
    time_s: float
    defocus_um: float
    sharpness: float

    @property
    def blind(self) -> bool:
        """Whether the model gave no answer."""
        return math.isnan(self.defocus_um)


@dataclass
class Eye:
    """Takes readings where the stage stands, and keeps them all."""

    desk: Desk
    observer: Observer | None
    readings: list[Reading] = field(default_factory=list)

    def look(self) -> Reading:
        """Take a fresh frame and read it.

        Raises CalibrationError if the first frame of all holds nothing, and HardwareError as the
        camera does.
        """
        frame = self.desk.view.frame()
        defocus_um = math.nan
        if self.observer is not None:
            sight = self.observer.look(frame)
            if sight.place is not None:
                defocus_um = sight.place.defocus_um
            elif sight.abstained is Abstained.EMPTY and not self.readings:
                raise CalibrationError(
                    "the field is empty; move the slide to a place with plenty of detail"
                )
        reading = Reading(
            self.desk.stage.position_um,
            (frame.exposure_start_s + frame.exposure_end_s) / 2,
            defocus_um,
            tenengrad(frame.pixels),
        )
        self.readings.append(reading)
        return reading

    def look_at(self, target_um: float) -> Reading | None:
        """Go to a place, or as near to it as the stage may, and look; None if it stands there."""
        stage = self.desk.stage
        before_um = stage.position_um
        stage.move_to_um(stage.reachable.clip(target_um))
        return None if stage.position_um == before_um else self.look()


def columns(readings: Sequence[Reading]) -> tuple[Floats, Floats, Floats, Floats]:
    """Return positions, times, defocus and sharpness of n readings, each float64 (n,)."""
    table = np.array(
        [(one.counted_um, one.time_s, one.defocus_um, one.sharpness) for one in readings]
    ).reshape(-1, 4)
    return table[:, 0], table[:, 1], table[:, 2], table[:, 3]
