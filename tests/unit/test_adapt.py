import math
from dataclasses import replace

import numpy as np
import pytest
import tifffile
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from convert.pack import pack
from edge_af.adapt.discriminant import discriminant
from edge_af.adapt.fields import read_fields
from edge_af.adapt.fit import adapt
from edge_af.adapt.verdict import Comparison, Figures
from edge_af.card import ModelCard
from edge_af.classifier import Classifier
from edge_af.errors import ModelError, UserError
from edge_af.head import Head
from edge_af.model_file import read_model_file
from edge_af.scale import DefocusScale
from edge_af.temperature import softmax
from hw.camera import Frame

SCALE = DefocusScale.paper41()


def predicted(inputs, weights):
    return softmax(inputs @ weights[:-1] + weights[-1])


# Inputs that rise along z, each with its own slope, offset and noise: the best answer is known.
SLOPES, NOISE = np.array([1.0, -0.5, 0.2]), np.array([2.0, 1.5, 0.4])


def drawn(count, seed=0):
    rng = np.random.default_rng(seed)
    z_um = rng.uniform(-12.5, 12.5, count)
    offsets = np.array([10.0, -3.0, 200.0])
    return z_um, offsets, z_um[:, None] * SLOPES + offsets + rng.normal(0, NOISE, (count, 3))


def test_of_gaussian_inputs_the_answer_is_that_of_bayes():
    z_um, offsets, inputs = drawn(20_000)
    weights = discriminant(inputs, z_um, SCALE, bandwidth_um=1.0)
    answers = predicted(inputs, weights)
    precision = (SLOPES**2 / NOISE**2).sum()
    best_um = (inputs - offsets) @ (SLOPES / NOISE**2) / precision
    inside = np.abs(best_um) < 8
    said_um = SCALE.expected_um(answers[inside])
    assert said_um == pytest.approx(best_um[inside], abs=0.15)
    deviation_um = np.sqrt(
        (answers[inside] * (SCALE.centres_um - said_um[:, None]) ** 2).sum(axis=1)
    )
    # A class is 0.6 um wide, and the one in the middle a little wider.
    assert deviation_um == pytest.approx(1 / math.sqrt(precision), abs=0.1)


@settings(max_examples=15, deadline=None)
@given(seed=st.integers(0, 100), factor=st.floats(0.01, 100), shift=st.floats(-10, 10))
def test_the_units_of_the_inputs_do_not_count(seed, factor, shift):
    z_um, _, inputs = drawn(300, seed)
    other = inputs * factor + shift
    assert predicted(other, discriminant(other, z_um, SCALE, 1.0)) == pytest.approx(
        predicted(inputs, discriminant(inputs, z_um, SCALE, 1.0)), abs=1e-6
    )


def test_an_input_that_never_varies_does_no_harm():
    z_um, _, inputs = drawn(2000)
    flat = np.column_stack([inputs, np.full(len(inputs), 7.0)])
    weights = discriminant(flat, z_um, SCALE, 1.0)
    wanted = predicted(inputs, discriminant(inputs, z_um, SCALE, 1.0))
    assert predicted(flat, weights) == pytest.approx(wanted, abs=1e-6)
    flat[:, -1] += 0.01
    assert predicted(flat, weights) == pytest.approx(wanted, abs=1e-6)


def test_a_class_far_from_all_slices_is_taken_for_the_nearest():
    z_um, _, inputs = drawn(2000)
    near = np.abs(z_um) < 10
    weights = discriminant(inputs[near], z_um[near], SCALE, 0.05)
    assert np.isfinite(weights).all()
    assert np.abs(SCALE.expected_um(predicted(inputs, weights))).max() < 12.5


# An instrument whose light grows with defocus: nothing that the untrained model could know.

LOW_UM, HIGH_UM = -10.2, 10.2


def picture(z_um, seed, shape_px=(64, 96), lift=6.0):
    noise = np.random.default_rng(seed).normal(0, 12, (*shape_px, 3))
    return (128 + lift * z_um + noise).clip(2, 250).astype(np.uint8)


def record(folder, seed, um_per_px=0.35, step_um=0.6, low_um=LOW_UM, lift=6.0):
    folder.mkdir()
    lines = ["file,z_um,um_per_px"]
    for number, z_um in enumerate(np.arange(low_um, HIGH_UM, step_um)):
        name = f"{number:03d}.png"
        Image.fromarray(picture(z_um, [seed, number], lift=lift)).save(folder / name)
        lines.append(f"{name},{z_um:.3f},{um_per_px}")
    (folder / "z.csv").write_text("\n".join(lines))
    return folder


@pytest.fixture
def model(tmp_path, tiny_models, tiny_card):
    card = ModelCard.model_validate(tiny_card.model_dump() | {"penultimate": 41})
    path = tmp_path / "two.tflite"
    path.write_bytes(pack((tiny_models / "two_outputs.tflite").read_bytes(), card))
    return read_model_file(path)


@pytest.fixture
def recorded(tmp_path):
    """Two fields of the instrument whose light grows with defocus."""
    return [record(tmp_path / f"stack{seed}", seed) for seed in range(2)]


def quiet(_):
    pass


