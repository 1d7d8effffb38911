"""Training: recipes, runs that are stopped and go on, and what stops them."""

import json
import resource
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from data_sets import write_data

from edge_af.cli.run import run as run_command
from edge_af.errors import UserError

keras = pytest.importorskip("keras", reason="needs edge-af[train]")

from train.architectures import ARCHITECTURES, architecture  # noqa: E402
from train.architectures.base import Architecture  # noqa: E402
from train.architectures.paper_head import with_paper_head  # noqa: E402
from train.cli import app  # noqa: E402
from train.fit import fit, resume  # noqa: E402
from train.fit_settings import FitSettings  # noqa: E402
from train.judged import open_model  # noqa: E402
from train.looks import Pixels  # noqa: E402
from train.recipes import RECIPES  # noqa: E402
from train.state import read_state  # noqa: E402


def build(shape, classes, weights):
    del weights
    inputs = keras.Input(shape)
    x = keras.layers.Rescaling(1 / 255)(inputs)
    x = keras.layers.Conv2D(8, 3, strides=2)(x)
    x = keras.layers.ReLU()(keras.layers.BatchNormalization()(x))
    x = keras.layers.Dropout(0.3)(keras.layers.GlobalAveragePooling2D()(x))
    return keras.Model(inputs, keras.layers.Dense(classes)(x))


@pytest.fixture(autouse=True)
def tiny(monkeypatch):
    """To add an architecture is to add a line."""
    monkeypatch.setitem(ARCHITECTURES, "tiny", Architecture("tiny", Pixels(), 16, build))


@pytest.fixture(scope="module")
def manifest(tmp_path_factory):
    return write_data(tmp_path_factory.mktemp("data"), fields={"train": 4, "validation": 2})


def quiet(*_):
    pass


def train(manifest, run, report=quiet, **settings):
    return fit(FitSettings(manifest, architecture="tiny", **settings), run, report, quiet)


def weights_of(run):
    return keras.models.load_model(run / "model.keras", compile=False).get_weights()


class Stop:
    """Interrupts a run at one of its steps, as Ctrl-C does."""

    def __init__(self, step):
        self.step = step

    def __call__(self, what, done, _total):
        if what.startswith("epoch") and done == self.step:
            raise KeyboardInterrupt


@pytest.mark.parametrize("recipe", ["edge-af", "paper"])
def test_a_run_that_was_stopped_in_mid_epoch_ends_as_an_undisturbed_one(manifest, tmp_path, recipe):
    plan = {"recipe": recipe, "epochs": 4, "seed": 5}
    whole = train(manifest, tmp_path / "whole", **plan)
    with pytest.raises(KeyboardInterrupt):
        train(manifest, tmp_path / "cut", Stop(6), **plan)  # of 4 an epoch: in the second
    with pytest.raises(KeyboardInterrupt):
        resume(tmp_path / "cut", Stop(14))  # in the last
    assert read_state(tmp_path / "cut").epoch == 3
    assert (tmp_path / "cut/model.keras").exists()
    state = resume(tmp_path / "cut", quiet)
    assert state.finished
    assert state.epoch == whole.epoch == 4
    for ours, theirs in zip(state.history, whole.history, strict=True):
        assert ours == pytest.approx(theirs, rel=1e-4)
    assert list((tmp_path / "cut").glob("checkpoint*")) == []
    assert resume(tmp_path / "cut", Stop(0)) == state  # nothing is left to do


def test_it_learns_and_leaves_all_that_says_how(manifest, tmp_path):
    run = tmp_path / "run"
    state = train(manifest, run, epochs=12, learning_rate=0.03)
    losses = [entry["val_loss"] for entry in state.history]
    assert min(losses) < losses[0] - 0.2
    assert state.best_loss == min(losses)
    card = json.loads((run / "card.json").read_text())
    assert (card["tile_px"], card["um_per_px"]) == (16, 0.35)
    assert card["input"] == {"kind": "pixels", "multiply": 1.0, "add": 0.0}
    assert card["training"]["recipe"] == "edge-af"
    told = json.loads((run / "settings.json").read_text())
    assert told["settings"]["seed"] == 1
    assert {"keras", "python", "numpy"} <= set(told["versions"])
    lines = (run / "history.csv").read_text().splitlines()
    assert lines[0].startswith("epoch,")
    assert len(lines) == 13


