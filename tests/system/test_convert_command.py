"""`edge-af-convert` on models as users have them: real Keras files, real conversions."""

import json
import shutil
import subprocess
import sys

import numpy as np
import pytest
from user_pictures import CENTRES_UM, KERAS_ORDER, SIDE_PX, picture

import convert.cli
from convert.child import run_job
from convert.lite import Lite
from convert.preprocess import PREPROCESSINGS
from edge_af.card import PixelInput
from edge_af.classifier import Classifier
from edge_af.cli.run import run as run_command
from edge_af.interpreter import Network
from edge_af.model_file import read_model_file
from edge_af.scale import PAPER41_LABELS, DefocusScale
from hw.camera import Frame


def run(*arguments):
    return run_command(convert.cli.app, "edge-af-convert", [str(each) for each in arguments])


def options(data, output, *more, labels=("--labels", "folders"), preprocess="unit"):
    scaled = () if preprocess is None else ("--preprocess", preprocess)
    return "--data", data, "-o", output, "--um-per-px", 0.35, *labels, *scaled, *more


@pytest.fixture
def output(tmp_path):
    return tmp_path / "out.tflite"


def said_on_the_device(arguments, block="tensorflow"):
    """Run `edge-af` as it is where there is no TensorFlow."""
    script = (
        f"import sys; sys.modules[{block!r}] = None; sys.modules['keras'] = None\n"
        f"from edge_af.cli import main; sys.exit(main({[str(each) for each in arguments]!r}))"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_a_classifier_of_the_keras_2_era_from_file_to_device(
    keras_2_models, user_pictures, output, capsys
):
    model = keras_2_models / "model.h5"
    objective = "--magnification", 20, "--na", 0.75, "--embedding", "--calibration", 60
    assert run(model, *options(user_pictures, output, *objective), "--json") == 0
    told = capsys.readouterr()
    report = json.loads(told.out)
    # The table of what each output means comes first, in Keras's order.
    assert report["classes"] == [
        {"index": index, "label": PAPER41_LABELS[rank], "low_um": low, "high_um": high}
        for index, rank in enumerate(KERAS_ORDER)
        for low, high in [DefocusScale.paper41().bins_um[rank]]
    ]
    assert "class -10    -6.4250 ...   -5.8175 um" in told.err
    assert (report["top1_float"], report["top1_int8"], report["agreement"]) == (1, 1, 1)
    assert report["mae_int8_um"] < 0.05
    assert report["max_shift_um"] < 0.05
    assert report["size_bytes"] == output.stat().st_size
    assert report["float_operations"] == []
    # Two 1 x 1 convolutions on each pixel, and a dense layer on 49 blocks.
    assert report["macs"] == SIDE_PX**2 * (3 * 3 + 3) + 49 * 41
    html = output.with_suffix(".html").read_text()
    assert html.count("<svg") == 3
    assert "http-equiv" not in html
    assert 'src="' not in html

    model_file = read_model_file(output)
    card = model_file.card
    assert (card.tile_px, card.um_per_px, card.output) == (SIDE_PX, 0.35, "logits")
    assert card.objective is not None
    assert card.objective.numerical_aperture == 0.75
    assert card.training["saved_by"].startswith("Keras 2")
    assert card.metrics["top1_int8"] == 1
    # A pixel becomes an input by one subtraction, of 128.
    assert isinstance(card.input, PixelInput)
    assert Lite(model_file.content).input["quantization"] == pytest.approx((1 / 255, -128))
    assert (card.input.multiply, card.input.add) == pytest.approx((1 / 255, 0))
    answers, embedding = Network(model_file).both(np.zeros((1, SIDE_PX, SIDE_PX, 3), np.uint8))
    assert (answers.shape, embedding.shape) == ((1, 41), (1, 49))

    classifier = Classifier(model_file)
    rng = np.random.default_rng(9)
    for rank in (0, 13, 20, 40):
        pixels = np.concatenate([picture(rng, rank), picture(rng, rank)], axis=1)
        sight = classifier.look(Frame(pixels, 0.0, 0.01, 0.35))
        assert sight.distribution is not None
        found_um = classifier.scale.expected_um(sight.distribution[None])[0]
        assert found_um == pytest.approx(CENTRES_UM[rank], abs=0.3)

    shown = said_on_the_device(("model", "show", output))
    assert "logits" in shown
    assert "Keras 2" in shown


@pytest.mark.parametrize(
    ("fixture", "name", "kind"),
    [
        ("keras_2_models", "old.keras", "Keras 2"),
        ("keras_2_models", "saved_model", "SavedModel"),
        ("keras_3_models", "model.keras", "Keras 3"),
        pytest.param("keras_3_models", "exported", "SavedModel", marks=pytest.mark.slow),
    ],
)
def test_every_kind_is_brought_in(request, fixture, name, kind, capsys):
    assert run("inspect", request.getfixturevalue(fixture) / name, "--json") == 0
    found = json.loads(capsys.readouterr().out)
    assert (found["kind"], found["ends_in"]) == (kind, "Softmax")
    assert (found["input"], found["output"]) == ([SIDE_PX, SIDE_PX, 3], [41])
    assert (found["embedding"], found["scales_its_input"]) == (49, False)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["old.keras", "saved_model"])
