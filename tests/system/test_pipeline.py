"""Render, fit, convert, judge: the whole line by its own commands, at a hundredth of the size."""

import json
import math

import numpy as np
import pytest

import convert.cli
import train.cli
from edge_af.cli.run import run as run_command
from edge_af.interpreter import Network
from edge_af.model_file import read_model_file


def run(app, program, *arguments):
    return run_command(app, program, [str(argument) for argument in arguments])


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    pytest.importorskip("tensorflow", reason="needs edge-af[train,convert]")
    folder = tmp_path_factory.mktemp("run")
    for split, tiles in (("train", 400), ("validation", 300)):
        where = folder / "data", "--split", split
        assert run(train.cli.app, "t", "render", *where, "--tiles", tiles) == 0
    data = folder / "data"
    options = "--data", data / "train-mixed-1.csv", "--validation", data / "validation-mixed-1.csv"
    assert run(train.cli.app, "t", "fit", folder / "run", "--epochs", 1, *options) == 0
    return folder


def test_a_trained_network_becomes_a_model_with_its_card(trained, capsys):
    output = trained / "out.tflite"
    arguments = trained / "run", "-o", output, "--calibration", 50, "--max-drift-um", 10, "--json"
    assert run(convert.cli.app, "c", *arguments) == 0
    report = json.loads(capsys.readouterr().out)
    assert 0 <= report["agreement"] <= 1
    assert math.isfinite(report["mae_int8_um"])
    card = read_model_file(output).card
    assert len(card.labels) == 41
    assert card.training["tiles"] == 400
    _, penultimate = Network(read_model_file(output)).both(np.zeros((2, *card.feature_shape), "u1"))
    assert penultimate.shape == (2, card.penultimate) == (2, 256)
    assert run(train.cli.app, "t", "evaluate", output, "--tiles", 40, "--json") == 0
    figures = json.loads(capsys.readouterr().out)
    assert {"n", "top1", "mae_um", "median_abs_error_um", "false_direction", "abstained"} <= set(
        figures
    )


def test_a_drift_beyond_the_bound_writes_nothing(trained):
    output = trained / "not-written.tflite"
    options = "--calibration", 10, "--max-drift-um", 0
    code = run(convert.cli.app, "c", trained / "run", "-o", output, *options)
    assert output.exists() == (code == 0)


def test_mistakes_are_one_line_and_exit_2(trained, tmp_path, capsys):
    data = trained / "data" / "train-mixed-1.csv"
    for program, arguments, said in (
        (convert.cli.app, (tmp_path, "-o", tmp_path / "x.tflite"), "not a finished training run"),
        (train.cli.app, ("evaluate", tmp_path / "none.tflite"), "no such file"),
        (
            train.cli.app,
            ("fit", tmp_path / "r", "--data", data, "--validation", data),
            "in both training and validation",
        ),
        (
            train.cli.app,
            ("fit", tmp_path / "r", "--arch", "none", "--data", data, "--validation", data),
            "no architecture 'none'",
        ),
    ):
        assert run(program, "edge-af", *arguments) == 2
        error = capsys.readouterr().err
        assert said in error
        assert error.count("\n") == 1