def test_a_full_disk_is_said_and_the_last_epoch_is_whole(manifest, tmp_path):
    """A limit on the size of files stands for the disk: writes fail in mid-file, as they do."""
    run = tmp_path / "run"
    unlimited = resource.getrlimit(resource.RLIMIT_FSIZE)
    ignored = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)

    def fill_up(what, done, _total):
        if what.startswith("epoch") and done == 6:
            resource.setrlimit(resource.RLIMIT_FSIZE, (2000, unlimited[1]))

    try:
        with pytest.raises(UserError, match=r"cannot write .*\.keras"):
            train(manifest, run, fill_up, epochs=3)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, unlimited)
        signal.signal(signal.SIGXFSZ, ignored)
    assert read_state(run).epoch == 1
    assert [path.name for path in run.glob("checkpoint*")] == ["checkpoint-0001.keras"]
    assert [path.name for path in run.iterdir() if "part" in path.name] == []
    assert weights_of(run)
    assert resume(run, quiet).epoch == 3


def test_an_unreadable_picture_is_named_and_harms_no_checkpoint(manifest, tmp_path):
    folder = shutil.copytree(manifest.parent, tmp_path / "data", ignore=lambda *_: ["x.npy"])
    for cache in folder.glob("*.npy"):
        cache.unlink()
    run = tmp_path / "run"
    with pytest.raises(KeyboardInterrupt):
        train(folder / "data.csv", run, Stop(6), epochs=3)
    kept = (run / "checkpoint-0001.keras").read_bytes()
    picture = folder / "train-2.tif"
    whole = picture.read_bytes()
    picture.write_bytes(whole[:200])
    for cache in folder.glob("*.npy"):
        cache.unlink()
    with pytest.raises(UserError, match=r"train-2\.tif"):
        resume(run, quiet)
    assert (run / "checkpoint-0001.keras").read_bytes() == kept
    picture.write_bytes(whole)
    assert resume(run, quiet).epoch == 3


def test_changed_data_are_refused(manifest, tmp_path):
    data = tmp_path / "data"
    shutil.copytree(manifest.parent, data)
    with pytest.raises(KeyboardInterrupt):
        train(data / "data.csv", tmp_path / "run", Stop(2), epochs=2)
    lines = (data / "data.csv").read_text().splitlines(keepends=True)
    (data / "data.csv").write_text("".join(lines[:-1]))
    with pytest.raises(UserError, match="has changed since the run began"):
        resume(tmp_path / "run", quiet)


def test_a_stage_ends_early_where_the_loss_no_longer_falls(manifest, tmp_path, monkeypatch):
    """The loss never falls by 10: each stage has its first epoch, and waits for two more."""
    hasty = replace(RECIPES["paper"], name="hasty", min_delta=10.0, patience=2)
    monkeypatch.setitem(RECIPES, "hasty", hasty)
    state = train(manifest, tmp_path / "run", recipe="hasty")
    assert state.epoch == 3 + 3


def test_an_earlier_network_is_fine_tuned_with_its_own_input(manifest, tmp_path):
    first = train(manifest, tmp_path / "first", epochs=8, learning_rate=0.03)
    state = train(
        manifest, tmp_path / "tuned", recipe="fine-tune", epochs=2, base=tmp_path / "first"
    )
    assert state.history[0]["val_loss"] < first.history[3]["val_loss"]
    card = json.loads((tmp_path / "tuned/card.json").read_text())
    assert card["training"]["from"] == "first"
    larger = write_data(tmp_path / "d", fields={"train": 2, "validation": 1}, tile_px=24)
    with pytest.raises(UserError, match="--tile-px 16"):
        train(larger, tmp_path / "no", base=tmp_path / "first")


