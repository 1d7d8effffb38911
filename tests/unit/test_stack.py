"""Recorded focal stacks: names, CSV, OME-TIFF, pixel formats, and every way to be wrong."""

import math
import tempfile
from pathlib import Path

import numpy as np
import pytest
import tifffile
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from hw.errors import HardwareError
from hw.images import ImageError, read_rgb
from hw.stack import Slice, Stack, read_stacks

PADS = Path(__file__).parents[3] / "shared" / "data" / "stacks" / "pads"


def write(path: Path, level: int = 0, size: tuple[int, int] = (12, 8), **options) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", size, (level, 100, 200)).save(path, **options)
    return path


def refused(path: Path, *parts: str, **options) -> None:
    with pytest.raises(ImageError) as caught:
        read_stacks(path, **options)
    message = str(caught.value)
    assert isinstance(caught.value, HardwareError)
    assert isinstance(caught.value, ValueError)
    assert "\n" not in message
    for part in parts:
        assert part in message


# Names


@pytest.mark.parametrize(
    ("low", "high", "field", "z_um"),
    [
        (
            "adjustedFocus_tile__ix000_iy000_-10.22604656275612.tiff",
            "adjustedFocus_tile__ix000_iy000_0.tiff",
            "adjustedFocus_tile__ix000_iy000",
            (-10.22604656275612, 0.0),
        ),
        ("Seg11_defocus-450.jpg", "Seg11_defocus1200.jpg", "Seg11", (-0.45, 1.2)),
        ("s1_l2/defocus-450.jpg", "s1_l2/defocus450.JPG", "s1_l2", (-0.45, 0.45)),
        ("s1/Seg3_defocus-10450.png", "s1/Seg3_defocus0.png", "s1/Seg3", (-10.45, 0.0)),
        ("cell_zoff-16.4345um.png", "cell_zoff3um.png", "cell", (-16.4345, 3.0)),
        ("zoff-1.5um_cell_9.png", "zoff+2um_cell_9.png", "cell_9", (-1.5, 2.0)),
        ("t_-2e-05.bmp", "t_1.5e+1.bmp", "t", (-2e-5, 15.0)),
        ("-3.tif", "4.25.tif", "recorded", (-3.0, 4.25)),
    ],
)
def test_a_name_states_field_and_z(tmp_path, low, high, field, z_um):
    folder = tmp_path / "recorded"
    write(folder / high)
    write(folder / low)
    (stack,) = read_stacks(folder)
    assert stack.field == field
    assert tuple(one.z_um for one in stack.slices) == z_um
    assert [one.path for one in stack.slices] == [folder / low, folder / high]


@settings(max_examples=20, deadline=None)
@given(st.lists(st.floats(-1e4, 1e4), min_size=2, max_size=5, unique=True))
def test_any_number_that_python_prints_is_read_back(z_um):
    with tempfile.TemporaryDirectory() as folder:
        for z in z_um:
            write(Path(folder) / f"a_b_{z!r}.png")
        (stack,) = read_stacks(folder)
        assert [one.z_um for one in stack.slices] == sorted(z_um)


def test_a_folder_may_hold_several_fields_and_other_files(tmp_path):
    for name in ("b_1.png", "b_-1.png", "a_5.png", "a_7.png", "sub/a_0.png", "sub/a_1.png"):
        write(tmp_path / name)
    write(tmp_path / "overview.png", size=(3, 3))
    write(tmp_path / ".hidden_1.png")
    (tmp_path / "LICENSE").write_text("free")
    stacks = read_stacks(str(tmp_path))
    assert [(s.field, [one.z_um for one in s.slices]) for s in stacks] == [
        ("a", [5.0, 7.0]),
        ("b", [-1.0, 1.0]),
        ("sub/a", [0.0, 1.0]),
    ]


def test_a_running_number_is_not_a_z(tmp_path):
    write(tmp_path / "IMG_0001.png")
    write(tmp_path / "IMG_0002.png")
    refused(tmp_path, "none of the 2 images", "IMG_0001.png", "zoff", "defocus", "file,z_um")


# CSV


def csv_stack(tmp_path: Path, text: str) -> Path:
    for level, name in enumerate(("a.png", "b.png", "c.png")):
        write(tmp_path / name, level)
    table = tmp_path / "slices.csv"
    table.write_text(text, encoding="utf-8")
    return table


@pytest.mark.parametrize("as_path", [False, True])
def test_csv_states_z_field_and_scale(tmp_path, as_path):
    text = "\ufefffile,z_um,field,um_per_px\nc.png,2.5,f,0.286\na.png,-1,f,0.286\n"
    table = csv_stack(tmp_path, text)
    (stack,) = read_stacks(table if as_path else tmp_path)
    assert stack == Stack(
        "f", (Slice(-1.0, tmp_path / "a.png"), Slice(2.5, tmp_path / "c.png")), 0.286
    )


