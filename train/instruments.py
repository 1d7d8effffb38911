"""The instruments that training sees: the reference microscope, and random ones near it."""

from dataclasses import replace

import numpy as np

from hw.virtual.optics import Aberrations, Optics
from hw.virtual.sensor import SensorSettings


def reference() -> tuple[Optics, SensorSettings]:
    """Return the reference microscope."""
    return Optics(), SensorSettings()


def randomised(rng: np.random.Generator) -> tuple[Optics, SensorSettings]:
    """Draw an instrument: NA +-10 %, pitch +-15 %, aberrations +-50 %, axial colour +-40 %.

    Coma points anywhere, and the sensor's noise, gamma and vignetting vary too.
    """
    base = Optics()

    def within(share: float) -> float:
        return float(rng.uniform(1 - share, 1 + share))

    colour = within(0.4)
    optics = replace(
        base,
        numerical_aperture=base.numerical_aperture * within(0.1),
        um_per_px=base.um_per_px * within(0.15),
        focus_offsets_um=tuple(offset * colour for offset in base.focus_offsets_um),
        aberrations=Aberrations(
            spherical_waves=base.aberrations.spherical_waves * within(0.5),
            coma_waves=base.aberrations.coma_waves * within(0.5),
            coma_angle_rad=float(rng.uniform(0, 2 * np.pi)),
        ),
    )
    sensor = replace(
        SensorSettings(),
        full_well_e=float(np.exp(rng.uniform(np.log(4_000), np.log(20_000)))),
        read_noise_e=float(rng.uniform(2, 12)),
        gamma=float(rng.uniform(1.8, 2.4)),
    )
    return optics, sensor
