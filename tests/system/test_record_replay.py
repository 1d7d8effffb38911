"""Runs recorded and played again: identical where nothing changed, and where they part if so."""

import json
import threading
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image, ImageFilter

from convert.pack import pack
from edge_af.classifier import Classifier
from edge_af.cli import main
from edge_af.errors import EdgeAfError
from edge_af.model_file import read_model_file
from edge_af.parts import Parts
from edge_af.play import play, recorded_model, recorded_settings
from edge_af.record import record_to, run_focus
from edge_af.recording import Recording
from edge_af.run_difference import Verdict, rows, verdict
from edge_af.settings import FocusSettings
from edge_af.shipped import SHIPPED_MODEL
from hw.camera import CameraStalled
from hw.errors import HardwareError
from hw.stack import read_stacks
from hw.stage import Range, StageFault, StageStopped
from hw.virtual.clock import SimulatedClock
from hw.virtual.mechanics import MechanicsSettings
from hw.virtual.microscope import MicroscopeSettings, VirtualMicroscope

FRAME_PX = (256, 256)
SETTINGS = FocusSettings(sweep_reach_um=10.0)


@pytest.fixture(scope="module")
def model():
    return read_model_file(SHIPPED_MODEL)


def virtual_parts(seed, kind, defocus_um, settings=SETTINGS):
    clock = SimulatedClock()
    microscope = VirtualMicroscope(
        clock,
        seed,
        kind=kind,
        defocus_um=defocus_um,
        settings=MicroscopeSettings(frame_px=FRAME_PX, mechanics=MechanicsSettings()),
    )
    start_um = microscope.stage.position_um
    return Parts(
        microscope.camera,
        microscope.stage,
        clock,
        settings,
        Range(start_um - 40, start_um + 40),
        microscope.backlash_um,
        trusted=True,
    )


def recorded(path, parts, model, commands=1):
    """Record as many focus commands; one that fails is followed by the next."""
    with record_to(path) as log:
        instrument = parts.instrument(log)
        with instrument:
            if model is not None:
                instrument.use_model(model, FRAME_PX)
            for _ in range(commands):
                try:
                    run_focus(instrument, log)
                except (EdgeAfError, HardwareError):
                    continue
    assert log.fault is None
    return Recording(path)


def played(recording, model, settings=None):
    runs = play(recording, model, settings or recorded_settings(recording))
    return [rows(run) for run in runs]


def require_identical(recording, model):
    runs = play(recording, model, recorded_settings(recording))
    assert runs
    for run in runs:
        assert [e for e in run.replayed if e["kind"] != "clock"] == [
            e for e in run.recorded if e["kind"] != "clock"
        ]
        assert verdict(rows(run)) is Verdict.IDENTICAL


@pytest.mark.parametrize(
    ("kind", "seed", "defocus_um"),
    [
        ("tissue", 1, 6.0),
        ("tissue", 2, -7.0),
        ("smear", 3, 1.0),
        ("smear", 4, -9.0),
        ("empty", 6, 4.0),
    ],
)
def test_an_unchanged_run_is_identical(tmp_path, model, kind, seed, defocus_um):
    recording = recorded(tmp_path / "run.tar", virtual_parts(seed, kind, defocus_um), model, 2)
    require_identical(recording, model)


def test_an_unchanged_sweep_is_identical(tmp_path):
    recording = recorded(tmp_path / "run.tar", virtual_parts(1, "tissue", 5.0), None)
    assert recorded_model(recording) is None
    require_identical(recording, None)


class Troubled:
    """A stage or camera that is as the real one until its n-th use."""

    def __init__(self, inner, method, at, trouble):
        self._inner, self._method, self._left, self._trouble = inner, method, at, trouble

    def __getattr__(self, name):
        value = getattr(self._inner, name)
        if name != self._method:
            return value

        def troubled(*arguments):
            self._left -= 1
            return self._trouble(value, *arguments) if self._left == 0 else value(*arguments)

        return troubled

    def __enter__(self):
        self._inner.__enter__()
        return self

    def __exit__(self, *error):
        self._inner.__exit__(*error)