def test_csv_overrules_names_and_its_field_is_the_folder(tmp_path):
    folder = tmp_path / "slide7"
    write(folder / "x_100.png")
    write(folder / "x_200.png")
    (folder / "z.csv").write_text("file,z_um\nx_100.png,1\nx_200.png,2\n")
    (stack,) = read_stacks(folder)
    assert stack.field == "slide7"
    assert [one.z_um for one in stack.slices] == [1.0, 2.0]


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("name,z\na.png,1\n", ("lacks the column(s) file, z_um",)),
        ("file;z_um\na.png;1\n", ("lacks the column(s) file, z_um", "commas")),
        ("", ("lacks the column(s)",)),
        ("file,z_um\n", ("lists no slices",)),
        ("file,z_um\na.png,1\nb.png,high\n", ("line 3", "z_um", "'high'")),
        ("file,z_um\na.png,1\nb.png,nan\n", ("line 3", "finite", "'nan'")),
        ("file,z_um\na.png,1\nb.png\n", ("line 3", "None")),
        ("file,z_um\na.png,1\nlost.png,2\n", ("line 3", "lost.png", "does not exist")),
        ("file,z_um\na.png,1\n,2\n", ("line 3", "does not exist")),
        ("file,z_um\na.png,1\n", ("1 slice(s)", "a.png")),
        ("file,z_um\na.png,1\nb.png,1.0\n", ("two slices at z 1.0 um", "a.png", "b.png")),
        ("file,z_um,um_per_px\na.png,1,0.3\nb.png,2,0.4\n", ("0.3", "0.4")),
        ("file,z_um,um_per_px\na.png,1,-1\nb.png,2,-1\n", ("positive", "-1.0 um/px")),
    ],
)
def test_csv_mistakes(tmp_path, text, parts):
    refused(csv_stack(tmp_path, text), *parts)


def test_csv_that_is_not_text(tmp_path):
    table = tmp_path / "t.csv"
    table.write_bytes(b"file,z_um\n\xff\xfe\x00,1\n")
    refused(table, "t.csv", "UTF-8")


def test_two_csv_files_are_ambiguous(tmp_path):
    csv_stack(tmp_path, "file,z_um\na.png,1\nb.png,2\n")
    (tmp_path / "other.csv").write_text("")
    refused(tmp_path, "2 CSV files")


# OME-TIFF


def ome(path: Path, shape=(3, 8, 12, 3), axes="ZYXS", dtype=np.uint8, **metadata) -> Path:
    frames = np.zeros(shape, dtype)
    frames[:] = np.arange(shape[0]).reshape(-1, *[1] * (len(shape) - 1)) * 10
    photometric = "rgb" if "S" in axes else "minisblack"
    tifffile.imwrite(
        path, frames, photometric=photometric, ome=True, metadata={"axes": axes, **metadata}
    )
    return path


def test_ome_positions_are_sorted_and_their_units_heeded(tmp_path):
    path = ome(
        tmp_path / "a.ome.tif",
        PhysicalSizeX=286.0,
        PhysicalSizeXUnit="nm",
        Plane={"PositionZ": [0.002, -0.001, 0.0], "PositionZUnit": ["mm"] * 3},
    )
    (stack,) = read_stacks(path)
    assert [one.z_um for one in stack.slices] == pytest.approx([-1.0, 0.0, 2.0])
    assert [one.pixels()[0, 0, 0] for one in stack.slices] == [10, 20, 0]
    assert stack.um_per_px == pytest.approx(0.286)


@pytest.mark.parametrize(("unit", "spacing"), [("µm", 0.5), ("μm", 0.5), ("nm", 500.0)])
def test_ome_spacing(tmp_path, unit, spacing):
    path = ome(tmp_path / "a.ome.tif", PhysicalSizeZ=spacing, PhysicalSizeZUnit=unit)
    (stack,) = read_stacks(path)
    assert [one.z_um for one in stack.slices] == [0.0, 0.5, 1.0]
    assert stack.um_per_px is None


def test_ome_16_bit_grey(tmp_path):
    path = ome(tmp_path / "a.ome.tif", (2, 8, 12), "ZYX", np.uint16, PhysicalSizeZ=1.0)
    (stack,) = read_stacks(path)
    assert stack.slices[1].pixels().shape == (8, 12, 3)


def test_ome_with_several_images_has_several_fields(tmp_path):
    path = tmp_path / "a.ome.tif"
    with tifffile.TiffWriter(path, ome=True) as tiff:
        for name in ("left", "right"):
            tiff.write(
                np.zeros((2, 8, 12, 3), np.uint8),
                photometric="rgb",
                metadata={"axes": "ZYXS", "Name": name, "PhysicalSizeZ": 2.0},
            )
    stacks = read_stacks(path)
    assert [stack.field for stack in stacks] == ["left", "right"]
    assert [one.page for stack in stacks for one in stack.slices] == [0, 1, 2, 3]


