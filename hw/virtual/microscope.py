"""The virtual microscope: a camera and a stage over one hidden truth."""

from dataclasses import dataclass, field

import numpy as np

from hw.axis import AxisSettings
from hw.clock import Clock
from hw.virtual.camera import CameraTiming, VirtualCamera
from hw.virtual.mechanics import Mechanics, MechanicsSettings
from hw.virtual.optics import Optics, OtfBank, shared_bank
from hw.virtual.procedural import draw_specimen
from hw.virtual.scene import Scene
from hw.virtual.sensor import Sensor, SensorSettings
from hw.virtual.specimen import Specimen
from hw.virtual.stage import VirtualStage


@dataclass(frozen=True)
class MicroscopeSettings:
    """Everything about a virtual microscope; the defaults are the reference."""

    optics: Optics = field(default_factory=Optics)
    sensor: SensorSettings = field(default_factory=SensorSettings)
    timing: CameraTiming = field(default_factory=CameraTiming)
    mechanics: MechanicsSettings = field(default_factory=MechanicsSettings)
    axis: AxisSettings | None = None
    """What the stage is told of its mechanics; the truth if None."""
    frame_px: tuple[int, int] = (480, 640)
    lean: bool = False
    """Keep little in memory, 130 MB less after a while, and render more slowly for it."""


_LEAN_OTFS, _LEAN_KERNELS, _LEAN_NOISE = 3, 24, 0


class VirtualMicroscope:
    """One field of view. Same seed and settings: same pixels, same motion.

    `camera` and `stage` are what a driver would be. What they hide is `scene`, for
    `hw.virtual.truth` alone.
    """

    def __init__(
        self,
        clock: Clock,
        seed: int,
        *,
        kind: str = "tissue",
        defocus_um: float = 0.0,
        specimen: Specimen | None = None,
        settings: MicroscopeSettings | None = None,
    ) -> None:
        """Set up a field `defocus_um` out of focus.

        `kind` names a procedural specimen (`hw.virtual.procedural.KINDS`) of the settings' frame
        size; `specimen` takes its place, and its size is then the frame's. Where in its travel the
        stage stands, and how its gears lie, is drawn from `seed`.
        """
        settings = settings or MicroscopeSettings()
        rng = np.random.default_rng([seed, 5])
        optics = settings.optics.in_another_field(rng)
        if specimen is None:
            specimen = draw_specimen(seed, kind, settings.frame_px, optics.um_per_px)
        start_um = float(rng.uniform(-100, 100))
        mechanics = Mechanics(settings.mechanics, seed, start_um=start_um, start_s=clock.now_s())
        at_start_um = float(mechanics.position_um(clock.now_s()))
        self.frame_px = specimen.shape_px
        self.backlash_um = settings.mechanics.backlash_um
        shape_px = specimen.shape_px
        self.scene = Scene(
            specimen=specimen,
            bank=OtfBank(optics, shape_px, _LEAN_OTFS, _LEAN_KERNELS)
            if settings.lean
            else shared_bank(optics, shape_px),
            mechanics=mechanics,
            focus_um=at_start_um - defocus_um,
        )
        drifted = settings.sensor.drifted(rng)
        sensor = (
            Sensor(drifted, shape_px, seed, _LEAN_NOISE)
            if settings.lean
            else Sensor(drifted, shape_px, seed)
        )
        self.stage = VirtualStage(mechanics, clock, settings.axis)
        self.camera = VirtualCamera(self.scene, sensor, settings.timing, clock)
