"""The Pi camera's driver over a simulated sensor that looks through the virtual microscope."""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from pi_sensor import PiSensor

from hw.camera import Camera
from hw.clock import Clock
from hw.picamera import Picamera, PicameraSettings
from hw.stage import Stage
from hw.virtual.clock import SimulatedClock
from hw.virtual.mechanics import MechanicsSettings
from hw.virtual.microscope import MicroscopeSettings, VirtualMicroscope
from hw.virtual.sensor import Sensor, SensorSettings

SHAPE_PX = (128, 160)


def picamera(folder: Path) -> tuple[Camera, Stage, Clock, float, float]:  # noqa: ARG001
    """Return camera, stage, clock, and two stage positions, over tissue in focus.

    The Pi was suspended for an hour, and stamps by the boot-time clock.
    """
    clock = SimulatedClock()
    settings = MicroscopeSettings(
        frame_px=SHAPE_PX, mechanics=MechanicsSettings(backlash_um=0, play_um=0)
    )
    microscope = VirtualMicroscope(clock, seed=1, settings=settings)
    retina = Sensor(SensorSettings(), SHAPE_PX, seed=1)

    def picture(start_s: float, end_s: float) -> NDArray[np.uint8]:
        return retina.expose(microscope.scene.light(np.array([(start_s + end_s) / 2])))

    pi = PiSensor(clock, picture=picture, boot_offset_s=3600.0, stamps_boot_time=True)
    driver = PicameraSettings(kind="picamera", magnification=20, frame_px=SHAPE_PX[::-1])
    near_um = microscope.stage.position_um
    return Picamera(driver, clock, pi), microscope.stage, clock, near_um, near_um + 10.0
