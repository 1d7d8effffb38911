"""`edge-af calibrate` with the model that ships, on random virtual microscopes."""

import json

import pytest

from edge_af.calibration import CalibrationError
from edge_af.cli import main
from edge_af.demo_calibrate import VirtualBench, calibrate_virtual
from edge_af.shipped import read_model

FIELDS = 3


@pytest.fixture(scope="module")
def model():
    return read_model(None)


def check(bench, calibrated):
    found, hidden = calibrated.calibration, bench.hidden
    assert found.reversed is hidden.reversed
    assert found.step_um.value == pytest.approx(hidden.step_um, rel=0.03)
    off_um = abs(found.backlash_um.value - hidden.backlash_um)
    assert off_um <= max(0.5, 0.15 * hidden.backlash_um)
    assert bench.truth.crashes == 0
    assert abs(bench.truth.defocus_um) <= 1.5


def test_a_random_microscope_is_found_out(model):
    bench = VirtualBench(model, seed=7)
    check(bench, calibrate_virtual(bench, fields=1))


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(1000, 1050))
def test_fifty_random_microscopes_are_found_out(model, seed):
    bench = VirtualBench(model, seed)
    check(bench, calibrate_virtual(bench, FIELDS))


@pytest.mark.slow
def test_a_thick_section_is_said_to_make_the_step_less_certain(model):
    bench = VirtualBench(model, 3, kind="tissue")
    found, hidden = calibrate_virtual(bench, 1).calibration, bench.hidden
    assert found.reversed is hidden.reversed
    assert abs(found.step_um.value - hidden.step_um) <= 3 * found.step_um.uncertainty
    assert abs(found.backlash_um.value - hidden.backlash_um) <= max(0.5, 0.15 * hidden.backlash_um)


def test_an_empty_field_is_refused(model):
    with pytest.raises(CalibrationError, match=r"field is empty|makes nothing of this field"):
        calibrate_virtual(VirtualBench(model, 1, kind="empty"), 1)


def test_the_command_prints_one_document(capsys):
    assert (
        main(["calibrate", "--virtual", "--seed", "6", "--no-model", "--fields", "1", "--json"])
        == 0
    )
    document = json.loads(capsys.readouterr().out)
    assert document["calibration"]["method"] == "sharpness"
    assert document["calibration"]["step_um"] is None
    assert document["calibration"]["backlash_um"]["uncertainty"] > 0
    assert document["truth"]["backlash_um"] > 0
    assert len(document["fields"]) == 1
    assert len(document["fields"][0]["readings"]) > 10


def test_the_command_prints_a_table_and_a_plot_and_says_what_sharpness_cannot_tell(capsys):
    arguments = ["calibrate", "--virtual", "--seed", "5", "--no-model", "--fields", "1"]
    assert main(arguments) == 0
    shown = capsys.readouterr().out
    for part in ("backlash, um", "settle time, s", "as configured", "counted position, um"):
        assert part in shown
    assert "By sharpness alone, direction and um per step cannot be measured" in shown


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["--config", "nowhere.toml"], "nowhere.toml"),
        (["--virtual", "--fields", "0"], "is not from 1 to 20 fields"),
        (["--virtual", "--no-model", "--model", "x.tflite"], "exclude each other"),
    ],
)
def test_a_mistake_gets_one_line(capsys, arguments, says):
    assert main(["calibrate", *arguments]) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert says in captured.err
    assert captured.err.count("\n") == 1
