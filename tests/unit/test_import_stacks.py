"""Stacks imported as training tiles."""

import csv
from functools import cache
from pathlib import Path

import numpy as np
import pytest
import tifffile
from PIL import Image, ImageFilter

from edge_af.cli.run import run as run_command
from edge_af.errors import UserError
from edge_af.stack_writer import StackWriter
from edge_af.tiles import content
from hw.camera import Frame
from train.cli import app, main
from train.import_stacks import ImportPlan, import_stacks
from train.manifest import read_rows
from train.reading import read_tiles
from train.standard import SCALE, UM_PER_PX
from train.targets import soft_targets

PEAK_UM = 0.8
"""Where the fields are sharp, as their files have it."""

TILE_PX = 128


def picture(seed, shape=(256, 384)):
    """Fine detail on the left; on the right, from the third tile on, nothing."""
    pixels = np.random.default_rng(seed).integers(40, 216, (*shape, 3), np.uint8)
    pixels[:, 256:] = 230
    return Image.fromarray(pixels).filter(ImageFilter.GaussianBlur(1.2))


@cache
def blurred(seed, z_um, shape=(256, 384)):
    return np.asarray(picture(seed, shape).filter(ImageFilter.GaussianBlur(abs(z_um - PEAK_UM))))


Z_UM = np.arange(-15, 15.5, 1.0).tolist()


def write_stack(path, seed, *, repeats=1, um_per_px=UM_PER_PX, shape=(256, 384)):
    with StackWriter(path, slices=len(Z_UM)) as writer:
        for z_um in Z_UM:
            for _ in range(repeats):
                writer.keep(Frame(blurred(seed, z_um, shape), 0.0, 0.01, um_per_px), 100 + z_um)
        writer.focus_at(100.0)
    return path


def imported(sources, folder, **plan):
    small = {"tile_px": TILE_PX} | plan
    return import_stacks(sources, folder, ImportPlan(**small), lambda *_: None)


def all_rows(result):
    return [row for manifest in result.manifests.values() for row in read_rows(manifest)]


def test_labels_count_from_the_sharpness_peak_and_pixels_are_those_of_the_slice(tmp_path):
    source = write_stack(tmp_path / "a.ome.tif", 1)
    result = imported([source], tmp_path / "tiles", validation_share=0)
    rows = all_rows(result)
    expected_um = [z_um - PEAK_UM for z_um in Z_UM if abs(z_um - PEAK_UM) <= 13.25]
    labels_um = [row.z_um for row in rows][::6]  # 2 x 3 tiles a slice
    assert labels_um == pytest.approx(expected_um, abs=0.05)
    assert {row.um_per_px for row in rows} == {UM_PER_PX}

    frames = {z_um: blurred(1, z_um) for z_um in Z_UM}
    for row, tile in zip(rows, read_tiles(tmp_path / "tiles", rows), strict=True):
        assert tile.shape == (TILE_PX, TILE_PX, 3)
        frame = frames[round(row.z_um + PEAK_UM)]
        assert any(
            (tile == frame[top : top + TILE_PX, left : left + TILE_PX]).all()
            for top in (0, 128)
            for left in (0, 128, 256)
        )


def test_an_empty_tile_is_known_as_such_at_any_defocus(tmp_path):
    source = write_stack(tmp_path / "a.ome.tif", 1)
    rows = all_rows(imported([source], tmp_path / "tiles", validation_share=0))
    held = np.array([row.content for row in rows]).reshape(-1, 6)
    assert (held == held[0]).all()
    assert (held[0] < 0.01).sum() == 2
    targets = soft_targets(SCALE, rows).reshape(-1, 6, len(SCALE.bins_um))
    far = targets[0]
    assert (far[held[0] < 0.01].max(axis=1) < 0.1).all()
    assert (far[held[0] >= 0.01].max(axis=1) > 0.9).all()


def test_no_field_is_in_two_splits_even_if_a_place_was_seen_twice(tmp_path):
    folder = tmp_path / "stacks"
    folder.mkdir()
    for seed in range(4):
        write_stack(folder / f"{seed}.ome.tif", seed, repeats=2)
    result = imported([folder], tmp_path / "tiles", validation_share=0.25, tiles=2)
    rows = {split: read_rows(manifest) for split, manifest in result.manifests.items()}
    fields = {split: {row.field for row in of_split} for split, of_split in rows.items()}
    sources = {split: {row.source for row in of_split} for split, of_split in rows.items()}
    assert {split: len(names) for split, names in fields.items()} == {"train": 3, "validation": 1}
    assert not fields["train"] & fields["validation"]
    assert not sources["train"] & sources["validation"]
    assert result.tiles == {split: len(of_split) for split, of_split in rows.items()}
    assert all(row.split == split for split, of_split in rows.items() for row in of_split)
    # Each row leads to a page of its own, in files that are whole.
    for name in {row.file for of_split in rows.values() for row in of_split}:
        pages = [row.page for of_split in rows.values() for row in of_split if row.file == name]
        with tifffile.TiffFile(tmp_path / "tiles" / name) as tiff:
            assert sorted(pages) == list(range(len(tiff.pages)))


