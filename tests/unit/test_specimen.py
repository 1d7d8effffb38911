from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hw.virtual.imaging import transmission
from hw.virtual.optics import Aberrations, Optics, OtfBank
from hw.virtual.procedural import KINDS, draw_specimen
from hw.virtual.specimen import CONTENT_FLOOR, Layer, Specimen, from_layers
from hw.virtual.texture import smooth_noise

SIDE = (128, 128)
SYMMETRIC = replace(
    Optics(),
    focus_offsets_um=(0, 0, 0),
    aberrations=Aberrations(spherical_waves=0, coma_waves=0),
)
GREEN = (0.0, 1.0, 0.0)
STAINED = [kind for kind in KINDS if kind != "empty"]


def in_focus(specimen: Specimen):
    """Transmission of the specimen with every plane in focus, 3 x H x W."""
    return 1 - np.fft.irfft2(specimen.spectra.sum(axis=0), s=specimen.shape_px)


def grain(seed, shape_px=SIDE, scale_px=1.5):
    noise = smooth_noise(np.random.default_rng(seed), shape_px, scale_px)
    return np.maximum(0, noise).astype(np.float32)


# Seeds


@pytest.mark.parametrize("kind", KINDS)
def test_the_same_seed_gives_the_same_specimen(kind):
    one, again = (draw_specimen(5, kind, SIDE) for _ in range(2))
    assert np.array_equal(one.spectra, again.spectra)
    assert np.array_equal(one.planes_um, again.planes_um)


@pytest.mark.parametrize("kind", STAINED)
def test_another_seed_gives_another(kind):
    one, other = (in_focus(draw_specimen(seed, kind, SIDE)) for seed in (5, 6))
    assert np.abs(one - other).mean() > 1e-3


# Absorption


@settings(max_examples=25, deadline=None)
@given(
    seed=st.integers(0, 2**32),
    depths_um=st.lists(st.floats(-5, 5), min_size=1, max_size=4),
    tilt_um=st.floats(0, 2),
)
def test_in_focus_it_is_beer_and_lambert(seed, depths_um, tilt_um):
    rng = np.random.default_rng(seed)
    shape = (16, 20)
    layers = [
        Layer(
            rng.exponential(0.5, shape).astype(np.float32) * (rng.random(shape) < 0.7),
            tuple(rng.uniform(0, 1, 3).tolist()),
            depth_um,
        )
        for depth_um in depths_um
    ]
    tilt = np.broadcast_to(np.linspace(0, tilt_um, shape[1], dtype=np.float32), shape)
    optical_density = sum(
        np.multiply.outer(layer.stain, layer.density.astype(float)) for layer in layers
    )
    seen = in_focus(from_layers(layers, tilt, "test"))
    assert np.abs(seen - 10.0**-optical_density).max() < 1e-5


@pytest.mark.parametrize("kind", STAINED)
@pytest.mark.parametrize("seed", range(3))
def test_light_neither_comes_from_nowhere_nor_turns_negative(kind, seed):
    seen = in_focus(draw_specimen(seed, kind, SIDE))
    assert seen.min() > -1e-5
    assert seen.max() < 1 + 1e-5


# Depth


@pytest.mark.parametrize("kind", STAINED)
@pytest.mark.parametrize("seed", range(3))
def test_zero_is_the_middle_of_what_there_is_to_focus_on(kind, seed):
    specimen = draw_specimen(seed, kind, SIDE)
    assert specimen.area(0, 0, *SIDE).depth_um == pytest.approx(0, abs=1e-6)
    assert np.diff(specimen.planes_um) == pytest.approx(1.0)


def two_halves(apart_um):
    """Equal grain in the left and the right half, `apart_um` higher in the right."""
    part = grain(1, (128, 128))
    blank = np.zeros_like(part)
    left, right = np.hstack((part, blank)), np.hstack((blank, part))
    return from_layers([Layer(left, GREEN, 0.0), Layer(right, GREEN, apart_um)], 0.0, "halves")


def test_an_areas_depth_is_that_of_its_own_detail():
    specimen = two_halves(4.0)
    assert specimen.area(0, 2, 128, 120).depth_um == pytest.approx(-2, abs=0.02)
    assert specimen.area(0, 130, 128, 120).depth_um == pytest.approx(2, abs=0.02)


@pytest.mark.parametrize("apart_um", [0.8, 2.5, 3.3])
def test_between_planes_depth_is_told_to_a_fraction_of_their_spacing(apart_um):
    specimen = two_halves(apart_um)
    left, right = (specimen.area(0, left_px, 128, 120) for left_px in (2, 130))
    assert right.depth_um - left.depth_um == pytest.approx(apart_um, abs=0.05)


