"""`edge-af adapt` as a user runs it, on virtual microscopes well off the reference."""

import json
from dataclasses import replace
from typing import NamedTuple

import numpy as np
import pytest
import tifffile

from edge_af.classifier import Classifier, fuse
from edge_af.cli import main
from edge_af.head import Head, head_beside
from edge_af.shipped import read_model
from edge_af.tiles import cut
from hw.camera import Frame
from hw.virtual.imaging import transmission
from hw.virtual.optics import Optics, OtfBank
from hw.virtual.procedural import draw_specimen
from hw.virtual.sensor import Sensor, SensorSettings
from hw.virtual.specimen import CONTENT_FLOOR

REFERENCE = Optics()
ODD = {
    "NA 0.4": replace(REFERENCE, numerical_aperture=0.4),
    "NA 0.9": replace(REFERENCE, numerical_aperture=0.9),
    "pitch x1.5": replace(REFERENCE, um_per_px=1.5 * REFERENCE.um_per_px),
    "colour reversed": replace(
        REFERENCE, focus_offsets_um=tuple(-offset for offset in REFERENCE.focus_offsets_um)
    ),
}


class Field:
    """One place on a specimen, seen through an instrument."""

    def __init__(self, optics, seed, kind="tissue", shape_px=(480, 640)):
        rng = np.random.default_rng([seed, 40])
        optics = optics.in_another_field(rng)
        self.um_per_px = optics.um_per_px
        self.specimen = draw_specimen(seed, kind, shape_px, optics.um_per_px)
        self._bank = OtfBank(optics, shape_px)
        self._sensor = Sensor(SensorSettings().drifted(rng), shape_px, seed)

    def pixels(self, z_um):
        return self._sensor.expose(transmission(self.specimen, self._bank, np.array([z_um])))

    def record(self, path, z_um):
        about = {
            "axes": "ZYXS",
            "PhysicalSizeX": self.um_per_px,
            "PhysicalSizeXUnit": "µm",
            "Plane": {"PositionZ": list(z_um), "PositionZUnit": ["µm"] * len(z_um)},
        }
        pixels = np.stack([self.pixels(z) for z in z_um])
        tifffile.imwrite(path, pixels, photometric="rgb", ome=True, metadata=about)
        return path


class Errors(NamedTuple):
    """Median errors in um, abstention aside: of tiles with something in them, and of frames."""

    tile_um: float
    frame_um: float


def errors(classifier, fields, places_um, taken_for_um_per_px=None):
    """Judge against the true defocus of each tile, or of the field."""
    tiles_um, frames_um = [], []
    side_px = classifier.card.tile_px
    for field in fields:
        for z_um in places_um:
            pixels = field.pixels(z_um)
            frame = Frame(pixels, 0.0, 0.0, taken_for_um_per_px or field.um_per_px)
            tiles = cut(frame, classifier.card.um_per_px, side_px, 1000)
            areas = [field.specimen.area(*tile.corner_px, side_px, side_px) for tile in tiles]
            full = np.array([area.content >= CONTENT_FLOOR for area in areas])
            truth_um = np.array([z_um - area.depth_um for area in areas])
            answers = classifier.answer(classifier.features(tiles))[full]
            tiles_um.extend(np.abs(classifier.scale.expected_um(answers) - truth_um[full]))
            (said_um,) = classifier.scale.expected_um(fuse(answers)[None])
            frames_um.append(abs(said_um - z_um))
    return Errors(float(np.median(tiles_um)), float(np.median(frames_um)))


@pytest.fixture(scope="module")
def model():
    model = read_model(None)
    if model.card.penultimate is None:
        pytest.skip(f"{model.path} has no second output: convert its training run again")
    return model


def adapt(*arguments):
    return main(["adapt", *map(str, arguments)])


