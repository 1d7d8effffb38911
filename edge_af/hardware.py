"""From settings to hardware: the one place that knows every driver."""

from edge_af.config import Config, StageTable, VirtualTable
from edge_af.errors import UserError
from edge_af.parts import Parts
from hw.axis import AxisSettings
from hw.camera import Camera
from hw.clock import Clock, WallClock
from hw.four_phase import FourPhase, FourPhaseSettings
from hw.grbl_homing import grbl_stage
from hw.grbl_settings import GrblSettings
from hw.picamera import Picamera
from hw.sangaboard import Sangaboard
from hw.stage import Range, StageDriver
from hw.step_dir import StepDirSettings, step_dir
from hw.virtual.mechanics import MechanicsSettings
from hw.virtual.microscope import MicroscopeSettings, VirtualMicroscope


def parts(config: Config) -> Parts:
    """Return the parts of the instrument that `config` describes, its position untrusted.

    Raises UserError for soft limits that leave no room.
    """
    clock = WallClock()
    if config.virtual is not None:
        microscope = _virtual(config.virtual, clock)
        return _parts(config, microscope.camera, microscope.stage, clock)
    assert config.camera is not None  # by Config's own check, as is the stage
    assert config.stage is not None
    camera, driver = Picamera(config.camera, clock), _driver(config.stage, clock)
    return _parts(config, camera, driver, clock)


def _parts(config: Config, camera: Camera, driver: StageDriver, clock: Clock) -> Parts:
    guard, travel = config.guard, driver.travel
    low_um = travel.low_um if guard.soft_low_um is None else guard.soft_low_um
    high_um = travel.high_um if guard.soft_high_um is None else guard.soft_high_um
    if not high_um - low_um > guard.backlash_um:
        raise UserError(
            f"soft limits from {low_um:g} um to {high_um:g} um leave no room to take up a backlash "
            f"of {guard.backlash_um:g} um: widen soft_low_um and soft_high_um in [guard]"
        )
    return Parts(
        camera=camera,
        driver=driver,
        clock=clock,
        settings=config.focus,
        soft_limits=Range(low_um, high_um),
        backlash_um=guard.backlash_um,
        untrusted_window=guard.untrusted_window,
    )


def _driver(settings: StageTable, clock: Clock) -> StageDriver:
    match settings:
        case StepDirSettings():
            return step_dir(settings, clock)
        case FourPhaseSettings():
            return FourPhase(settings, clock)
        case GrblSettings():
            return grbl_stage(settings, clock)
        case _:
            return Sangaboard(settings, clock)


def _virtual(table: VirtualTable, clock: Clock) -> VirtualMicroscope:
    mechanics = MechanicsSettings()
    axis = AxisSettings(
        step_um=table.step_um,
        reversed=table.reversed,
        settle_s=table.settle_s,
        travel_low_um=mechanics.travel.low_um,
        travel_high_um=mechanics.travel.high_um,
    )
    settings = MicroscopeSettings(mechanics=mechanics, axis=axis)
    return VirtualMicroscope(clock, table.seed, defocus_um=table.defocus_um, settings=settings)
