"""Classifiers that TensorFlow 2.12 itself made, with the paper's architecture, head and classes.

That version has an environment of its own: `.venv-tf212`, kept, and made here if it is not there.
"""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from checkout import ROOT, require_index, run
from make_class_folders import write_class_folders

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


def make(python, out, data, *more):
    command = [str(each) for each in (python, MAKER, out, data, *more)]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


@pytest.fixture(scope="module")
def pictures(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("beads")
    write_class_folders(folder / "learn", 2050, SIDE_PX, seed=1)
    write_class_folders(folder / "judge", 1025, SIDE_PX, seed=2)
    return folder


@pytest.fixture(scope="module")
def trained(python_2_12, pictures, tmp_path_factory) -> Path:
    out = tmp_path_factory.mktemp("trained")
    make(python_2_12, out, pictures / "learn", "--tile-px", SIDE_PX, "--epochs", 100)
    return out


def converted(capsys, model, data, output, *more):
    arguments = (model, "--data", data, "-o", output, "--labels", "folders", "--json", *more)
    code = run_command(convert.cli.app, "edge-af-convert", [str(each) for each in arguments])
    told = capsys.readouterr()
    assert code == 0, told.err + told.out
    return json.loads(told.out)


@pytest.mark.parametrize("name", ["model.h5", "model.keras", "saved_model"])
def test_each_form_converts_and_agrees_with_itself(trained, pictures, tmp_path, capsys, name):
    output = tmp_path / "out.tflite"
    options = "--preprocess", "unit", "--um-per-px", 0.35
    report = converted(capsys, trained / name, pictures / "learn", output, *options)
    assert report["images"] == 500
    assert report["agreement"] >= 0.95
    assert report["drift_um"] <= 0.05
    # Keras itself says which index it gave to which folder.
    indices = json.loads((trained / "class_indices.json").read_text())
    paper = DefocusScale.paper41()
    card = read_model_file(output).card
    assert len(indices) == 41
    for label, index in indices.items():
        assert card.labels[index] == label
        assert card.bins_um[index] == paper.bins_um[int(label.split()[1]) + 20]


def test_what_is_converted_is_what_keras_computes(trained, pictures, tmp_path, capsys):
    from edge_af.interpreter import Network
    from edge_af.temperature import softmax
    from hw.images import read_rgb

    output = tmp_path / "out.tflite"
    options = "--preprocess", "unit", "--um-per-px", 0.35
    converted(capsys, trained / "model.h5", pictures / "learn", output, *options)
    with np.load(trained / "said.npz") as file:
        names, said = file["files"][::10], file["said"][::10]
    pixels = np.stack([read_rgb(pictures / "learn" / name) for name in names])
    got = softmax(Network(read_model_file(output))(pixels))
    assert (got.argmax(axis=1) == said.argmax(axis=1)).mean() >= 0.95
    print("largest difference of a probability", np.abs(got - said).max())


@pytest.mark.parametrize(
    ("base", "tile_px", "macs"),
    [
        ("mobilenet_v2", 224, 300e6),  # Sandler et al. 2018, table 4
        ("resnet50", 96, None),
        ("vgg16", 96, None),
    ],
)
def test_full_size_networks_convert(python_2_12, tmp_path, capsys, base, tile_px, macs):
    options = "--base", base, "--alpha", 1.0, "--tile-px", tile_px
    data = tmp_path / "few"
    write_class_folders(data, 205, SIDE_PX, seed=3)
    make(python_2_12, tmp_path / "made", data, *options)
    output = tmp_path / "out.tflite"
    scaled = "--preprocess", "unit", "--um-per-px", 0.1, "--fit", "resize", "--calibration", 41
    report = converted(capsys, tmp_path / "made" / "model.h5", data, output, *scaled)
    assert read_model_file(output).card.tile_px == tile_px
    if macs is not None:
        assert report["macs"] == pytest.approx(macs, rel=0.03)