def test_a_head_learns_what_the_model_could_not_know(model, recorded, tmp_path):
    adapted = adapt(model, read_fields(recorded, None), quiet)
    assert adapted.overall.better
    assert [one.field for one in adapted.fields] == ["stack0", "stack1"]
    assert adapted.overall.tiles == sum(one.tiles for one in adapted.fields) == 2 * 34 * 6
    assert adapted.overall.after.median_error_um < 0.5
    assert adapted.overall.before.median_error_um > 2
    metrics = adapted.head.card.metrics
    assert metrics["after_median_error_um"] == pytest.approx(
        adapted.overall.after.median_error_um, abs=1e-4
    )
    adapted.head.write(tmp_path / "my.head")
    classifier = Classifier(model, head=Head.read(tmp_path / "my.head"))
    for z_um in (-8.0, -2.0, 0.5, 5.0, 9.0):
        sight = classifier.look(Frame(picture(z_um, [9, 9]), 0.0, 0.0, 0.35))
        said_um = classifier.scale.expected_um(sight.distribution[None])[0]
        assert said_um == pytest.approx(z_um, abs=0.6)


def test_fields_are_judged_by_what_others_taught(model, tmp_path):
    # Each instrument by itself is easy; of the other one, each knows the opposite.
    fields = [
        record(tmp_path / "up", 1, lift=6.0),
        record(tmp_path / "down", 2, lift=-6.0),
    ]
    adapted = adapt(model, read_fields(fields, None), quiet)
    assert adapted.overall.after.wrong_side > 0.9
    assert not adapted.overall.better


@pytest.mark.parametrize(
    ("median_um", "wrong_side", "better"),
    [
        (0.9, 0.02, True),
        (1.0, 0.0, False),  # as good is not better
        (0.97, 0.0, False),  # by less than the choice of the width may flatter it
        (0.5, 0.03, False),  # nearer, but more often to the wrong side
    ],
)
def test_the_models_own_head_stays_unless_beaten(median_um, wrong_side, better):
    before, after = Figures(1.0, 2.0, 0.02), Figures(median_um, 2.0, wrong_side)
    assert Comparison("all", 100, before, after).better is better


def test_pixels_too_coarse_to_be_resampled_are_taken_as_they_are(model, tmp_path):
    fields = [record(tmp_path / f"coarse{seed}", seed, um_per_px=0.525) for seed in range(2)]
    adapted = adapt(model, read_fields(fields, None), quiet)
    assert adapted.head.card.um_per_px == 0.525
    frame = Frame(picture(5.0, [9, 9]), 0.0, 0.0, 0.525)
    with pytest.raises(ModelError, match="less binning"):
        Classifier(model).look(frame)
    assert Classifier(model, head=adapted.head).look(frame).abstained is None


def test_frames_taken_again_are_of_the_same_field(tmp_path):
    path = tmp_path / "twice.ome.tif"
    with tifffile.TiffWriter(path, ome=True) as file:
        for name in ("cells", "cells frame 2", "pads"):
            about = {"axes": "ZYXS", "Name": name, "PhysicalSizeZ": 0.5}
            file.write(np.zeros((3, 16, 16, 3), np.uint8), photometric="rgb", metadata=about)
    fields = read_fields([path], 0.35)
    assert [(field.name, len(field.stacks)) for field in fields] == [
        ("twice.ome.tif: cells", 2),
        ("twice.ome.tif: pads", 1),
    ]


@pytest.mark.parametrize(
    ("changes", "fault"),
    [
        ({"low_um": -6.0}, "no slice between -10 um and -6 um .* record from -10 um to 10 um"),
        ({"step_um": 2.0}, "at most 1.5 um apart"),
        ({"um_per_px": 0.2}, "pixels of 0.2 um to 0.35 um: a head is fitted to one instrument"),
    ],
)
def test_stacks_that_would_mislead_are_refused(model, tmp_path, changes, fault):
    fields = [record(tmp_path / "good", 1), record(tmp_path / "odd", 2, **changes)]
    with pytest.raises(UserError, match=fault):
        adapt(model, read_fields(fields, None), quiet)


def test_one_field_is_too_few(model, recorded):
    with pytest.raises(UserError, match="1 field is too few"):
        adapt(model, read_fields(recorded[:1], None), quiet)


def test_a_field_counts_once(recorded):
    with pytest.raises(UserError, match="given twice"):
        read_fields([recorded[0], recorded[0] / ".." / recorded[0].name], None)


def test_a_field_of_nothing_is_refused(model, recorded, tmp_path):
    blank = tmp_path / "blank"
    blank.mkdir()
    for number, z_um in enumerate(np.arange(LOW_UM, HIGH_UM, 0.6)):
        Image.new("RGB", (96, 64), "white").save(blank / f"{number}.png")
        with (blank / "z.csv").open("a") as file:
            file.write("file,z_um,um_per_px\n" * (number == 0) + f"{number}.png,{z_um:.3f},0.35\n")
    limits = model.card.abstention.model_copy(update={"min_content": 0.001})
    card = model.card.model_copy(update={"abstention": limits})
    with pytest.raises(UserError, match="blank has 0 tiles with something in them, 50 are needed"):
        adapt(replace(model, card=card), read_fields([recorded[0], blank], None), quiet)


def test_a_model_with_one_output_names_the_cure(packed_model, recorded):
    with pytest.raises(ModelError, match="edge-af-convert"):
        adapt(read_model_file(packed_model), read_fields(recorded, None), quiet)