def test_runs_from_one_network_are_averaged(manifest, tmp_path, capfd):
    train(manifest, tmp_path / "first", epochs=1)
    for seed in (2, 3):
        base = {"recipe": "fine-tune", "base": tmp_path / "first"}
        train(manifest, tmp_path / f"more-{seed}", epochs=1, seed=seed, **base)
    runs = [tmp_path / name for name in ("more-2", "more-3", "first")]
    both = tmp_path / "both"
    assert run_command(app, "t", ["average", str(both), *map(str, runs)]) == 0
    assert capfd.readouterr().out == f"{both}/model.keras\n"
    kept = [weights_of(run) for run in runs]
    for mean, *same in zip(weights_of(both), *kept, strict=True):
        assert mean == pytest.approx(np.mean(same, axis=0), abs=1e-6)
    card = json.loads((both / "card.json").read_text())
    assert card["training"]["average_of"] == ["more-2", "more-3", "first"]
    assert (both / "held_out.npz").read_bytes() == (runs[0] / "held_out.npz").read_bytes()
    classifier = open_model(both)
    inputs = np.zeros((1, 16, 16, 3), np.uint8)
    assert classifier.answer(inputs).shape == (1, 41)


def test_what_cannot_be_averaged_is_told(manifest, tmp_path, capfd):
    train(manifest, tmp_path / "first", epochs=1)
    larger = write_data(tmp_path / "d", fields={"train": 2, "validation": 1}, tile_px=24)
    train(larger, tmp_path / "larger", epochs=1)
    first, new = tmp_path / "first", tmp_path / "new"
    unfinished, wider = tmp_path / "unfinished", tmp_path / "wider"
    shutil.copytree(first, unfinished)
    (unfinished / "held_out.npz").unlink()
    shutil.copytree(first, wider)
    keras.Sequential([keras.Input((16, 16, 3)), keras.layers.Flatten()]).save(wider / "model.keras")
    for arguments, said in (
        ((new, unfinished, first), "is not a finished training run"),
        ((new, first, wider), "differ in their layers"),
        ((new, first), "give two or more"),
        ((tmp_path / "larger", first, first), "is there already"),
        ((new, first, tmp_path / "larger"), "differ in tile_px"),
        ((new, first, tmp_path / "d"), "is not a training run"),
    ):
        assert run_command(app, "t", ["average", *map(str, arguments)]) == 2
        assert said in capfd.readouterr().err.splitlines()[-1]
    assert not new.exists()


def test_mistakes_are_told_in_one_line(manifest, tmp_path, capfd):
    train(manifest, tmp_path / "run", epochs=1)
    capfd.readouterr()
    data = "--data", manifest
    for arguments, said in (
        ((tmp_path / "run", *data), "holds a run already"),
        ((tmp_path / "new"), "give --data"),
        ((tmp_path / "new", "--resume"), "no run to go on with"),
        ((tmp_path / "run", "--resume", "--epochs", 3), "leave out --epochs"),
        ((tmp_path / "new", *data, "--recipe", "none"), "choose one of edge-af, paper"),
        ((tmp_path / "new", *data, "--arch", "mobilenetv2-x"), "no architecture"),
        ((tmp_path / "new", *data, "--recipe", "paper", "--epochs", 1), "2 stages"),
        ((tmp_path / "new", *data, "--arch", "spectral-mobilenet"), "at least 256 px"),
        ((tmp_path / "new", *data, "--arch", "vgg16"), "at least 32 px"),
        ((tmp_path / "new", *data, "--arch", "tiny", "--weights", "x"), "no base"),
    ):
        arguments = arguments if isinstance(arguments, tuple) else (arguments,)
        assert run_command(app, "t", ["fit", *map(str, arguments)]) == 2, said
        error = capfd.readouterr().err.splitlines()[-1]
        assert said in error
    assert not (tmp_path / "new").exists()


def test_ctrl_c_says_what_is_kept(manifest, tmp_path, capfd, monkeypatch):
    def stopped(settings, folder, _report, say):
        return fit(settings, folder, Stop(6), say)

    monkeypatch.setattr("train.fit.fit", stopped)
    arguments = "fit", tmp_path / "run", "--data", manifest, "--arch", "tiny", "--epochs", 3
    assert run_command(app, "t", list(map(str, arguments))) == 130
    assert "the best so far, of epoch 1" in capfd.readouterr().err