def test_what_keras_2_saved_converts_in_any_form(keras_2_models, user_pictures, output, name):
    assert run(keras_2_models / name, *options(user_pictures, output)) == 0
    assert read_model_file(output).card.metrics["top1_int8"] == 1


def test_what_does_not_fit_the_data_is_said_before_anything_is_written(
    keras_2_models, user_pictures, output, capsys
):
    model = keras_2_models / "saved_model"
    for given, said in (
        ({"preprocess": "signed"}, "give --preprocess unit"),
        ({"labels": ("--scale", "paper41")}, "with labels alphabetical: top-1 100 %"),
        ({"preprocess": None}, "how were the pixels scaled in training"),
    ):
        assert run(model, *options(user_pictures, output, **given)) == 2
        error = capsys.readouterr().err.splitlines()[-1]
        assert said in error
        assert list(output.parent.iterdir()) == []


def test_a_rescaling_layer_is_found(keras_3_models, user_pictures, output, capsys):
    model = keras_3_models / "rescaling.keras"
    assert run(model, *options(user_pictures, output, preprocess=None), "--json") == 0
    report = json.loads(capsys.readouterr().out)
    assert (report["preprocess"], report["top1_int8"]) == ("in-model", 1)
    assert Lite(output.read_bytes()).input["quantization"] == (1.0, -128)


def test_a_network_that_answers_in_um(keras_3_models, user_pictures, output, capsys):
    model = keras_3_models / "number.keras"
    number = options(user_pictures, output, labels=("--scale", "uniform:-12.5:12.5"))
    assert run(model, *number) == 2
    assert "say so with --regression" in capsys.readouterr().err
    assert run(model, *number, "--regression", "--json") == 0
    report = json.loads(capsys.readouterr().out)
    assert report["mae_int8_um"] == pytest.approx(report["mae_float_um"], abs=0.05)
    classifier = Classifier(read_model_file(output))
    answer = classifier.answer(picture(np.random.default_rng(2), 30)[None])
    said_um = float(classifier.network(picture(np.random.default_rng(2), 30)[None])[0, 0])
    assert classifier.scale.expected_um(answer)[0] == pytest.approx(said_um, abs=0.1)


def test_a_finished_tflite_gets_its_card_and_is_verified(
    keras_3_models, user_pictures, output, capsys
):
    model = keras_3_models / "float.tflite"
    assert run(model, *options(user_pictures, output)) == 0
    assert read_model_file(output).card.output == "probabilities"
    capsys.readouterr()
    assert run("verify", output, "--data", user_pictures, "--json") == 0
    found = json.loads(capsys.readouterr().out)
    assert (found["top1"], found["passed"]) == (1, True)
    assert run("inspect", output, "--json") == 0
    assert json.loads(capsys.readouterr().out)["card"]["name"] == "float"
    # Other pictures under the same names: what the card claims is not what it does.
    swapped = output.parent / "swapped"
    shutil.copytree(user_pictures, swapped)
    for label in ("class -1", "class -2", "class -3", "class -4"):
        for number in range(4):
            (one,) = (swapped / label).glob(f"p{number}_*")
            (other,) = (swapped / label.replace("-", "1")).glob(f"p{number}_*")
            shutil.copy(user_pictures / label.replace("-", "1") / other.name, one)
    assert run("verify", output, "--data", swapped) == 1


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("sigmoid.keras", "does not end in a softmax but in Sigmoid"),
        pytest.param("two_outputs.keras", "has 2 outputs, 1 is needed", marks=pytest.mark.slow),
        pytest.param("grey.keras", "inputs of shape (8, 8, 1): square RGB", marks=pytest.mark.slow),
    ],
)
def test_networks_that_are_no_classifiers(
    keras_3_models, user_pictures, output, name, said, capsys
):
    assert run(keras_3_models / name, *options(user_pictures, output)) == 2
    assert said in capsys.readouterr().err


