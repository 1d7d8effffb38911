"""Recordings: what is in them, and what is left of those that were cut short or damaged."""

import json
import resource
import subprocess
import tarfile
from contextlib import contextmanager
from zlib import crc32

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from oracle import Rig
from PIL import Image

from edge_af.errors import UserError
from edge_af.parts import Parts
from edge_af.record import (
    RecordingCamera,
    RecordingHomingStage,
    record_to,
    recording_stage,
    run_focus,
)
from edge_af.recording import Recording, RecordingError, RecordingWriter
from edge_af.settings import FocusSettings
from hw.camera import CameraStalled
from hw.stage import Range, StageFault

SETTINGS = FocusSettings(sweep_reach_um=8.0)
PIXELS = np.random.default_rng(3).integers(0, 256, (6, 8, 3), np.uint8)


class Noted:
    """A log in memory."""

    def __init__(self):
        self.events = []

    def add(self, event, pixels=None):
        self.events.append((event, pixels))


def parts_of(rig):
    return Parts(
        rig.camera,
        rig.driver,
        rig.clock,
        SETTINGS,
        Range(rig.start_um - 60, rig.start_um + 60),
        rig.microscope.backlash_um,
        trusted=True,
    )


def focus(log, seed=1):
    """Sweep a virtual field to focus."""
    instrument = parts_of(Rig(seed=seed, defocus_um=4.0)).instrument(log)
    with instrument:
        return run_focus(instrument, log)


@contextmanager
def files_of_at_most(size):
    """Let the kernel refuse to write more, as a full disk does."""
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, limits[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)


@pytest.fixture(scope="module")
def short(tmp_path_factory):
    """A recording of a few events, and those."""
    path = tmp_path_factory.mktemp("recording") / "run.tar"
    with record_to(path) as log:
        log.add({"kind": "command", "name": "focus", "model": None})
        for number in range(3):
            event = {"kind": "frame", "n": number, "shape": [6, 8, 3]}
            log.add(event | {"pixels_crc32": crc32(PIXELS.tobytes())}, PIXELS)
            log.add({"kind": "move", "target_um": 0.1 * number})
    return path.read_bytes(), Recording(path).events


def test_recording_changes_nothing_of_the_run(tmp_path):
    with record_to(tmp_path / "run.tar") as log:
        recorded = focus(log)
    assert recorded == focus(None)
    assert log.fault is None


def test_a_recording_holds_every_frame_and_move(tmp_path):
    path = tmp_path / "run.tar"
    with record_to(path) as log:
        result = focus(log)
    recording = Recording(path)
    kinds = [event["kind"] for event in recording.events]
    assert kinds.count("frame") == result.frames
    assert recording.events[-2]["result"]["end_um"] == result.end_um
    assert recording.note is None

    noted = Noted()
    focus(noted)
    frames = [pixels for event, pixels in noted.events if event["kind"] == "frame"]
    read = [recording.pixels(n) for n, kind in enumerate(kinds) if kind == "frame"]
    assert all((one == other).all() for one, other in zip(frames, read, strict=True))


def test_any_tar_tool_unpacks_it(tmp_path, short):
    path = tmp_path / "run.tar"
    path.write_bytes(short[0])
    with tarfile.open(path) as tar:
        names = tar.getnames()
    subprocess.run(["tar", "xf", path.name], cwd=tmp_path, check=True)
    assert names[:4] == [
        "000000-header.json",
        "000001-command.json",
        "000002-frame.json",
        "000003-frame.ppm",
    ]
    with Image.open(tmp_path / "000003-frame.ppm") as image:
        assert (np.asarray(image) == PIXELS).all()
    assert json.loads((tmp_path / "000004-move.json").read_text())["target_um"] == 0.0


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=200)
@given(share=st.floats(0, 1))
def test_cut_off_anywhere_it_is_readable_up_to_there(tmp_path, short, share):
    whole, events = short
    path = tmp_path / "cut.tar"
    path.write_bytes(whole[: int(share * len(whole))])
    try:
        recording = Recording(path)
    except RecordingError:
        assert share * len(whole) < 3000  # nothing but a header
        return
    assert recording.events == events[: len(recording.events)]
    complete = recording.events == events
    assert (recording.note is None) == complete
    for number, event in enumerate(recording.events):
        if event["kind"] == "frame":
            assert (recording.pixels(number) == PIXELS).all()


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=300)
@given(data=st.data())
def test_a_damaged_byte_is_never_taken_for_what_was_recorded(tmp_path, short, data):
    whole, events = short
    damaged = bytearray(whole)
    damaged[data.draw(st.integers(0, len(whole) - 1))] ^= data.draw(st.integers(1, 255))
    path = tmp_path / "damaged.tar"
    path.write_bytes(damaged)
    try:
        recording = Recording(path)
    except RecordingError:
        return
    assert recording.events == events[: len(recording.events)]
    for number, event in enumerate(recording.events):
        if event["kind"] == "frame":
            assert (recording.pixels(number) == PIXELS).all()


