from datetime import UTC, datetime
from pathlib import Path

import pytest

from edge_af.calibration import Calibration, Measured
from edge_af.config import ConfigError, read_config
from edge_af.corrected import corrected, for_calibrating, told
from edge_af.errors import UserError

PI = """
[camera]
kind = "picamera"
magnification = 10

[stage]
kind = "grbl"
port = "/dev/ttyUSB0"
step_um = 0.05
rate_um_per_s = 100

[guard]
backlash_um = 1.5
"""


@pytest.fixture
def read(tmp_path):
    def write_and_read(text):
        path = tmp_path / "config.toml"
        path.write_text(text)
        return read_config(path)

    return write_and_read


def test_an_instrument_is_read_with_its_defaults(read):
    config = read(PI)
    assert config.stage.step_um == 0.05
    assert config.guard.backlash_um == 1.5
    assert config.focus.tolerance_um == 0.25
    assert config.model is None


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("[virtual]\nsede = 3", "no setting virtual.sede; did you mean seed?"),
        ("[virtual]\n[gard]", "no setting gard; did you mean guard?"),
        ("[virtual]\n[focus]\ntolerance = 2", "no setting focus.tolerance; did you mean tole"),
        (PI.replace("rate_um_per_s", "speed"), "no setting stage.speed; known: step_um"),
        (PI.replace("step_um", "stepum"), "stage.step_um is missing"),
        (PI.replace('kind = "grbl"\n', ""), "stage.kind is missing"),
        (PI.replace("grbl", "grobl"), "no stage.kind 'grobl'; known: 'step_dir', 'four_phase'"),
        (PI.replace("10", "-10"), "camera.magnification = -10: input should be greater than 0"),
        (PI + "[virtual]\n", r"\[virtual\] takes the place of \[camera\]"),
        (PI[: PI.index("[stage]")], r"there is no \[stage\]"),
        ("[virtual]\n[focus]\ntravel_budget_um = 20", "travel_budget_um = 20 is too little"),
        ("[virtual]\nseed = [", "is not TOML"),
    ],
)
def test_a_mistake_is_named_with_its_place(read, tmp_path, text, says):
    with pytest.raises(UserError, match=says) as refusal:
        read(text)
    assert str(refusal.value).startswith(str(tmp_path))
    assert "\n" not in str(refusal.value)


def test_a_file_that_is_not_there_or_not_text(tmp_path):
    with pytest.raises(UserError, match="describe your instrument there"):
        read_config(tmp_path / "absent.toml")
    path = tmp_path / "binary.toml"
    path.write_bytes(bytes(range(256)))
    with pytest.raises(UserError, match="cannot read"):
        read_config(path)
    with pytest.raises(UserError, match="cannot read"):
        read_config(Path(tmp_path))


CALIBRATION = Calibration(
    reversed=True,
    step_um=Measured(value=0.0625, uncertainty=0.001),
    backlash_um=Measured(value=2.0, uncertainty=0.25),
    settle_s=Measured(value=0.125, uncertainty=0.03125),
    focus_offset_um=Measured(value=0.2, uncertainty=0.1),
    method="model",
    made_at=datetime(2026, 1, 2, tzinfo=UTC),
)


def test_a_calibration_puts_the_axis_right(read):
    config = corrected(read(PI), CALIBRATION)
    assert (config.stage.step_um, config.stage.reversed) == (0.0625, True)
    # What must not be underestimated is taken at two uncertainties above.
    assert config.guard.backlash_um == 2.5
    assert config.stage.settle_s == 0.1875
    # 0.2 um are twice their uncertainty: nothing to correct.
    assert config.focus == read(PI).focus


def test_a_zero_of_the_model_that_is_surely_off_is_put_right(read):
    offset = Measured(value=-0.5, uncertainty=0.125)
    found = CALIBRATION.model_copy(update={"focus_offset_um": offset})
    assert corrected(read(PI), found).focus.model_zero_um == -0.5
    assert for_calibrating(read(PI), found).focus.model_zero_um == 0


def test_calibration_begins_with_what_is_known_and_lets_the_backlash_show(read):
    config = for_calibrating(read(PI), CALIBRATION)
    assert config.stage.step_um == 0.0625
    assert config.guard.backlash_um == 0
    assert for_calibrating(read(PI), None).stage.step_um == 0.05


def test_by_sharpness_alone_step_and_direction_stay_as_configured(read):
    found = CALIBRATION.model_copy(update={"step_um": None, "reversed": None})
    config = corrected(read(PI), found)
    assert (config.stage.step_um, config.stage.reversed) == (0.05, False)
    assert config.guard.backlash_um == 2.5


