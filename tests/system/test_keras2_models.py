"""Classifiers that TensorFlow 2.12 itself made, with the paper's architecture, head and classes.

That version has an environment of its own: `.venv-tf212`, kept, and made here if it is not there.
"""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from checkout import ROOT, require_index, run
from make_class_folders import write_class_folders
from user_pictures import write_pictures

import convert.cli
from edge_af.cli.run import run as run_command
from edge_af.model_file import read_model_file
from edge_af.scale import DefocusScale

pytestmark = pytest.mark.slow

MAKER = ROOT / "tests" / "make_keras2_models.py"
SIDE_PX = 48


@pytest.fixture(scope="module")
def python_2_12():
    """The Python of the environment with TensorFlow 2.12, which wants Python 3.11 or older."""
    if sys.version_info >= (3, 12):
        pytest.skip("TensorFlow 2.12 has no wheel for Python 3.12 or newer")
    python = ROOT / ".venv-tf212" / "bin" / "python"
    if not python.exists():
        require_index()
        wanted = "pip install --quiet 'tensorflow-cpu==2.12.*' pillow"
        made = run(f"{sys.executable} -m venv .venv-tf212 && .venv-tf212/bin/{wanted}", ROOT)
        assert made.returncode == 0, made.stderr
    return python


def make(python, maker, *more):
    command = [str(each) for each in (python, maker, *more)]
    environment = os.environ | {"PYTHONPATH": f"{ROOT}"}
    done = subprocess.run(command, capture_output=True, text=True, env=environment)
    assert done.returncode == 0, done.stderr


@pytest.fixture(scope="module")
def few(tmp_path_factory) -> Path:
    """Pictures for networks that have learnt nothing."""
    folder = tmp_path_factory.mktemp("beads") / "few"
    write_class_folders(folder, 205, SIDE_PX)
    return folder


@pytest.fixture(scope="module")
def untrained(python_2_12, few, tmp_path_factory) -> Path:
    """The paper's architecture and head."""
    out = tmp_path_factory.mktemp("untrained")
    make(python_2_12, MAKER, out, few, "--tile-px", SIDE_PX)
    return out


@pytest.fixture(scope="module")
def knowing(python_2_12, tmp_path_factory) -> Path:
    """Small networks that know the pictures of `user_pictures.py`."""
    out = tmp_path_factory.mktemp("knowing")
    make(python_2_12, ROOT / "tests" / "make_user_models.py", out, 2)
    return out


def converted(capsys, model, data, output, *more):
    arguments = (model, "--data", data, "-o", output, "--labels", "folders", "--json", *more)
    code = run_command(convert.cli.app, "edge-af-convert", [str(each) for each in arguments])
    told = capsys.readouterr()
    assert code == 0, told.err + told.out
    return json.loads(told.out)


@pytest.mark.parametrize("name", ["model.h5", "model.keras", "saved_model"])
def test_the_papers_network_converts_in_each_form(untrained, few, tmp_path, capsys, name):
    output = tmp_path / "out.tflite"
    options = "--preprocess", "unit", "--um-per-px", 0.35, "--calibration", 41
    report = converted(capsys, untrained / name, few, output, *options)
    assert "untrained" in report["warnings"][0]
    # Keras itself says which index it gave to which folder.
    indices = json.loads((untrained / "class_indices.json").read_text())
    paper = DefocusScale.paper41()
    card = read_model_file(output).card
    assert len(indices) == 41
    for label, index in indices.items():
        assert card.labels[index] == label
        assert card.bins_um[index] == paper.bins_um[int(label.split()[1]) + 20]


@pytest.mark.parametrize("name", ["model.h5", "old.keras", "saved_model"])
def test_a_network_that_knows_its_pictures_agrees_with_itself(knowing, tmp_path, capsys, name):
    data = write_pictures(tmp_path / "pictures", each=25)
    options = "--preprocess", "unit", "--um-per-px", 0.35
    report = converted(capsys, knowing / name, data, tmp_path / "out.tflite", *options)
    assert report["images"] == 500
    assert report["agreement"] >= 0.95
    assert report["top1_float"] >= 0.95
    assert report["drift_um"] <= 0.05
    assert report["max_probability_difference"] <= 0.1


@pytest.fixture(scope="module")
def trained(python_2_12, tmp_path_factory) -> Path:
    """The paper's architecture and head, after minutes of training on what is easily told."""
    folder = tmp_path_factory.mktemp("trained")
    write_class_folders(folder / "data", 4100, SIDE_PX, seed=11, tinted=True)
    make(python_2_12, MAKER, folder, folder / "data", "--tile-px", SIDE_PX, "--epochs", 10)
    return folder


@pytest.mark.parametrize("name", ["model.h5", "model.keras", "saved_model"])
def test_the_papers_network_once_trained_loses_nothing(trained, tmp_path, capsys, name):
    held_out = tmp_path / "held-out"
    write_class_folders(held_out, 1000, SIDE_PX, seed=12, tinted=True)
    options = "--preprocess", "unit", "--um-per-px", 0.35
    report = converted(capsys, trained / name, held_out, tmp_path / "out.tflite", *options)
    assert report["images"] >= 500
    assert report["top1_float"] >= 0.9
    assert report["agreement"] >= 0.95
    assert report["drift_um"] <= 0.05
    indices = json.loads((trained / "class_indices.json").read_text())
    card = read_model_file(tmp_path / "out.tflite").card
    assert [card.labels[index] for index in indices.values()] == list(indices)


@pytest.mark.parametrize(
    ("base", "tile_px", "macs"),
    [
        ("mobilenet_v2", 224, 300e6),  # Sandler et al. 2018, table 4
        ("resnet50", 96, None),
        ("vgg16", 96, None),
    ],
)
def test_full_size_networks_convert(python_2_12, few, tmp_path, capsys, base, tile_px, macs):
    options = "--base", base, "--alpha", 1.0, "--tile-px", tile_px
    make(python_2_12, MAKER, tmp_path / "made", few, *options)
    output = tmp_path / "out.tflite"
    scaled = "--preprocess", "unit", "--um-per-px", 0.1, "--fit", "resize", "--calibration", 41
    report = converted(capsys, tmp_path / "made" / "model.h5", few, output, *scaled)
    assert read_model_file(output).card.tile_px == tile_px
    if macs is not None:
        assert report["macs"] == pytest.approx(macs, rel=0.03)