@pytest.mark.slow
def test_operations_without_an_int8_form_are_named(keras_2_models, user_pictures, output, capsys):
    model = keras_2_models / "sine"
    assert run(model, *options(user_pictures, output, "--calibration", 41)) == 2
    assert "SIN would stay in float" in capsys.readouterr().err
    assert not output.exists()
    assert run(model, *options(user_pictures, output, "--allow-float"), "--json") == 0
    assert json.loads(capsys.readouterr().out)["float_operations"] == ["SIN"]


def test_a_network_that_int8_ruins_is_not_written_and_the_layer_is_named(
    keras_3_models, user_pictures, output, capsys
):
    model = keras_3_models / "blown.keras"
    assert run(model, *options(user_pictures, output), "--json") == 1
    report = json.loads(capsys.readouterr().out)
    assert report["passed"] is False
    assert report["drift_um"] > 1
    assert "large" in report["worst_layer"]["name"]
    assert not output.exists()
    assert "Layer by layer" in output.with_suffix(".html").read_text()


@pytest.mark.parametrize(
    "preprocess",
    ["imagenet", *(pytest.param(name, marks=pytest.mark.slow) for name in ("signed", "torch"))],
)
def test_scaling_is_put_into_the_network(keras_3_models, tmp_path, preprocess):
    """The int8 network on raw pixels says what the float one says on scaled ones."""
    affine = PREPROCESSINGS[preprocess]
    rng = np.random.default_rng(6)
    levels = rng.uniform(0, 255, (40, 4, 4, 3)).repeat(7, axis=1).repeat(7, axis=2)
    pixels = levels.astype(np.uint8)
    model = keras_3_models / "bordered.keras"
    job = {"path": str(model), "kind": "Keras 3", "folder": str(tmp_path), "side_px": None}
    run_job("bring_in", lambda *_: None, **job)
    np.save(tmp_path / "calibration.npy", pixels)
    run_job(
        "quantise",
        lambda *_: None,
        folder=str(tmp_path),
        multiply=affine.multiply[0] if affine.alike else 1.0,
        add=affine.add[0] if affine.alike else 0.0,
        prefix=None
        if affine.alike
        else {"multiply": affine.multiply, "add": affine.add, "bgr": affine.bgr},
        embedding=False,
        allow_float=False,
    )
    wanted = Lite((tmp_path / "float.tflite").read_bytes())(affine(pixels))
    int8 = Lite((tmp_path / "int8.tflite").read_bytes())
    scale, zero = int8.input["quantization"]
    got = int8((pixels.astype(np.float32) - 128 - zero) * scale)
    assert np.abs(got - wanted).max() < 0.04 * np.ptp(wanted)


def test_out_of_memory_is_told_as_such(keras_3_models, tmp_path):
    script = (
        "import resource; resource.setrlimit(resource.RLIMIT_AS, (2**29, 2**29))\n"
        "from convert.child import run_job\n"
        f"run_job('bring_in', lambda *_: None, path={str(keras_3_models / 'model.keras')!r},"
        f" kind='Keras 3', folder={str(tmp_path)!r}, side_px=None)"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert done.returncode != 0
    assert "EdgeAfError: out of memory: close other programs" in done.stderr


def test_mistakes_are_one_line_and_exit_2(tmp_path, user_pictures, output, capsys):
    notes = tmp_path / "notes.txt"
    notes.write_text("no model")
    for arguments, said in (
        ((notes, "-o", output), "give --data FOLDER"),
        ((notes, *options(user_pictures, output)), "no model that can be converted"),
        ((tmp_path / "none.h5", *options(user_pictures, output)), "no such file"),
        ((notes, *options(user_pictures, tmp_path / "no" / "out.tflite")), "there is no folder"),
        ((notes, *options(user_pictures, notes)), "must be called .tflite"),
        ((notes, *options(user_pictures, output, preprocess="none")), "'none' is none of unit"),
        (("inspect", notes), "no model that can be converted"),
        (("verify", notes, "--data", user_pictures), "not a .tflite"),
    ):
        assert run(*arguments) == 2
        error = capsys.readouterr().err
        assert said in error
        assert error.count("\n") == 1
    assert not output.exists()