@pytest.mark.parametrize(
    ("shape", "axes", "metadata", "part"),
    [
        ((3, 8, 12, 3), "ZYXS", {}, "states no z"),
        (
            (3, 8, 12, 3),
            "ZYXS",
            {"PhysicalSizeZ": 1.0, "PhysicalSizeZUnit": "reference frame"},
            "states no z",
        ),
        ((3, 2, 8, 12), "ZCYX", {"PhysicalSizeZ": 1.0}, "axes ZCYX"),
        ((3, 8, 12), "TYX", {"PhysicalSizeZ": 1.0}, "axes TYX"),
        ((2, 8, 12), "ZYX", {"Plane": {"PositionZ": [4, 4]}}, "two slices at z 4.0 um"),
    ],
)
def test_ome_without_a_usable_z(tmp_path, shape, axes, metadata, part):
    refused(ome(tmp_path / "a.ome.tif", shape, axes, **metadata), part)


def test_plain_multi_page_tiff_is_refused(tmp_path):
    path = tmp_path / "pages.tif"
    tifffile.imwrite(path, np.zeros((3, 8, 12), np.uint8), photometric="minisblack")
    refused(path, "pages.tif", "without OME metadata", "file,z_um")


def test_ome_that_lacks_a_page(tmp_path):
    whole = ome(tmp_path / "whole.ome.tif", PhysicalSizeZ=1.0)
    with tifffile.TiffFile(whole) as tiff:
        description = tiff.ome_metadata.replace('SizeZ="3"', 'SizeZ="4"').encode()
    path = tmp_path / "short.ome.tif"
    frames = np.zeros((3, 8, 12, 3), np.uint8)
    tifffile.imwrite(path, frames, photometric="rgb", description=description, metadata=None)
    refused(path, "short.ome.tif", "complete")


@pytest.mark.parametrize("kept", [0, 4, 100, 300, 700])
def test_truncated_ome(tmp_path, kept):
    path = ome(tmp_path / "a.ome.tif", PhysicalSizeZ=1.0)
    path.write_bytes(path.read_bytes()[:kept])
    refused(path, "a.ome.tif")


# Scale


def test_scale_argument_overrides_all(tmp_path):
    csv_stack(tmp_path, "file,z_um,um_per_px\na.png,1,0.3\nb.png,2,0.3\n")
    assert [s.um_per_px for s in read_stacks(tmp_path, um_per_px=0.5)] == [0.5]


@pytest.mark.parametrize("um_per_px", [0.0, -1.0, math.nan, math.inf])
def test_scale_argument_is_checked(tmp_path, um_per_px):
    write(tmp_path / "a_0.png")
    write(tmp_path / "a_1.png")
    refused(tmp_path, "um_per_px must be positive", um_per_px=um_per_px)


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({"resolution_unit": "cm", "x_resolution": 20_000, "y_resolution": 20_000}, 0.5),
        ({"resolution_unit": "inch", "x_resolution": 25_400, "y_resolution": 25_400}, 1.0),
        ({"dpi": (72, 72)}, None),
        ({}, None),
    ],
)
def test_tiff_resolution_counts_if_it_can_be_a_microscopes(tmp_path, options, expected):
    write(tmp_path / "a_0.tif", **options)
    write(tmp_path / "a_1.tif", **options)
    (stack,) = read_stacks(tmp_path)
    assert stack.um_per_px == expected


# Pixels


def test_pixel_formats_become_rgb(tmp_path):
    grey16 = np.array([[0, 255, 256, 65535]], np.uint16)
    expected16 = [0, 0, 1, 255]
    rgba = Image.new("RGBA", (2, 2), (10, 20, 30, 0))
    cases = {
        "rgb.png": (Image.new("RGB", (2, 2), (1, 2, 3)), [[1, 2, 3]] * 2),
        "alpha.png": (rgba, [[10, 20, 30]] * 2),
        "grey.png": (Image.new("L", (2, 2), 77), [[77] * 3] * 2),
        "palette.png": (rgba.convert("RGB").quantize(4), [[10, 20, 30]] * 2),
        "bilevel.png": (Image.new("1", (2, 2), 1), [[255] * 3] * 2),
        "g16.png": (Image.fromarray(grey16), [[v] * 3 for v in expected16]),
        "g16.tif": (Image.fromarray(grey16), [[v] * 3 for v in expected16]),
    }
    for name, (image, row) in cases.items():
        image.save(tmp_path / name)
        pixels = read_rgb(tmp_path / name)
        assert pixels.dtype == np.uint8
        assert not pixels.flags.writeable
        assert pixels[0].tolist() == row, name