def test_a_full_disk_ends_the_recording_and_not_the_run(tmp_path):
    whole = tmp_path / "whole.tar"
    with record_to(whole) as log:
        expected = focus(log)
    path = tmp_path / "run.tar"
    with files_of_at_most(whole.stat().st_size // 2), record_to(path) as log:
        result = focus(log)
    assert result == expected
    assert "File too large" in log.fault
    cut, complete = Recording(path), Recording(whole)
    assert 5 < len(cut.events) < len(complete.events)
    assert cut.events == complete.events[: len(cut.events)]
    assert "cut short" in cut.note


def test_a_recording_without_a_command_leaves_no_file(tmp_path):
    with record_to(tmp_path / "run.tar"):
        pass
    assert list(tmp_path.iterdir()) == []


def test_a_file_is_never_overwritten(tmp_path):
    path = tmp_path / "run.tar"
    path.write_bytes(b"precious")
    with pytest.raises(UserError, match="exists already"):
        record_to(path)
    assert path.read_bytes() == b"precious"


def test_other_files_and_other_formats_are_refused(tmp_path):
    path = tmp_path / "other"
    for content in (b"", b"no tar at all", bytes(2048)):
        path.write_bytes(content)
        with pytest.raises(RecordingError, match="no recording"):
            Recording(path)
    with tarfile.open(path, "w") as tar:
        tar.add(__file__)
    with pytest.raises(RecordingError, match="no recording"):
        Recording(path)
    with RecordingWriter(tmp_path / "newer.tar", {"format": 2}) as log:
        log.add({"kind": "command"})
    with pytest.raises(RecordingError, match="format 2"):
        Recording(tmp_path / "newer.tar")


# --- the wrappers


class Failing:
    """A camera and a stage that fail."""

    um_per_px = 0.35
    step_um = 0.1
    travel = Range(-1.0, 1.0)
    settled_at_s = 2.0

    @property
    def position_um(self):
        raise StageFault("unplugged")

    def frame(self, *_):
        raise CameraStalled("nothing came")

    def move_to_um(self, _):
        raise StageFault("unplugged")

    def take_doubt(self):
        return "the board was reset"

    def stop(self):
        pass


def test_failures_pass_through_and_are_kept():
    log = Noted()
    with pytest.raises(CameraStalled, match="nothing came"):
        RecordingCamera(Failing(), log).frame(1.0, 0.5)
    stage = recording_stage(Failing(), log)
    with pytest.raises(StageFault, match="unplugged"):
        stage.move_to_um(3.0)
    assert stage.take_doubt() == "the board was reset"
    frame, move, doubt = (event for event, _ in log.events)
    assert frame["error"] == {"type": "CameraStalled", "message": "nothing came"}
    assert (frame["after_s"], frame["timeout_s"]) == (1.0, 0.5)
    assert (move["target_um"], move["error"]["type"]) == (3.0, "StageFault")
    assert doubt == {"kind": "doubt", "doubt": "the board was reset"}


def test_a_stage_that_can_home_still_can():
    class Homing(Failing):
        position_um = 0.0

        def __enter__(self):
            return self

        def __exit__(self, *error):
            pass

        def home(self, within_um):
            self.homed_within_um = within_um

    inner, log = Homing(), Noted()
    stage = recording_stage(inner, log)
    assert isinstance(stage, RecordingHomingStage)
    stage.home(50.0)
    assert inner.homed_within_um == 50.0
    assert log.events[0][0]["kind"] == "home"
    assert not isinstance(recording_stage(Rig().driver, log), RecordingHomingStage)
