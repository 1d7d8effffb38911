from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from hw.images import ImageError
from hw.virtual.picture import draw_picture

DATA = Path(__file__).resolve().parents[3] / "shared" / "data" / "textures"
SHAPE = (160, 192)


def in_focus(specimen):
    return 1 - np.fft.irfft2(specimen.spectra.sum(axis=0), s=specimen.shape_px)


def saved(path, linear):
    """Save H x W x 3 linear light, 0 to 1, as an 8-bit sRGB PNG."""
    code = np.where(linear <= 0.0031308, 12.92 * linear, 1.055 * linear ** (1 / 2.4) - 0.055)
    Image.fromarray(np.round(255 * code).astype(np.uint8)).save(path)
    return path


def stripes(width_px, period_px, size_px=400):
    """Vertical stripes, 0.3 to 1 in red, 0.6 to 1 in green and blue."""
    x = np.arange(width_px)
    wave = (0.5 + 0.5 * np.cos(2 * np.pi * x / period_px))[None, :, None]
    depth = np.array([0.7, 0.4, 0.4])
    return 1 - depth * wave * np.ones((size_px, 1, 1))


def test_in_focus_it_shows_the_pictures_own_light(tmp_path):
    # Wide flat bars: away from their borders, resampling and blending change nothing.
    linear = np.ones((400, 400, 3))
    linear[:, np.arange(400) % 100 < 50] = (0.8, 0.5, 0.25)
    specimen = draw_picture(saved(tmp_path / "a.png", linear), 0.35, 1, SHAPE)
    colours = in_focus(specimen).reshape(3, -1).T
    for wanted in ((1, 1, 1), (0.8, 0.5, 0.25)):
        assert (np.abs(colours - wanted).max(axis=1) < 0.01).mean() > 0.05


@pytest.mark.parametrize("um_per_px", [0.25, 0.35])
def test_lengths_in_um_are_kept(tmp_path, um_per_px):
    period_um = 8.0
    path = saved(tmp_path / "a.png", stripes(400, period_um / 0.5))
    row = in_focus(draw_picture(path, 0.5, 1, (160, 320), um_per_px))[0, 80, 70:]
    spectrum = np.abs(np.fft.rfft((row - row.mean()) * np.hanning(len(row)), 8192))
    period_px = 8192 / spectrum.argmax()
    assert period_px * um_per_px == pytest.approx(period_um, rel=0.03)


def test_it_repeats_without_a_seam(tmp_path):
    path = saved(tmp_path / "a.png", stripes(400, 23.0))
    seen = in_focus(draw_picture(path, 0.35, 1, SHAPE))
    for axis in (1, 2):
        steps = np.abs(np.diff(seen, axis=axis))
        seam = np.abs(np.take(seen, 0, axis=axis) - np.take(seen, -1, axis=axis))
        assert seam.max() <= 1.1 * steps.max()


def test_a_picture_smaller_than_the_field_is_mirrored_on(tmp_path):
    rng = np.random.default_rng(0)
    path = saved(tmp_path / "a.png", np.kron(rng.uniform(0.2, 1, (10, 10, 3)), np.ones((6, 6, 1))))
    specimen = draw_picture(path, 0.35, 1, (300, 400))
    assert specimen.shape_px == (300, 400)
    seen = in_focus(specimen)
    # Past what blending touches, the picture's 60 rows come mirrored, and mirrored again.
    assert np.abs(seen[:, 120:180, 64:] - seen[:, 239:179:-1, 64:]).max() < 1e-3
    assert seen[:, 120:180, 64:].std() > 0.1


def test_depth_stays_within_the_thickness(tmp_path):
    path = saved(tmp_path / "a.png", stripes(400, 20.0))
    flat = draw_picture(path, 0.35, 1, SHAPE, thickness_um=0.0)
    assert flat.planes_um == pytest.approx([0.0])
    thick = draw_picture(path, 0.35, 1, SHAPE, thickness_um=4.0)
    assert 2 <= np.ptp(thick.planes_um) <= 5


def test_a_seed_fixes_the_part_and_the_relief(tmp_path):
    path = saved(tmp_path / "a.png", np.random.default_rng(0).uniform(0.1, 1, (400, 400, 3)))
    one, again, other = (draw_picture(path, 0.35, seed, SHAPE).spectra for seed in (1, 1, 2))
    assert np.array_equal(one, again)
    assert one.shape != other.shape or not np.allclose(one, other)


def test_what_is_no_picture_is_refused(tmp_path):
    path = tmp_path / "a.png"
    path.write_text("no picture")
    with pytest.raises(ImageError, match=r"a\.png"):
        draw_picture(path, 0.35, 1)
    with pytest.raises(ImageError, match="does not exist"):
        draw_picture(tmp_path / "b.png", 0.35, 1)


@pytest.mark.parametrize("bad", [0.0, -0.35, float("nan"), float("inf")])
def test_what_is_no_pitch_is_refused(bad):
    with pytest.raises(ValueError, match="picture_um_per_px"):
        draw_picture(Path("a.png"), bad, 1)
    with pytest.raises(ValueError, match="um_per_px"):
        draw_picture(Path("a.png"), 0.35, 1, um_per_px=bad)


@pytest.mark.parametrize("bad", [-1.0, float("nan"), float("inf")])
def test_what_is_no_thickness_is_refused(bad):
    with pytest.raises(ValueError, match="thickness_um"):
        draw_picture(Path("a.png"), 0.35, 1, thickness_um=bad)


def test_a_real_section_makes_a_specimen():
    path = DATA / "skimage_ihc.png"
    if not path.exists():
        pytest.skip(f"needs the shared data: {path} is absent")
    specimen = draw_picture(path, 0.5, 1)
    assert specimen.shape_px == (480, 640)
    assert not specimen.empty
    assert specimen.area(0, 0, 480, 640).content > 0.1