def gain(model, tmp_path, optics, fields, places_um, test_fields, test_places_um):
    """Adapt to stacks of `fields`; return the errors before and after on `test_fields`."""
    stacks = [
        field.record(tmp_path / f"{number}.ome.tif", places_um)
        for number, field in enumerate(fields)
    ]
    path = tmp_path / "my.head"
    assert adapt(*stacks, "-o", path) == 0
    adapted = Classifier(model, head=Head.read(path))
    # The model alone refuses pixels this coarse: let it take them for its own, as a user might.
    alone_um_per_px = min(optics.um_per_px, model.card.um_per_px)
    return (
        errors(Classifier(model), test_fields, test_places_um, alone_um_per_px),
        errors(adapted, test_fields, test_places_um),
    )


def test_two_small_stacks_turn_a_reversed_instrument_round(model, tmp_path):
    optics = ODD["colour reversed"]
    fields = [Field(optics, seed, shape_px=(384, 512)) for seed in range(2)]
    tests = [Field(optics, 10, shape_px=(384, 512)), Field(optics, 11, shape_px=(384, 512))]
    places_um = np.arange(-10.2, 10.3, 1.2)
    before, after = gain(
        model, tmp_path, optics, fields, places_um, tests, np.arange(-9.0, 9.1, 2.25)
    )
    assert after.tile_um <= before.tile_um / 2
    assert after.frame_um <= before.frame_um / 2


@pytest.mark.slow
@pytest.mark.parametrize("name", ODD)
def test_three_stacks_halve_the_error_on_other_fields(model, tmp_path, name):
    optics = ODD[name]
    kinds = ("tissue", "smear", "tissue")
    fields = [Field(optics, seed, kind) for seed, kind in enumerate(kinds)]
    tests = [Field(optics, 100 + seed, kinds[seed % 3]) for seed in range(8)]
    before, after = gain(
        model,
        tmp_path,
        optics,
        fields,
        np.linspace(-12, 12, 41),
        tests,
        np.linspace(-11.7, 11.7, 8),
    )
    print(f"{name}: before {before}, after {after}")
    assert after.tile_um <= before.tile_um / 2
    assert after.frame_um <= before.frame_um / 2


@pytest.mark.slow
@pytest.mark.usefixtures("model")
def test_on_the_reference_the_models_own_head_stays(tmp_path, capsys):
    stacks = [
        Field(REFERENCE, seed, kind).record(tmp_path / f"{seed}.ome.tif", np.linspace(-12, 12, 41))
        for seed, kind in enumerate(("tissue", "smear", "tissue"))
    ]
    path = tmp_path / "my.head"
    assert adapt(*stacks, "-o", path, "--json") == 1
    document = json.loads(capsys.readouterr().out)
    assert (document["better"], document["head"]) == (False, None)
    assert not path.exists()


def test_revert_removes_the_head_and_nothing_else(tmp_path, packed_model, capsys):
    head = head_beside(packed_model)
    head.write_bytes(b"a head")
    assert adapt("--model", packed_model, "--revert", "--json") == 0
    assert json.loads(capsys.readouterr().out) == {"head": str(head), "removed": True}
    assert [one.name for one in tmp_path.iterdir()] == [packed_model.name]
    assert adapt("--model", packed_model, "--revert") == 0
    assert "the model's own head is in use" in capsys.readouterr().out


def test_mistakes_are_one_line_and_exit_2(tmp_path, packed_model, capsys):
    (tmp_path / "stack").mkdir()
    for arguments, said in (
        ((), "give the stacks to fit to"),
        (("--revert", tmp_path), "--revert takes no stacks"),
        ((tmp_path / "none",), "does not exist"),
        ((tmp_path / "stack",), "holds no images"),
        ((tmp_path / "stack", "-o", tmp_path / "nowhere" / "my.head"), "cannot write into"),
        (("--model", tmp_path / "none.tflite", "--revert"), "no such file"),
        (("--um-per-px", "nan"), "is not from"),
    ):
        model = () if "--model" in arguments else ("--model", packed_model)
        assert adapt(*model, *arguments) == 2
        error = capsys.readouterr().err
        assert said in error
        assert error.count("\n") == 1
