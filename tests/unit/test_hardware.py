import pytest

from edge_af.config import Config
from edge_af.errors import UserError
from edge_af.hardware import parts
from hw.four_phase import FourPhase
from hw.grbl import Grbl
from hw.grbl_homing import HomingGrbl
from hw.picamera import Picamera
from hw.sangaboard import Sangaboard
from hw.stage import Range, can_home
from hw.step_dir import StepDir

CAMERA = {"kind": "picamera", "magnification": 10}
PORT = {"port": "/dev/absent", "step_um": 0.05}
STEP_DIR = {
    "kind": "step_dir",
    "chip": "A4988",
    "step_um": 0.05,
    "step_pin": 13,
    "direction_pin": 19,
    "enable_pin": 5,
}


END_STOP = {
    "pin": 4,
    "end": "low",
    "position_um": -250,
    "speed_steps_per_s": 500,
    "approach_steps_per_s": 50,
    "back_off_um": 20,
}


@pytest.mark.parametrize(
    ("stage", "driver", "homes"),
    [
        (STEP_DIR, StepDir, False),
        (STEP_DIR | {"end_stop": END_STOP}, StepDir, True),
        ({"kind": "four_phase", "step_um": 0.1, "coil_pins": [1, 2, 3, 4]}, FourPhase, False),
        ({"kind": "grbl", "rate_um_per_s": 50} | PORT, Grbl, False),
        ({"kind": "grbl", "rate_um_per_s": 50, "homing": True} | PORT, HomingGrbl, True),
        ({"kind": "sangaboard"} | PORT, Sangaboard, False),
    ],
)
def test_every_kind_of_stage_gets_its_driver(stage, driver, homes):
    stage = stage | {"travel_low_um": -300, "travel_high_um": 200}
    made = parts(Config.model_validate({"camera": CAMERA, "stage": stage}))
    assert isinstance(made.camera, Picamera)
    assert isinstance(made.driver, driver)
    assert can_home(made.driver) == homes
    assert made.soft_limits == Range(-300, 200)
    assert not made.trusted


def test_the_settings_of_the_guard_are_kept():
    guard = {"soft_low_um": -20, "backlash_um": 2, "untrusted_low_um": -7, "untrusted_high_um": 30}
    made = parts(Config.model_validate({"virtual": {}, "guard": guard}))
    assert made.soft_limits.low_um == -20
    assert made.soft_limits.high_um == made.driver.travel.high_um
    assert made.backlash_um == 2
    assert made.untrusted_window == Range(-7, 30)


def test_limits_without_room_are_refused_with_the_cure():
    guard = {"soft_low_um": 0, "soft_high_um": 2, "backlash_um": 2}
    with pytest.raises(UserError, match=r"leave no room .* widen soft_low_um"):
        parts(Config.model_validate({"virtual": {}, "guard": guard}))


def test_what_a_virtual_stage_is_told_may_be_wrong():
    table = {"seed": 2, "step_um": 0.5, "reversed": True}
    made = parts(Config.model_validate({"virtual": table}))
    with made.driver as stage:
        here_um = stage.position_um
        stage.move_to_um(here_um + 5)
    assert stage.step_um == 0.5
    assert stage.position_um == pytest.approx(here_um + 5)
