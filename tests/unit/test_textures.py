"""Specimens from a user's own pictures."""

import numpy as np
import pytest
import tifffile
from PIL import Image

from edge_af.errors import UserError
from hw.images import ImageError
from train.manifest import read_rows
from train.render import RenderPlan, render, render_field
from train.textures import digest_of, read_texture


@pytest.fixture(scope="module")
def picture(tmp_path_factory):
    """Half blank, half blocks of stain."""
    path = tmp_path_factory.mktemp("slides") / "slide.png"
    rng = np.random.default_rng(0)
    blocks = np.kron(rng.uniform(90, 255, (50, 50, 3)), np.ones((12, 12, 1)))
    blocks[:, :300] = 250
    Image.fromarray(blocks.astype(np.uint8)).save(path)
    return path


def test_the_pixel_size_is_read_wherever_it_stands(tmp_path):
    pixels = np.zeros((64, 64, 3), np.uint8)
    svs = tmp_path / "a.svs"
    said = "Aperio Image Library v11.2.1\n64x64 JPEG Q=30|AppMag = 20|MPP = 0.4990|Left = 25.7"
    tifffile.imwrite(svs, pixels, photometric="rgb", description=said, metadata=None)
    ome = tmp_path / "a.ome.tif"
    sizes = {"PhysicalSizeX": 250, "PhysicalSizeXUnit": "nm", "axes": "YXS"}
    tifffile.imwrite(ome, pixels, photometric="rgb", metadata=sizes, ome=True)
    plain = tmp_path / "a.tif"
    tifffile.imwrite(
        plain, pixels, photometric="rgb", resolution=(2e4, 2e4), resolutionunit="CENTIMETER"
    )
    assert read_texture(svs).um_per_px == pytest.approx(0.499)
    assert read_texture(ome).um_per_px == pytest.approx(0.25)
    assert read_texture(plain).um_per_px == pytest.approx(0.5)
    assert read_texture(svs, 0.6).um_per_px == 0.6
    png = tmp_path / "a.png"
    Image.fromarray(pixels).save(png)
    with pytest.raises(UserError, match="--texture-um-per-px"):
        read_texture(png)
    png.write_bytes(b"none")
    with pytest.raises(ImageError, match=r"a\.png"):
        read_texture(png, 0.5)


def test_a_slide_is_known_by_its_bytes(picture, tmp_path):
    one = read_texture(picture, 0.5)
    copy = tmp_path / picture.name
    copy.write_bytes(picture.read_bytes())
    assert read_texture(copy, 0.5).name == one.name
    Image.new("RGB", (64, 64)).save(copy)
    assert read_texture(copy, 0.5).name != one.name
    assert digest_of([one]) != digest_of([one, one])


@pytest.mark.parametrize("tile_px", [64, 224])
def test_tiles_of_any_size_come_from_the_picture(picture, tile_px):
    plan = RenderPlan(
        "test", "reference", 1, tile_px, (read_texture(picture, 0.5),), planes=1, range_um=0.1
    )
    tiles = list(render_field(plan, 0))
    assert {tile.pixels.shape for tile in tiles} == {(tile_px, tile_px, 3)}
    assert len(tiles) == round(512 / tile_px) ** 2
    # Of a slide that is half blank, the part with something on it was taken.
    assert np.median([tile.content for tile in tiles]) > 0.05


def test_all_fields_of_a_slide_count_as_one_so_that_it_is_on_one_side(picture, tmp_path):
    slide = read_texture(picture, 0.5)
    manifests = [
        render(RenderPlan(split, "reference", 1, 128, (slide,)), 40, tmp_path, 1, lambda _: None)
        for split in ("train", "validation")
    ]
    fields = [{row.field for row in read_rows(manifest)} for manifest in manifests]
    assert fields[0] == fields[1] == {slide.name}
    sources = {row.source for manifest in manifests for row in read_rows(manifest)}
    assert sources == {"virtual:reference"}