@pytest.mark.parametrize("byteorder", ["<", ">"])
def test_16_bit_tiff_keeps_its_high_bytes(tmp_path, byteorder):
    colour = np.array([[[0, 256, 65535]]], np.uint16)
    path = tmp_path / "a.tif"
    tifffile.imwrite(path, colour, photometric="rgb", byteorder=byteorder)
    assert read_rgb(path).tolist() == [[[0, 1, 255]]]
    tifffile.imwrite(path, colour[:, :, 0] + 512, photometric="minisblack", byteorder=byteorder)
    assert read_rgb(path).tolist() == [[[2, 2, 2]]]


def test_compressed_tiff(tmp_path):
    path = tmp_path / "a.tif"
    pixels = np.random.default_rng(1).integers(0, 256, (9, 7, 3), np.uint8)
    Image.fromarray(pixels).save(path, compression="tiff_lzw")
    assert np.array_equal(read_rgb(path), pixels)


def test_float_samples_are_refused(tmp_path):
    path = tmp_path / "float.tif"
    tifffile.imwrite(path, np.zeros((4, 4), np.float32))
    with pytest.raises(ImageError, match=r"float.tif has 32-bit samples.*8 or 16"):
        read_rgb(path)


@pytest.mark.parametrize("suffix", ["png", "jpg", "tif", "bmp"])
@pytest.mark.parametrize("share", [0.0, 0.02, 0.5, 0.9])
def test_a_truncated_image_is_named(tmp_path, suffix, share):
    noise = np.random.default_rng(0).integers(0, 256, (64, 64, 3), np.uint8)
    path = tmp_path / f"cut.{suffix}"
    Image.fromarray(noise).save(path)
    path.write_bytes(path.read_bytes()[: int(share * path.stat().st_size)])
    with pytest.raises(ImageError, match=rf"cut\.{suffix}") as caught:
        read_rgb(path)
    assert "\n" not in str(caught.value)


def test_an_image_that_went_away_is_named(tmp_path):
    with pytest.raises(ImageError, match=r"gone\.png does not exist"):
        Slice(0.0, tmp_path / "gone.png").pixels()


def test_frames_are_read_once_while_they_are_in_use(tmp_path):
    path = write(tmp_path / "a_0.png")
    one = Slice(0.0, path)
    assert one.pixels() is one.pixels()


# Mistakes


def test_missing_empty_and_foreign_paths(tmp_path):
    refused(tmp_path / "nowhere", "nowhere", "does not exist")
    refused(tmp_path, "no images")
    text = tmp_path / "notes.txt"
    text.write_text("z")
    refused(text, "notes.txt", "OME-TIFF")


def test_frames_of_different_sizes_are_named(tmp_path):
    write(tmp_path / "a_0.png", size=(12, 8))
    write(tmp_path / "a_1.png", size=(12, 9))
    refused(tmp_path, "a_0.png has 12 x 8 px", "a_1.png has 12 x 9 px")


def test_a_file_that_is_no_image(tmp_path):
    write(tmp_path / "a_0.png")
    (tmp_path / "a_1.png").write_text("not a picture")
    refused(tmp_path, "a_1.png", "cannot be read")


def test_one_slice_is_no_stack(tmp_path):
    write(tmp_path / "a_0.png")
    refused(tmp_path, "'a' has 1 slice(s)", "a_0.png")


def test_same_z_under_two_names(tmp_path):
    write(tmp_path / "a_1.png")
    write(tmp_path / "a_1.0.png")
    refused(tmp_path, "two slices at z 1.0 um", "a_1.png", "a_1.0.png")


@given(
    st.lists(st.integers(-500, 500), min_size=2, max_size=12, unique=True),
    st.floats(-600, 600),
)
def test_nearest_is_nearest(z_um, wanted_um):
    slices = tuple(Slice(float(z), Path("x")) for z in sorted(z_um))
    found = slices[Stack("f", slices).nearest(wanted_um)].z_um
    assert abs(found - wanted_um) == min(abs(z - wanted_um) for z in z_um)


def test_the_real_stack():
    if not PADS.is_dir():
        pytest.skip("the recorded pads stack (../shared/data/stacks/pads) is not here")
    stacks = read_stacks(PADS)
    assert [stack.field[-5:] for stack in stacks] == ["iy000", "iy001"]
    assert [len(stack.slices) for stack in stacks] == [11, 11]
    first, second = stacks
    assert first.slices[0].z_um == -37.812299231626135
    assert second.slices[-1].z_um == 39.572342427560145
    assert first.um_per_px is None
    in_focus = first.slices[first.nearest(0.3)]
    assert in_focus.z_um == 0.0
    assert in_focus.pixels().shape == (1200, 1920, 3)
