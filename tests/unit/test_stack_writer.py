"""OME-TIFFs that we write, as other readers see them, and what is left of those that fail."""

import resource
import signal
import subprocess
import sys
import tracemalloc
from contextlib import contextmanager
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest
import tifffile

from edge_af.errors import UserError
from edge_af.kept_sweep import KeptSweep
from edge_af.settings import FocusSettings
from edge_af.stack_writer import StackWriteError, StackWriter
from hw.camera import Frame
from hw.stack import read_stacks

UM_PER_PX = 0.3251
PLACES_UM = [-1.7, -1.2, -0.7, -0.2, 0.3]
FOCUS_UM = -0.6123


def frame(number=0, shape=(24, 32), um_per_px=UM_PER_PX):
    pixels = np.random.default_rng(number).integers(0, 256, (*shape, 3), np.uint8)
    return Frame(pixels, 10 + number * 0.2, 10.02 + number * 0.2, um_per_px)


def write(path, places_um=PLACES_UM, focus_um=FOCUS_UM, **settings):
    with StackWriter(path, slices=len(places_um), **settings) as writer:
        for number, place_um in enumerate(places_um):
            writer.keep(frame(number), place_um)
        writer.focus_at(focus_um)
    return writer


def left_in(folder):
    return [path.name for path in folder.iterdir()]


@contextmanager
def files_of_at_most(size):
    """Let the kernel refuse to write more, as a full disk does."""
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, limits[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)


def test_our_reader_gets_back_what_was_written(tmp_path):
    path = tmp_path / "field 7.ome.tif"
    assert write(path).written
    (stack,) = read_stacks(path)
    assert (stack.field, stack.um_per_px) == ("field 7", UM_PER_PX)
    assert [one.z_um for one in stack.slices] == [round(um - FOCUS_UM, 6) for um in PLACES_UM]
    for number, one in enumerate(stack.slices):
        assert (one.pixels() == frame(number).pixels).all()
    assert left_in(tmp_path) == [path.name]


def test_tifffile_sees_one_z_series_of_rgb_and_the_size_of_its_pixels(tmp_path):
    path = tmp_path / "a.ome.tif"
    write(path, about={"instrument": "tëst"})
    with tifffile.TiffFile(path) as tiff:
        (series,) = tiff.series
        assert (series.kind, series.axes, series.shape) == ("ome", "ZYXS", (5, 24, 32, 3))
        assert (series.asarray() == np.stack([frame(n).pixels for n in range(5)])).all()
        pixels = tifffile.xml2dict(tiff.ome_metadata)["OME"]["Image"]["Pixels"]
        # For readers that know TIFF but not OME.
        per_cm = tiff.pages[0].tags["XResolution"].value
        assert 1e4 * per_cm[1] / per_cm[0] == pytest.approx(UM_PER_PX, rel=1e-6)
    assert pixels["PhysicalSizeX"] == pixels["PhysicalSizeY"] == UM_PER_PX
    assert pixels["PhysicalSizeZ"] == 0.5
    assert [plane["DeltaT"] for plane in pixels["Plane"]] == [0.0, 0.2, 0.4, 0.6, 0.8]


def test_the_stage_positions_are_kept(tmp_path):
    path = tmp_path / "a.ome.tif"
    write(path, about={"instrument": "tëst"})
    root = ElementTree.fromstring(tifffile.tiffcomment(path))
    notes = {note.get("K"): note.text for note in root.findall(".//{*}M")}
    assert float(notes["focus_um"]) == FOCUS_UM
    assert [float(um) for um in notes["stage_um"].split()] == PLACES_UM
    assert notes["instrument"] == "tëst"


def test_it_is_valid_by_the_schema(tmp_path):
    ome_types = pytest.importorskip("ome_types", reason="it brings the OME schema")
    xmlschema = pytest.importorskip("xmlschema", reason="it validates XML")
    path = tmp_path / "a.ome.tif"
    write(path, PLACES_UM * 2)
    schema = Path(ome_types.__file__).with_name("ome-2016-06.xsd")
    xmlschema.XMLSchema(str(schema)).validate(tifffile.tiffcomment(path))


def test_slices_come_out_by_rising_z_however_they_were_taken(tmp_path):
    path = tmp_path / "a.ome.tif"
    places_um = [0.0, 4.0, 8.0, 2.0, 3.0]
    write(path, places_um, 3.0)
    (stack,) = read_stacks(path)
    assert [one.z_um for one in stack.slices] == [-3, -1, 0, 1, 5]
    assert (stack.slices[1].pixels() == frame(3).pixels).all()
    with tifffile.TiffFile(path) as tiff:
        assert "PhysicalSizeZ" not in tiff.ome_metadata
        assert (tiff.series[0].asarray()[1] == frame(3).pixels).all()


def test_frames_taken_again_at_a_place_are_images_of_their_own(tmp_path):
    path = tmp_path / "a.ome.tif"
    write(path, [um for um in PLACES_UM for _ in range(2)])
    first, second = read_stacks(path)
    assert (first.field, second.field) == ("a", "a frame 2")
    assert [one.z_um for one in first.slices] == [one.z_um for one in second.slices]
    assert (first.slices[1].pixels() == frame(2).pixels).all()
    assert (second.slices[1].pixels() == frame(3).pixels).all()