def test_an_area_is_sharpest_where_defocus_equals_its_depth():
    specimen = two_halves(4.0)
    bank = OtfBank(SYMMETRIC, specimen.shape_px)
    z_um = np.arange(-4, 4.1, 0.5)
    pictures = [transmission(specimen, bank, np.array([z]))[1] for z in z_um]
    left = [picture[:, 10:118].std() for picture in pictures]
    right = [picture[:, 138:246].std() for picture in pictures]
    assert z_um[np.argmax(left)] == -2
    assert z_um[np.argmax(right)] == 2


@pytest.mark.parametrize("kind", STAINED)
def test_flattened_it_absorbs_the_same_at_one_depth(kind):
    thick = draw_specimen(5, kind, SIDE)
    flat = thick.flattened()
    assert flat.planes_um.tolist() == [0.0]
    assert np.allclose(in_focus(flat), in_focus(thick), atol=1e-5)
    assert flat.area(20, 30, 50, 40).depth_um == 0.0
    assert flat.area(20, 30, 50, 40).content == pytest.approx(
        thick.area(20, 30, 50, 40).content, rel=1e-4
    )


def test_tilt_raises_one_side():
    tilt = np.broadcast_to(np.linspace(-1, 1, 128, dtype=np.float32), SIDE)
    specimen = from_layers([Layer(grain(2), GREEN, 0.0)], tilt, "tilted")
    assert specimen.area(0, 0, 128, 64).depth_um == pytest.approx(-0.5, abs=0.05)
    assert specimen.area(0, 64, 128, 64).depth_um == pytest.approx(0.5, abs=0.05)


@given(top=st.integers(-300, 300), left=st.integers(-300, 300))
@settings(max_examples=20, deadline=None)
def test_a_specimen_repeats_beyond_its_edges(top, left):
    specimen = two_halves(2.0)
    assert specimen.area(top, left, 50, 60) == specimen.area(top % 128, left % 256, 50, 60)


# What there is


def test_clear_glass_is_empty():
    specimen = draw_specimen(1, "empty", SIDE)
    assert specimen.empty
    assert not specimen.spectra.any()
    assert specimen.area(0, 0, *SIDE) == (0.0, 0.0)


@pytest.mark.parametrize("seed", range(12))
def test_one_cell_in_a_wide_field_is_not_empty(seed):
    assert not draw_specimen(seed, "sparse", (256, 256)).empty


def test_an_even_stain_is_empty():
    even = Layer(np.full(SIDE, 0.5, np.float32), (1.0, 1.0, 1.0), 0.0)
    assert from_layers([even], 0.0, "even").empty


def test_content_is_the_contrast_of_the_green_transmission():
    specimen = draw_specimen(4, "tissue", SIDE)
    area = specimen.area(10, 20, 40, 50)
    assert area.content == pytest.approx(in_focus(specimen)[1, 10:50, 20:70].std(), rel=1e-3)
    assert area.content > CONTENT_FLOOR


# Size


@pytest.mark.parametrize("seed", range(4))
def test_cells_keep_their_size_in_um_at_any_pitch(seed):
    areas_um2 = []
    for um_per_px in (0.25, 0.35, 0.5):
        specimen = draw_specimen(seed, "sparse", (256, 256), um_per_px)
        absorbed = 1 - in_focus(specimen)[1]
        areas_um2.append((absorbed > 0.3 * absorbed.max()).sum() * um_per_px**2)
    assert areas_um2[0] == pytest.approx(areas_um2[1], rel=0.1)
    assert areas_um2[2] == pytest.approx(areas_um2[1], rel=0.1)
    # One or two cells of 2 to 4.5 um radius.
    assert 5 < areas_um2[1] < 2 * np.pi * 4.5**2 * 1.3


@pytest.mark.parametrize("scale_px", [1.5, 4.0])
def test_smooth_noise_has_the_correlation_that_it_states(scale_px):
    noise = smooth_noise(np.random.default_rng(0), (512, 512), scale_px)
    assert noise.std() == pytest.approx(1, abs=1e-3)
    lag_px = round(2 * scale_px)
    # White noise blurred by exp(-x^2 / 2 s^2) correlates as exp(-x^2 / 4 s^2).
    expected = np.exp(-(lag_px**2) / (4 * scale_px**2))
    assert (noise * np.roll(noise, lag_px, axis=1)).mean() == pytest.approx(expected, abs=0.05)
