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
from hw.virtual.microscope import MicroscopeSettings, VirtualMicroscope
from hw.virtual.stage import VirtualStage


def parts(config: Config) -> Parts:
    """Return the parts of the instrument that `config` describes, its position untrusted.

    Raises UserError for soft limits that leave no room.
    """
    return Workshop().parts(config)


class Workshop:
    """Makes the parts of one instrument, also anew with other settings.

    A virtual microscope stays the same one meanwhile, its stage where it was left, as a real one
    does.
    """

    def __init__(self) -> None:
        self._microscopes: dict[tuple[int, float], VirtualMicroscope] = {}

    def parts(self, config: Config) -> Parts:
        """Return parts as `parts` does."""
        clock = WallClock()
        if config.virtual is not None:
            microscope = self._microscope(config.virtual, clock)
            stage = _virtual_stage(config.virtual, microscope, clock)
            return _parts(config, microscope.camera, stage, clock)
        assert config.camera is not None  # by Config's own check, as is the stage
        assert config.stage is not None
        camera, driver = Picamera(config.camera, clock), _driver(config.stage, clock)
        return _parts(config, camera, driver, clock)

    def _microscope(self, table: VirtualTable, clock: Clock) -> VirtualMicroscope:
        key = (table.seed, table.defocus_um)
        if key not in self._microscopes:
            made = VirtualMicroscope(
                clock,
                table.seed,
                defocus_um=table.defocus_um,
                settings=MicroscopeSettings(lean=True),
            )
            self._microscopes[key] = made
        return self._microscopes[key]


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


def _virtual_stage(
    table: VirtualTable, microscope: VirtualMicroscope, clock: Clock
) -> VirtualStage:
    mechanics = microscope.scene.mechanics
    travel = mechanics.settings.travel
    told = AxisSettings(
        step_um=table.step_um,
        reversed=table.reversed,
        settle_s=table.settle_s,
        travel_low_um=travel.low_um,
        travel_high_um=travel.high_um,
    )
    return VirtualStage(mechanics, clock, told)