def test_the_same_seed_imports_the_same(tmp_path):
    sources = [write_stack(tmp_path / f"{seed}.ome.tif", seed) for seed in range(3)]
    first = imported(sources, tmp_path / "a", tiles=3)
    second = imported(sources, tmp_path / "b", tiles=3)
    assert all_rows(first) == all_rows(second)
    assert all_rows(imported(sources, tmp_path / "c", tiles=3, seed=7)) != all_rows(first)


def test_finer_pixels_are_resampled(tmp_path):
    source = write_stack(tmp_path / "a.ome.tif", 1, um_per_px=UM_PER_PX / 2, shape=(512, 512))
    rows = all_rows(imported([source], tmp_path / "tiles", validation_share=0))
    tiles = read_tiles(tmp_path / "tiles", rows)
    assert len(tiles) == 4 * 27  # 256 x 256 px at the model's pixel size
    assert {tile.shape for tile in tiles} == {(TILE_PX, TILE_PX, 3)}
    assert max(content(tile) for tile in tiles) > 0.01


def test_a_stack_without_a_peak_inside_is_left_out(tmp_path):
    good = write_stack(tmp_path / "good.ome.tif", 1)
    flank = tmp_path / "flank"
    flank.mkdir()
    for z_um in range(2, 8):
        Image.fromarray(blurred(2, z_um)).save(flank / f"f_{z_um}.png")
    result = imported([good, flank], tmp_path / "t", validation_share=1, um_per_px=UM_PER_PX)
    assert list(result.manifests) == ["validation"]
    assert len({row.field for row in all_rows(result)}) == 1
    (reason,) = result.left_out
    assert "flank" in reason
    with pytest.raises(UserError, match="no stack to import"):
        imported([flank], tmp_path / "t", um_per_px=UM_PER_PX)
    with pytest.raises(UserError, match="--um-per-px"):
        imported([flank], tmp_path / "t")
    with pytest.raises(UserError, match="1 field cannot be split"):
        imported([good], tmp_path / "t")


def test_the_command_prints_its_manifests(tmp_path, capfd, monkeypatch):
    sources = [str(write_stack(tmp_path / f"{seed}.ome.tif", seed)) for seed in range(2)]
    folder = tmp_path / "tiles"
    monkeypatch.setattr("sys.argv", ["edge-af-train", "import", str(folder), *sources])
    assert main() == 0
    manifests = capfd.readouterr().out.split()
    assert sorted(manifests) == [
        str(folder / f"{split}-imported.csv") for split in ("train", "validation")
    ]
    for manifest in manifests:
        with Path(manifest).open(newline="") as file:
            assert next(csv.reader(file))[:4] == ["file", "page", "z_um", "field"]

    monkeypatch.setattr("sys.argv", ["edge-af-train", "import", str(folder), str(tmp_path / "no")])
    assert main() == 2
    assert "does not exist" in capfd.readouterr().err


def save(path, seed=1, z_um=0.0, side=128):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(blurred(seed, z_um + PEAK_UM, (side, side))).save(path)


def test_the_papers_names_are_labels_in_nm_and_the_segment_is_the_field(tmp_path):
    crops = tmp_path / "crops"
    for segment in (11, 12, 13):
        for z_nm in (-450, 0, 5300):
            save(crops / f"Seg{segment}_defocus{z_nm}.jpg", segment, z_nm / 1000)
    result = imported(
        [crops], tmp_path / "t", labels="stated", um_per_px=UM_PER_PX, validation_share=0.3
    )
    rows = all_rows(result)
    assert sorted({row.z_um for row in rows}) == [-0.45, 0.0, 5.3]
    assert {row.field for row in rows} == {"0000-Seg11", "0000-Seg12", "0000-Seg13"}
    assert result.tiles == {"train": 6, "validation": 3}
    assert result.pictures == 9
    assert result.left_out == ()