def test_it_holds_no_more_than_a_few_frames_in_memory(tmp_path):
    one = frame(shape=(300, 400))
    tracemalloc.start()
    try:
        with StackWriter(tmp_path / "a.ome.tif", slices=60) as writer:
            for number in range(60):
                writer.keep(one, number * 0.5)
            writer.focus_at(15.0)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 8 * one.pixels.nbytes


@pytest.mark.parametrize("failure", [KeyboardInterrupt, ValueError])
def test_an_interrupted_stack_leaves_nothing(tmp_path, failure):
    def interrupted():
        with StackWriter(tmp_path / "a.ome.tif", slices=5) as writer:
            writer.keep(frame(), 0.0)
            writer.focus_at(0.0)
            raise failure

    with pytest.raises(failure):
        interrupted()
    assert left_in(tmp_path) == []


def test_without_a_focus_there_is_no_file(tmp_path):
    with StackWriter(tmp_path / "a.ome.tif", slices=5) as writer:
        writer.keep(frame(), 0.0)
    assert not writer.written
    assert left_in(tmp_path) == []


# Within the first frame, the third, the last, and in what is written when all frames are in.
@pytest.mark.parametrize("share", [0.01, 0.4, 0.65, 0.999])
def test_a_full_disk_is_said_and_leaves_nothing(tmp_path, share):
    size = write(tmp_path / "whole.ome.tif").path.stat().st_size
    with (
        files_of_at_most(int(share * size)),
        pytest.raises(StackWriteError, match=r"a\.ome\.tif .*File too large"),
    ):
        write(tmp_path / "a.ome.tif")
    assert left_in(tmp_path) == ["whole.ome.tif"]


def test_a_stack_larger_than_its_disk_is_refused_at_its_first_frame(tmp_path):
    with (
        pytest.raises(StackWriteError, match=r"would take [\d,]+ MB"),
        StackWriter(tmp_path / "a.ome.tif", slices=10**12) as writer,
    ):
        writer.keep(frame(), 0.0)
    assert left_in(tmp_path) == []


def test_a_killed_writer_leaves_nothing_under_the_name(tmp_path):
    script = (
        "import os, signal, sys, numpy as np\n"
        "from pathlib import Path\n"
        "from edge_af.stack_writer import StackWriter\n"
        "from hw.camera import Frame\n"
        "with StackWriter(Path(sys.argv[1]), slices=5) as writer:\n"
        "    writer.keep(Frame(np.zeros((24, 32, 3), np.uint8), 0, 1, 0.3), 0.0)\n"
        "    writer.focus_at(0.0)\n"
        "    os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    path = tmp_path / "a.ome.tif"
    root = Path(__file__).parents[2]
    done = subprocess.run([sys.executable, "-c", script, str(path)], cwd=root, check=False)
    assert done.returncode == -signal.SIGKILL
    assert not path.exists()
    assert write(path).written  # and what is left does not stand in the way


@pytest.mark.parametrize("other", [frame(shape=(24, 30)), frame(um_per_px=0.5)])
def test_frames_of_another_size_are_refused(tmp_path, other):
    with StackWriter(tmp_path / "a.ome.tif", slices=2) as writer:
        writer.keep(frame(), 0.0)
        with pytest.raises(StackWriteError, match="frames of one size"):
            writer.keep(other, 1.0)


@pytest.mark.parametrize(
    ("name", "said"),
    [("a.tif", "ends in .ome.tif"), ("taken.ome.tif", "exists"), ("no/a.ome.tif", "folder")],
)
def test_names_that_cannot_be_are_refused(tmp_path, name, said):
    (tmp_path / "taken.ome.tif").touch()
    with pytest.raises(UserError, match=said):
        StackWriter(tmp_path / name, slices=5)


# --- a sweep kept


def test_a_kept_sweep_takes_one_frame_a_place(tmp_path):
    path = tmp_path / "a.ome.tif"
    with KeptSweep(path, FocusSettings()) as kept:
        for number, place_um in enumerate([0.0, 2.0, 4.0, 1.5, 2.0, 2.5]):
            kept.keep(frame(number), place_um)
        kept.focus_at(2.0)
    assert kept.note is None
    (stack,) = read_stacks(path)
    assert [one.z_um for one in stack.slices] == [-2, -0.5, 0, 0.5, 2]
    assert (stack.slices[2].pixels() == frame(1).pixels).all()


def test_a_sweep_that_cannot_be_kept_harms_nothing(tmp_path):
    with files_of_at_most(6_000), KeptSweep(tmp_path / "a.ome.tif", FocusSettings()) as kept:
        for number, place_um in enumerate(PLACES_UM):
            kept.keep(frame(number), place_um)
        kept.focus_at(FOCUS_UM)
    assert "File too large" in kept.note
    assert left_in(tmp_path) == []


def test_why_a_sweep_was_not_kept(tmp_path):
    with KeptSweep(tmp_path / "a.ome.tif", FocusSettings()) as kept:
        pass
    assert "there was no sweep" in kept.note
    with KeptSweep(tmp_path / "a.ome.tif", FocusSettings()) as kept:
        kept.keep(frame(), 0.0)
    assert "found no focus" in kept.note
