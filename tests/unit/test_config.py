from datetime import UTC, datetime
from pathlib import Path

import pytest

from edge_af.calibration import Calibration, Measured
from edge_af.config import read_config
from edge_af.corrected import corrected, told
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
    assert config.focus == read(PI).focus


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
