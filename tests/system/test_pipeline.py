"""Render, fit, convert, judge: the whole line by its own commands, at a hundredth of the size."""

import json
import math

import numpy as np
import pytest
from data_sets import write_data

import convert.cli
import train.cli
from edge_af.cli.run import run as run_command
from edge_af.interpreter import Network
from edge_af.model_file import read_model_file
from edge_af.shipped import SHIPPED_MODEL


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
    assert penultimate.shape == (2, card.penultimate) == (2, 384)
    assert run(train.cli.app, "t", "evaluate", output, "--tiles", 40, "--json") == 0
    figures = json.loads(capsys.readouterr().out)
    assert {"n", "top1", "mae_um", "median_abs_error_um", "false_direction", "abstained"} <= set(
        figures
    )


def test_a_run_is_judged_as_its_model_is(trained, capsys):
    """The same tiles by the same code: what differs is quantisation, and where limits fall."""
    data = trained / "data" / "validation-mixed-1.csv"
    output = trained / "run" / "model.tflite"
    options = "-o", output, "--calibration", 50, "--max-drift-um", 10
    assert run(convert.cli.app, "c", trained / "run", *options) == 0
    capsys.readouterr()
    told = []
    for model in (trained / "run", output):
        assert run(train.cli.app, "t", "evaluate", model, "--data", data, "--json") == 0
        told.append(json.loads(capsys.readouterr().out))
    network, model = told
    assert network.keys() == model.keys()
    assert network["n"] == model["n"]
    assert network["mae_um"] == pytest.approx(model["mae_um"], abs=0.5)
    assert network["abstained"] == pytest.approx(model["abstained"], abs=0.1)


@pytest.mark.parametrize(
    "name",
    [
        "mobilenetv2",
        *(pytest.param(name, marks=pytest.mark.slow) for name in ("resnet50", "vgg16", "vgg19")),
    ],
)
def test_the_papers_networks_go_all_the_way(small, name, capsys):
    """By the paper's recipe, a few steps of it: fit, convert to int8, evaluate."""
    runs = small.parent / "runs"
    options = "--recipe", "paper", "--arch", name, "--epochs", 2, "--data", small
    assert run(train.cli.app, "t", "fit", runs / name, *options) == 0
    assert "starts from random numbers" in capsys.readouterr().err
    model = runs / name / "model.tflite"
    options = "-o", model, "--calibration", 10, "--max-drift-um", 10
    assert run(convert.cli.app, "c", runs / name, *options) == 0
    capsys.readouterr()
    report = runs / name / "report"
    options = "--data", small, "--split", "validation", "--frames", 1, "--report", report
    assert run(train.cli.app, "t", "evaluate", model, *options, "--json") == 0
    figures = json.loads(capsys.readouterr().out)
    assert figures["n"] == 16
    assert figures["frames"]["n"] == 4
    assert len(figures["per_class"]) == 41
    page = (report / "report.html").read_text()
    assert page.count("data:image/png;base64,") == len(list(report.glob("*.png"))) >= 2
    assert 'src="http' not in page
    (line,) = compared(capsys, model, "--data", small)
    (of_run,) = compared(capsys, runs / name, "--data", small)
    assert line == {**of_run, "latency_ms": line["latency_ms"]}
    (of_keras,) = compared(capsys, runs / name / "model.keras", "--data", small)
    assert line["macs"] == of_keras["macs"]
    assert line["int8_bytes"] == model.stat().st_size
    assert line["parameters"] > 2e6
    assert line["training"]["recipe"] == "paper"


def test_the_table_is_markdown_and_names_what_is_not_converted(trained, capsys):
    run_folder = trained / "run"
    (run_folder / "model.tflite").unlink(missing_ok=True)
    shipped = SHIPPED_MODEL
    assert run(train.cli.app, "t", "compare", run_folder, shipped, "--tiles", 12) == 0
    said = capsys.readouterr()
    assert "edge-af-convert" in said.err
    lines = [line for line in said.out.splitlines() if line.startswith("|")]
    assert len(lines) == 2 + 2
    assert len({line.count("|") for line in lines}) == 1
    assert "mean of 2 runs" in lines[-1]


def compared(capsys, *arguments):
    """Return the lines of the table that the command makes."""
    assert run(train.cli.app, "t", "compare", *arguments, "--json") == 0
    return json.loads(capsys.readouterr().out)["models"]


@pytest.fixture(scope="module")
def small(tmp_path_factory):
    pytest.importorskip("tensorflow", reason="needs edge-af[train,convert]")
    folder = tmp_path_factory.mktemp("small") / "data"
    return write_data(folder, fields={"train": 2, "validation": 1}, tile_px=32)


def test_a_drift_beyond_the_bound_writes_nothing(trained):
    output = trained / "not-written.tflite"
    options = "--calibration", 10, "--max-drift-um", 0
    code = run(convert.cli.app, "c", trained / "run", "-o", output, *options)
    assert output.exists() == (code == 0)


def test_mistakes_are_one_line_and_exit_2(trained, tmp_path, capsys):
    data = trained / "data" / "train-mixed-1.csv"
    for program, arguments, said in (
        (convert.cli.app, (tmp_path, "-o", tmp_path / "x.tflite"), "not a finished training run"),
        (
            convert.cli.app,
            (trained / "run", "-o", tmp_path / "x.tflite", "--labels", "folders"),
            "has its own card and pictures: leave out --labels",
        ),
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
