"""The cameras that must pass test_cameras.py. To add one, add an entry to CAMERAS."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import cameras_pi
import numpy as np
from PIL import Image
from stages import Unkept

from edge_af.record import RecordingCamera
from hw.camera import Camera
from hw.clock import Clock
from hw.replay import ReplayCamera, ReplayStage
from hw.stack import read_stacks
from hw.stage import Stage
from hw.virtual.clock import SimulatedClock
from hw.virtual.mechanics import MechanicsSettings
from hw.virtual.microscope import MicroscopeSettings, VirtualMicroscope


@dataclass(frozen=True)
class Rig:
    """A camera over a stage, neither entered yet, on one clock.

    The frames at `near_um`, where the stage starts, and at `far_um` must differ plainly.
    """

    camera: Camera
    stage: Stage
    clock: Clock
    near_um: float
    far_um: float


def replay(folder: Path) -> Rig:
    """Return a rig over a recorded stack of three slices of noise, made in `folder`."""
    rng = np.random.default_rng(3)
    for z_um in (-4.0, 0.0, 4.0):
        pixels = rng.integers(0, 256, (48, 64, 3), np.uint8)
        Image.fromarray(pixels).save(folder / f"field_{z_um}.png")
    (stack,) = read_stacks(folder, um_per_px=0.35)
    clock = SimulatedClock()
    stage = ReplayStage(stack, clock, start_um=0.0)
    return Rig(ReplayCamera(stage), stage, clock, near_um=0.0, far_um=4.0)


def virtual(folder: Path) -> Rig:  # noqa: ARG001
    """Return a rig over tissue in focus, on a stage that comes back to where it was."""
    settings = MicroscopeSettings(
        frame_px=(128, 160), mechanics=MechanicsSettings(backlash_um=0, play_um=0)
    )
    clock = SimulatedClock()
    microscope = VirtualMicroscope(clock, seed=1, settings=settings)
    near_um = microscope.stage.position_um
    return Rig(microscope.camera, microscope.stage, clock, near_um, far_um=near_um + 10.0)


def recorded(folder: Path) -> Rig:
    """Return the virtual one with all its frames kept."""
    rig = virtual(folder)
    return replace(rig, camera=RecordingCamera(rig.camera, Unkept()))


CAMERAS: dict[str, Callable[[Path], Rig]] = {
    "replay": replay,
    "virtual": virtual,
    "recorded": recorded,
    "picamera": lambda folder: Rig(*cameras_pi.picamera(folder)),
}