def test_without_a_calibration_a_command_travels_less(read):
    config = read(PI)
    focus = corrected(config, None).focus
    assert focus.travel_budget_um == config.guard.uncalibrated_budget_um
    assert focus.sweep_reach_um < config.focus.sweep_reach_um


def test_told_changes_only_what_it_says(read):
    for config in (read(PI), read("[virtual]\n")):
        again = told(told(config, 0.3, True), 0.3, False)
        axis = again.stage or again.virtual
        assert (axis.step_um, axis.reversed) == (0.3, False)
        assert again.focus == config.focus


# --- single settings from the environment


@pytest.fixture
def read_with(tmp_path):
    def read_with(text, **variables):
        path = tmp_path / "config.toml"
        path.write_text(text)
        return read_config(path, {f"EDGE_AF_{name}": value for name, value in variables.items()})

    return read_with


def test_the_environment_wins_over_the_file(read_with):
    config = read_with(
        PI,
        GUARD__BACKLASH_UM="2.25",
        CAMERA__FRAME_PX="[640, 480]",
        CAMERA__EXPOSURE_US="9000",
        STAGE__PORT="[::1]",  # no list, whatever it looks like
        STAGE__REVERSED="true",
        MODEL="my.tflite",
        HISTORY__KEEP_DAYS="30",
    )
    assert config.guard.backlash_um == 2.25
    assert config.camera.frame_px == (640, 480)
    assert config.camera.exposure_us == 9000
    assert (config.stage.port, config.stage.reversed) == ("[::1]", True)
    assert config.model == Path("my.tflite")
    assert config.history.keep_days == 30
    assert config.stage.step_um == 0.05


def test_the_environment_alone_can_add_a_table(read_with):
    stage = PI.replace("grbl", "step_dir").replace('port = "/dev/ttyUSB0"', 'chip = "A4988"')
    stage = stage.replace("rate_um_per_s = 100", "step_pin = 1\ndirection_pin = 2")
    end_stop = {
        "STAGE__END_STOP__PIN": "4",
        "STAGE__END_STOP__POSITION_UM": "-500",
        "STAGE__END_STOP__SPEED_STEPS_PER_S": "1000",
        "STAGE__END_STOP__APPROACH_STEPS_PER_S": "100",
        "STAGE__END_STOP__BACK_OFF_UM": "20",
    }
    assert read_with(stage).stage.end_stop is None
    assert read_with(stage, **end_stop).stage.end_stop.position_um == -500


@pytest.mark.parametrize(
    ("variable", "value", "says"),
    [
        ("FOCUS__TOLERANCE_UM", "0", "^EDGE_AF_FOCUS__TOLERANCE_UM: focus.tolerance_um = '0': inp"),
        ("FOCUS__TOLERANCE_UM", "", "^EDGE_AF_FOCUS__TOLERANCE_UM: focus.tolerance_um = '': input"),
        ("CAMERA__FRAME_PX", "[640", "^EDGE_AF_CAMERA__FRAME_PX: camera.frame_px"),
        ("FOCUS_TOLERANCE_UM", "1", "EDGE_AF_FOCUS_TOLERANCE_UM, .* mean EDGE_AF_FOCUS__TOLER"),
        ("GUARD", "1", "the environment has EDGE_AF_GUARD, which is no setting"),
        ("STAGE__STEP_PIN", "5", "^EDGE_AF_STAGE__STEP_PIN: there is no setting stage.step_pin"),
        ("FOCUS__TRAVEL_BUDGET_UM", "20", "config.toml with EDGE_AF_FOCUS__TRAVEL_BUDGET_UM: focu"),
        ("VIRTUAL__SEED", "2", r"with EDGE_AF_VIRTUAL__SEED: \[virtual\] takes the place"),
    ],
)
def test_a_mistake_in_the_environment_is_named_with_its_place(read_with, variable, value, says):
    with pytest.raises(UserError, match=says):
        read_with(PI, **{variable: value})


def test_other_variables_are_none_of_its_business(tmp_path):
    path = tmp_path / "config.toml"
    path.write_text(PI)
    assert read_config(path, {"HOME": "/", "_EDGE_AF_COMPLETE": "x"}) == read_config(path, {})


def test_every_mistake_is_told(read):
    with pytest.raises(ConfigError) as refusal:
        read("[virtual]\nsede = 1\n[focus]\ncertainty = 2\n[gard]\n")
    assert len(refusal.value.faults) == 3
    assert str(refusal.value).startswith(refusal.value.faults[0])
    assert "(and 2 more: see `edge-af config check`)" in str(refusal.value)