def stalled(*_):
    raise CameraStalled("no frame within 2 s")


class LineLost(StageFault):
    """As a driver may have of its own."""


def unplugged(move, target_um):
    move(target_um - 1.0)
    raise LineLost("the line was lost")


@pytest.mark.parametrize("at", [1, 2, 5])
def test_a_stalled_camera_is_replayed(tmp_path, model, at):
    parts = virtual_parts(1, "tissue", 6.0)
    parts = replace(parts, camera=Troubled(parts.camera, "frame", at, stalled))
    recording = recorded(tmp_path / "run.tar", parts, model, 2)
    require_identical(recording, model)


@pytest.mark.parametrize("at", [1, 2])
def test_a_lost_stage_is_replayed(tmp_path, at):
    parts = virtual_parts(1, "tissue", 6.0)
    parts = replace(parts, driver=Troubled(parts.driver, "move_to_um", at, unplugged))
    recording = recorded(tmp_path / "run.tar", parts, None, 2)
    assert "LineLost" in str(recording.events)
    require_identical(recording, None)


@pytest.mark.parametrize("after_frames", [1, 3])
def test_a_stop_between_two_moves_is_replayed(tmp_path, after_frames):
    parts = virtual_parts(1, "tissue", 6.0)
    path = tmp_path / "run.tar"

    def stopped(frame, *arguments):
        stopping = threading.Thread(target=instrument.stop)
        stopping.start()
        stopping.join()
        return frame(*arguments)

    parts = replace(parts, camera=Troubled(parts.camera, "frame", after_frames, stopped))
    with record_to(path) as log:
        instrument = parts.instrument(log)
        with instrument, pytest.raises(StageStopped):
            run_focus(instrument, log)
    require_identical(Recording(path), None)


def interrupted(*_):
    raise KeyboardInterrupt


def test_a_ctrl_c_is_replayed(tmp_path):
    parts = virtual_parts(1, "tissue", 6.0)
    parts = replace(parts, camera=Troubled(parts.camera, "frame", 4, interrupted))
    with pytest.raises(KeyboardInterrupt):
        recorded(tmp_path / "run.tar", parts, None)
    require_identical(Recording(tmp_path / "run.tar"), None)


def test_a_ctrl_c_while_the_model_looks_is_replayed(tmp_path, model, monkeypatch):
    parts = virtual_parts(1, "tissue", 6.0)
    monkeypatch.setattr(Classifier, "look", interrupted)
    with pytest.raises(KeyboardInterrupt):
        recorded(tmp_path / "run.tar", parts, model)
    monkeypatch.undo()
    require_identical(Recording(tmp_path / "run.tar"), model)


def test_what_is_left_of_a_recording_is_replayed(tmp_path, model):
    path = tmp_path / "run.tar"
    recorded(path, virtual_parts(1, "tissue", 6.0), model)
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2])
    recording = Recording(path)
    assert "cut short" in recording.note
    require_identical(recording, model)


def test_other_settings_part_where_they_decide_otherwise(tmp_path, model):
    recording = recorded(tmp_path / "run.tar", virtual_parts(1, "tissue", 6.0), model)
    (run,) = played(recording, model, SETTINGS.model_copy(update={"most_moves": 1}))
    *same, parted = run
    assert {row.verdict for row in same} == {Verdict.IDENTICAL}
    assert parted.verdict is Verdict.PARTED

    # A setting that nothing in this run turned on.
    (run,) = played(recording, model, SETTINGS.model_copy(update={"travel_budget_um": 250.0}))
    assert verdict(run) is Verdict.IDENTICAL


def test_without_the_model_it_parts_at_the_first_move(tmp_path, model):
    recording = recorded(tmp_path / "run.tar", virtual_parts(1, "tissue", 6.0), model)
    (run,) = played(recording, None)
    assert [(row.event, row.verdict) for row in run] == [("frame / move", Verdict.PARTED)]


@pytest.fixture
def hotter(tmp_path, model):
    """The model that ships, with its answers a little less sure."""

    def make(factor):
        card = model.card.model_copy(update={"temperature": model.card.temperature * factor})
        path = tmp_path / f"hotter-{factor}.tflite"
        path.write_bytes(pack(model.content, card))
        return path

    return make