def test_slides_stay_whole_where_they_are_split_by(tmp_path):
    frames = tmp_path / "frames"
    for slide in (1, 2, 3):
        for place in (1, 2):
            for z_nm in (-1000, 0, 1000):
                save(frames / f"s{slide}_l{place}" / f"defocus{z_nm}.jpg", slide, z_nm / 1000)
    result = imported(
        [frames],
        tmp_path / "t",
        labels="stated",
        um_per_px=UM_PER_PX,
        by="slide",
        test_share=0.3,
    )
    slides = {
        split: {row.field.split("-")[1].split("_")[0] for row in read_rows(manifest)}
        for split, manifest in result.manifests.items()
    }
    assert sorted(slides) == ["test", "train", "validation"]
    assert [len(found) for found in slides.values()] == [1, 1, 1]
    assert set.union(*slides.values()) == {"s1", "s2", "s3"}


def test_a_class_folder_labels_with_the_middle_of_its_class(tmp_path):
    folder = tmp_path / "classes"
    save(folder / "class -7" / "a.png")
    save(folder / "class 0" / "b.png")
    save(folder / "class 20" / "c_defocus12300.png", z_um=1.0)
    save(folder / "class 21" / "d.png")
    result = imported([folder], tmp_path / "t", um_per_px=UM_PER_PX, labels="stated")
    by_field = {row.field.split("-")[1]: row.z_um for row in all_rows(result)}
    assert by_field["a"] == pytest.approx(-(0.35 + 6.5 * 0.6075), abs=1e-3)
    assert by_field["b"] == 0
    assert by_field["c"] == 12.3  # the name says more than the class
    (reason,) = result.left_out
    assert "class 21" in reason


def test_what_a_tile_holds_is_unknown_where_nothing_was_in_focus(tmp_path):
    folder = tmp_path / "classes"
    save(folder / "class 9" / "a.png", z_um=5.0)
    (row,) = all_rows(imported([folder], tmp_path / "t", um_per_px=UM_PER_PX, validation_share=0))
    assert np.isnan(row.content)


def test_bad_files_are_listed_counted_and_skipped(tmp_path, capfd):
    crops = tmp_path / "crops"
    for segment in range(4):
        save(crops / f"Seg{segment}_defocus0.png", segment)
    (crops / "Seg8_defocus100.png").write_bytes((crops / "Seg1_defocus0.png").read_bytes()[:900])
    (crops / "Seg9_defocus100.jpg").write_bytes(b"")
    save(crops / "nothing-said.png")
    save(crops / "Seg7_defocus100.png", side=96)
    options = "--labels", "stated", "--um-per-px", UM_PER_PX, "--validation-share", 0.25
    options = *options, "--tile-px", TILE_PX
    arguments = [str(one) for one in ("import", tmp_path / "t", crops, *options)]
    assert run_command(app, "t", arguments) == 0
    said = capfd.readouterr()
    assert "left out 4 of 8" in said.err
    listed = (tmp_path / "t" / "left-out.txt").read_text()
    for name in ("Seg8_defocus100", "Seg9_defocus100", "nothing-said", "Seg7_defocus100"):
        assert name in listed
        assert name in said.err
    rows = [row for manifest in said.out.split() for row in read_rows(Path(manifest))]
    assert len(rows) == 4
    for manifest in map(Path, said.out.split()):
        for name in ("classes", "samples"):
            with Image.open(manifest.with_name(f"{manifest.stem}-{name}.png")) as picture:
                assert picture.width > 100


def test_a_csv_says_z_field_and_pitch_and_bad_lines_are_listed(tmp_path):
    save(tmp_path / "p" / "a.png", 1)
    save(tmp_path / "p" / "b.png", 2)
    table = tmp_path / "p" / "labels.csv"
    table.write_text(
        "file,z_um,field,um_per_px\na.png,1.25,f1,0.35\nb.png,x,f2,0.35\nc.png,1,f3,0.35\n"
        "b.png,-2,f4,0.35\n"
    )
    result = imported([table], tmp_path / "t", labels="stated", validation_share=0.5)
    rows = all_rows(result)
    assert sorted((row.field, row.z_um) for row in rows) == [("0000-f1", 1.25), ("0000-f4", -2.0)]
    assert [reason.split(": ", 1)[1] for reason in result.left_out] == [
        "z_um must be a number, got 'x'",
        f"{tmp_path / 'p' / 'c.png'} does not exist",
    ]


def test_tiles_of_another_size_and_pitch(tmp_path):
    crops = tmp_path / "crops"
    for segment in range(2):
        save(crops / f"Seg{segment}_defocus0.png", segment, side=224)
    plan = {"labels": "stated", "um_per_px": 0.25, "tile_px": 224, "tile_um_per_px": 0.25}
    rows = all_rows(imported([crops], tmp_path / "t", **plan))
    assert {tile.shape for row in rows for tile in read_tiles(tmp_path / "t", [row])} == {
        (224, 224, 3)
    }
    assert {row.um_per_px for row in rows} == {0.25}
