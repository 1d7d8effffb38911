import numpy as np
import pytest
from PIL import Image

from convert.meaning import meaning_of
from convert.pictures import (
    Fit,
    find_files,
    read_pictures,
    require_classes,
    side_of,
    understand,
)
from edge_af.errors import UserError

MEANING = meaning_of(3, ["class 0", "class 1", "class -1"], "uniform:-6:6")
SAVED = np.random.default_rng(1).integers(0, 255, (8, 12, 3), dtype=np.uint8)


def save(path, pixels=SAVED[:, :8]):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(path)
    return path


def read(pictures, fit=Fit.REFUSE, side_px=8):
    return read_pictures(pictures, side_px, fit, lambda _: None)


def test_folders_and_names_both_say_the_class(tmp_path):
    save(tmp_path / "class -1" / "a.png")
    save(tmp_path / "class 1" / "b_defocus2500.png")
    save(tmp_path / "elsewhere" / "c_-0.5um.png")
    save(tmp_path / "elsewhere" / "beyond_9um.png")
    pictures = understand(find_files(tmp_path), MEANING)
    assert [(p.path.name, p.index, p.defocus_um) for p in pictures] == [
        ("a.png", 2, -4.0),
        ("b_defocus2500.png", 1, 2.5),
        ("c_-0.5um.png", 0, -0.5),
    ]


def test_names_that_contradict_their_folders_are_refused(tmp_path):
    for number in range(4):
        save(tmp_path / "class 1" / f"{number}_defocus-4000.png")
    with pytest.raises(UserError, match=r"4 of 4 pictures lie in the folder of another class"):
        understand(find_files(tmp_path), MEANING)


def test_pictures_that_say_nothing_are_refused(tmp_path):
    save(tmp_path / "photos" / "a.png")
    with pytest.raises(UserError, match="1 of 1 pictures state no defocus"):
        understand(find_files(tmp_path), MEANING)


def test_empty_class_folders_are_named(tmp_path):
    save(tmp_path / "class 0" / "a.png")
    (tmp_path / "class 1").mkdir()
    with pytest.raises(UserError, match=r"1 empty class folder\(s\): class 1"):
        find_files(tmp_path)


def test_a_folder_without_pictures_is_refused(tmp_path):
    with pytest.raises(UserError, match="holds no pictures"):
        find_files(tmp_path)
    with pytest.raises(UserError, match="is not a folder"):
        find_files(tmp_path / "none")


def test_classes_without_pictures_are_named_and_uneven_ones_warned_of(tmp_path):
    save(tmp_path / "class 0" / "a.png")
    save(tmp_path / "class 1" / "a.png")
    pictures = understand(find_files(tmp_path), MEANING)
    with pytest.raises(UserError, match=r"no pictures of 1 of the 3 classes \(class -1\)"):
        require_classes(pictures, MEANING)
    save(tmp_path / "class -1" / "a.png")
    pictures = understand(find_files(tmp_path), MEANING)
    assert require_classes(pictures, MEANING) == []
    (warning,) = require_classes([*pictures, *[pictures[0]] * 30], MEANING)
    assert "1 pictures of class 0, 31 of class -1" in warning


def test_a_few_unreadable_pictures_are_left_out_and_named(tmp_path):
    for number in range(40):
        save(tmp_path / "class 0" / f"{number:02}.png")
    (tmp_path / "class 0" / "07.png").write_bytes(b"\x89PNG cut short")
    pictures = understand(find_files(tmp_path), MEANING)
    found = read(pictures)
    assert len(found.pictures) == len(found.pixels) == 39
    assert "07.png" in found.unreadable[0]
    for number in range(3):
        (tmp_path / "class 0" / f"{number:02}.png").write_bytes(b"")
    with pytest.raises(UserError, match=r"4 of 40 pictures cannot be read: .*00\.png"):
        read(pictures)


def test_another_size_is_refused_cropped_or_resized(tmp_path):
    save(tmp_path / "class 0" / "a.png", SAVED)
    pictures = understand(find_files(tmp_path), MEANING)
    with pytest.raises(UserError, match=r"12 x 8 px, the network takes 8 x 8: --fit crop"):
        read(pictures)
    assert (read(pictures, Fit.CROP).pixels[0] == SAVED[:, 2:10]).all()
    resized = read(pictures, Fit.RESIZE, side_px=4).pixels[0]
    assert resized.mean() == pytest.approx(SAVED.mean(), abs=8)
    with pytest.raises(UserError, match="the network takes 16 x 16"):
        read(pictures, Fit.CROP, side_px=16)


def test_the_side_of_square_pictures_is_told(tmp_path):
    square = save(tmp_path / "class 0" / "a.png")
    oblong = save(tmp_path / "class 0" / "b.png", SAVED)
    assert (side_of([square]), side_of([oblong]), side_of([])) == (8, None, None)