def test_another_model_shows_first_in_its_distributions(tmp_path, model, hotter):
    recording = recorded(tmp_path / "run.tar", virtual_parts(1, "tissue", 6.0), model)
    (slightly,) = played(recording, read_model_file(hotter(1 + 1e-9)))
    assert verdict(slightly) is Verdict.SAME_DECISIONS
    assert next(row.event for row in slightly if row.verdict is not Verdict.IDENTICAL) == "look"

    (much,) = played(recording, read_model_file(hotter(4.0)))
    assert verdict(much) is Verdict.PARTED
    first = next(row for row in much if row.verdict is not Verdict.IDENTICAL)
    assert first.event == "look"
    assert first.recorded != first.replayed


# --- as a user does it


@pytest.fixture
def stack(tmp_path):
    """A field of fine detail, blurred with distance from 0 um."""
    folder = tmp_path / "stack"
    folder.mkdir()
    pixels = np.random.default_rng(3).integers(60, 196, (160, 160, 3), np.uint8)
    for z_um in range(-6, 7):
        blurred = Image.fromarray(pixels).filter(ImageFilter.GaussianBlur(0.3 + abs(z_um) / 3))
        blurred.save(folder / f"a_{z_um}.png")
    return folder


@pytest.fixture
def run_file(tmp_path, stack, capfd):
    """A recorded focus by sweep, on a stack."""
    path = tmp_path / "run.tar"
    focus = ["focus", "--replay", str(stack), "--start-um", "4", "--no-model"]
    assert main([*focus, "--record", str(path)]) == 0
    capfd.readouterr()
    return path


def test_a_recorded_focus_replays_on_the_command_line(run_file, capfd):
    assert main(["replay", str(run_file)]) == 0
    printed = capfd.readouterr()
    assert printed.out.rstrip().endswith("run.tar: identical")
    assert printed.err == ""

    assert main(["replay", str(run_file), "--json"]) == 0
    document = json.loads(capfd.readouterr().out)
    assert (document["verdict"], document["complete"]) == ("identical", True)
    assert document["runs"][0][-1]["recorded"] == "focused by sweep at +0.00 um"


def test_other_settings_on_the_command_line(run_file, capfd):
    assert main(["replay", str(run_file), "--set", "depth_of_field_um=1.2", "--json"]) == 1
    document = json.loads(capfd.readouterr().out)
    assert document["verdict"] == document["runs"][0][-1]["verdict"] == "parted"

    for wrong, said in (("depth=2", "no setting 'depth'"), ("certainty=high", "certainty = high")):
        assert main(["replay", str(run_file), "--set", wrong]) == 2
        assert said in capfd.readouterr().err


def test_damaged_recordings_on_the_command_line(run_file, tmp_path, capfd):
    whole = run_file.read_bytes()
    run_file.write_bytes(whole[:-20_000])
    assert main(["replay", str(run_file)]) == 0
    assert "cut short" in capfd.readouterr().err

    for content in (b"", whole[:600], whole[:2000], b"garbage" * 1000):
        run_file.write_bytes(content)
        assert main(["replay", str(run_file)]) == 2
        printed = capfd.readouterr()
        assert printed.out == ""
        assert printed.err.count("\n") == 1
    assert main(["replay", str(tmp_path / "absent.tar")]) == 2
    assert "absent.tar" in capfd.readouterr().err


def test_the_sweep_of_a_focus_is_kept_as_a_stack(stack, tmp_path, capfd):
    path = tmp_path / "sweep.ome.tif"
    focus = ["focus", "--replay", str(stack), "--start-um", "4", "--um-per-px", "0.35"]
    assert main([*focus, "--no-model", "--keep-sweep", str(path)]) == 0
    (kept,) = read_stacks(path)
    assert kept.um_per_px == 0.35
    for one in kept.slices:
        (original,) = [o for o in read_stacks(stack)[0].slices if o.z_um == round(one.z_um)]
        assert (one.pixels() == original.pixels()).all()
    assert capfd.readouterr().err == ""