def toy_base(*, include_top, weights, input_shape):
    assert not include_top
    assert weights is None
    inputs = keras.Input(input_shape)
    x = inputs
    for number in range(5):
        x = keras.layers.Conv2D(4, 3, padding="same", name=f"c{number}")(x)
    return keras.Model(inputs, x)


def test_given_weights_are_kept_while_the_head_learns_and_then_but_for_the_last_third(
    manifest, tmp_path, monkeypatch
):
    monkeypatch.setitem(ARCHITECTURES, "toy", with_paper_head("toy", toy_base, smallest_px=16))
    base = toy_base(include_top=False, weights=None, input_shape=(16, 16, 3))
    file = tmp_path / "base.weights.h5"
    base.save_weights(file)
    said = []
    head, last = RECIPES["paper"].stages
    stages = replace(head, epochs=1), replace(last, epochs=5, learning_rate=3e-3)
    monkeypatch.setitem(RECIPES, "keen", replace(RECIPES["paper"], name="keen", stages=stages))
    settings = FitSettings(manifest, architecture="toy", recipe="keen", weights=file)
    assert fit(settings, tmp_path / "run", quiet, said.append).best_epoch > 1
    assert said == [f"toy starts from the weights in {file}"]
    network = keras.models.load_model(tmp_path / "run/model.keras", compile=False)
    (kept,) = [layer for layer in network.layers if isinstance(layer, keras.Model)]
    for number in range(5):
        ours, given = (one.get_layer(f"c{number}").get_weights()[0] for one in (kept, base))
        assert np.array_equal(ours, given) == (number < 3), number


def test_what_holds_no_such_weights_is_refused(tmp_path):
    (tmp_path / "no.weights.h5").write_bytes(b"no weights")
    toy = with_paper_head("toy", toy_base)
    with pytest.raises(UserError, match="does not hold weights of this base"):
        toy.build((32, 32, 3), 41, tmp_path / "no.weights.h5")
    with pytest.raises(UserError, match="at least 32 px"):
        toy.build((16, 16, 3), 41, None)


@pytest.mark.parametrize(
    ("name", "shape"), [("mobilenetv2", (32, 32, 3)), ("spectral-mobilenet", (44, 8, 9))]
)
def test_a_width_goes_by_name(name, shape):
    narrow = architecture(f"{name}-0.35").build(shape, 41, None)
    whole = architecture(name).build(shape, 41, None)
    assert narrow.count_params() < 0.5 * whole.count_params()


def test_a_width_that_is_none_or_of_what_has_none_is_refused():
    for name in ("mobilenetv2-0", "mobilenetv2-x", "vgg16-0.5"):
        with pytest.raises(UserError, match="no architecture"):
            architecture(name)


@pytest.mark.slow
def test_sigkill_in_mid_epoch(tmp_path):
    manifest = write_data(tmp_path / "d", fields={"train": 24, "validation": 3}, tile_px=128)
    epochs = 6

    def command(name, *more):
        return [Path(sys.executable).with_name("edge-af-train"), "fit", tmp_path / name, *more]

    small = "--arch", "spectral-mobilenet-128"
    options = *small, "--data", manifest, "--batch", "8", "--epochs", str(epochs)
    subprocess.run(command("whole", *options), check=True)
    killed = subprocess.Popen(command("cut", *options))
    while read_state(tmp_path / "cut").epoch < 2:
        assert killed.poll() is None
        time.sleep(0.02)
    time.sleep(0.1)  # into the third epoch
    killed.kill()
    assert killed.wait() == -signal.SIGKILL
    assert 2 <= read_state(tmp_path / "cut").epoch < epochs
    subprocess.run(command("cut", "--resume"), check=True)
    cut, whole = read_state(tmp_path / "cut"), read_state(tmp_path / "whole")
    assert cut.finished
    assert cut.epoch == whole.epoch == epochs
    assert cut.best_loss == pytest.approx(whole.best_loss, rel=0.02)
