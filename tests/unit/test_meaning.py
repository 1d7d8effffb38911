import json
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from convert.meaning import in_ascending_order, meaning_of, read_labels
from convert.names import class_number, defocus_at_end_um, defocus_um
from edge_af.errors import UserError
from edge_af.scale import PAPER41_LABELS, DefocusScale

ALPHABETICAL = sorted(PAPER41_LABELS)


@pytest.mark.parametrize(
    ("name", "um"),
    [
        ("-4.25um", -4.25),
        ("+4.25 um", 4.25),
        ("3µm", 3.0),
        ("zoff-16.4345um", -16.4345),
        ("defocus-450", -0.45),
        ("defocus-450nm", -0.45),
        ("-450nm", -0.45),
        ("defocus-4.5um", -4.5),
        ("class -7", None),
        ("-4.25", None),
        ("blurred", None),
    ],
)
def test_defocus_in_a_name(name, um):
    assert defocus_um(name) == um


@pytest.mark.parametrize(
    ("stem", "um"),
    [
        ("Seg11_defocus-450", -0.45),
        ("tile_iy000_zoff-16.4345um", -16.4345),
        ("x_-4.25um", -4.25),
        ("defocus450", 0.45),
        ("IMG_0001", None),
        ("field7", None),
        ("scale10um", None),  # a scale bar, for all that is known
    ],
)
def test_defocus_at_the_end_of_a_files_name(stem, um):
    assert defocus_at_end_um(stem) == um


@given(st.integers(-30, 30))
def test_class_numbers(number):
    for name in (f"class {number}", f"class_{number}", f"Class{number}", str(number)):
        assert class_number(name) == number
    assert class_number(f"{number}.5um") is None


def test_alphabetical_labels_keep_their_own_bins():
    meaning = meaning_of(41, ALPHABETICAL, None)
    width_um = (12.5 - 0.35) / 20
    for label, (low_um, high_um) in zip(meaning.labels, meaning.scale.bins_um, strict=True):
        number = int(label.split()[1])
        if number == 0:
            assert (low_um, high_um) == (-0.35, 0.35)
        else:
            middle_um = (0.35 + (abs(number) - 0.5) * width_um) * (1 if number > 0 else -1)
            assert (low_um + high_um) / 2 == pytest.approx(middle_um)
    # Output 20 happens to be class 0, and is the trap: the others are not where they seem.
    assert meaning.labels[20] == "class 0"
    assert meaning.scale.bins_um[21] == pytest.approx((0.35, 0.9575))
    assert meaning.scale.bins_um[0] == pytest.approx((-0.9575, -0.35))


def test_a_scale_alone_ascends():
    meaning = meaning_of(41, None, "paper41")
    assert meaning.labels == PAPER41_LABELS
    assert meaning.scale == DefocusScale.paper41()


@given(seed=st.integers(0, 1000), count=st.integers(2, 60))
def test_numbered_labels_take_a_scales_bins_by_rank_in_any_order(seed, count):
    numbers = random.Random(seed).sample(range(-100, 100), count)
    meaning = meaning_of(count, [f"class {n}" for n in numbers], "uniform:-8:8")
    centres_um = dict(zip(numbers, meaning.scale.centres_um, strict=True))
    ascending = [centres_um[number] for number in sorted(numbers)]
    assert ascending == sorted(ascending)
    assert (meaning.scale.range.low_um, meaning.scale.range.high_um) == (-8, 8)


def test_labels_in_um_make_bins_that_meet_half_way():
    meaning = meaning_of(3, ["2um", "-1um", "0um"], None)
    assert meaning.scale.bins_um == ((1.0, 3.0), (-1.5, -0.5), (-0.5, 1.0))


def test_labels_in_um_go_to_the_bins_that_hold_them():
    meaning = meaning_of(2, ["defocus3000", "defocus-900"], "uniform:-4:4")
    assert meaning.scale.bins_um == ((0, 4), (-4, 0))
    with pytest.raises(UserError, match="both lie in the bin"):
        meaning_of(2, ["3um", "1um"], "uniform:-4:4")


def test_in_ascending_order():
    meaning = in_ascending_order(meaning_of(41, ALPHABETICAL, None))
    assert meaning.labels == PAPER41_LABELS


def test_edges_from_a_file(tmp_path):
    edges = tmp_path / "edges.json"
    edges.write_text("[-3, -1, 1, 3]")
    assert meaning_of(3, None, str(edges)).scale.bins_um == ((-3, -1), (-1, 1), (1, 3))
    edges.write_text("[[1, 3], [-3, -1], [-1, 1]]")
    assert meaning_of(3, None, str(edges)).scale.bins_um == ((1, 3), (-3, -1), (-1, 1))


@pytest.mark.parametrize(
    ("classes", "labels", "scale", "said"),
    [
        (41, None, None, "what do the 41 classes mean"),
        (40, ALPHABETICAL, None, r"40 outputs, but the labels are 41 \(class -1 ... class 9\)"),
        (40, None, "paper41", "40 outputs, --scale paper41 has 41"),
        (2, ["near", "far"], None, "'near' states no defocus"),
        (2, ["1um", "far"], None, "states no defocus"),
        (3, ["0", "1", "2"], None, "not the paper's"),
        (2, ["1um", "1um"], None, "more than once"),
        (2, ["1um", "1000nm"], None, "no two may state one defocus"),
        (3, None, "uniform:1", "write uniform:LOW:HIGH"),
        (3, None, "uniform:4:-4", "--scale uniform:4:-4"),
        (3, None, "nothing.json", "neither paper41"),
    ],
)
def test_what_is_refused(classes, labels, scale, said):
    with pytest.raises(UserError, match=said):
        meaning_of(classes, labels, scale)


def test_labels_from_folders_come_as_keras_has_them(tmp_path):
    for label in PAPER41_LABELS:
        (tmp_path / label).mkdir()
    (tmp_path / "notes.txt").write_text("")
    labels = read_labels("folders", tmp_path)
    assert labels[:4] == ["class -1", "class -10", "class -11", "class -12"]
    assert labels == ALPHABETICAL


@pytest.mark.parametrize(
    "text",
    [
        "b\na\nc\n",
        "\ufeffb\r\n\r\na\r\nc",
        json.dumps(["b", "a", "c"]),
        json.dumps({"a": 1, "b": 0, "c": 2}),
        json.dumps({"0": "b", "1": "a", "2": "c"}),
    ],
)
def test_labels_from_a_file(tmp_path, text):
    path = tmp_path / "labels"
    path.write_text(text)
    assert read_labels(str(path), tmp_path) == ["b", "a", "c"]


@pytest.mark.parametrize(
    ("text", "said"),
    [("[1, 2]", "list of names"), ("{", "not JSON"), ('{"a": 0, "b": 2}', "no label for output")],
)
def test_files_that_are_no_labels(tmp_path, text, said):
    path = tmp_path / "labels"
    path.write_text(text)
    with pytest.raises(UserError, match=said):
        read_labels(str(path), tmp_path)
