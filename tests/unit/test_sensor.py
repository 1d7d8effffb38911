from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hw.virtual.sensor import Sensor, SensorSettings

SIDE = (128, 160)
FLAT = SensorSettings(white_level=0.8, vignetting=0.0, gamma=1.0)
QUIET = replace(FLAT, full_well_e=1e15, read_noise_e=0.0)


def clear(shape_px=SIDE, level=1.0):
    return np.full((3, *shape_px), level, np.float32)


def linear(pixels, gamma):
    """Undo the gamma: fractions of full scale."""
    return (pixels / 255.0) ** gamma


# Seeds


def test_the_same_seed_gives_the_same_pixels():
    one, again = (Sensor(FLAT, SIDE, 3) for _ in range(2))
    for _ in range(3):
        assert np.array_equal(one.expose(clear()), again.expose(clear()))


def test_each_exposure_and_each_seed_has_noise_of_its_own():
    sensor = Sensor(FLAT, SIDE, 3)
    one, next_one, other = (
        sensor.expose(clear()),
        sensor.expose(clear()),
        Sensor(FLAT, SIDE, 4).expose(clear()),
    )
    for two in (next_one, other):
        noise = np.stack((one, two)).reshape(2, -1).astype(float)
        assert abs(np.corrcoef(noise)[0, 1]) < 0.02


def test_pixels_are_rgb_and_read_only():
    pixels = Sensor(FLAT, SIDE, 3).expose(clear())
    assert pixels.shape == (*SIDE, 3)
    assert pixels.dtype == np.uint8
    with pytest.raises(ValueError, match="read-only"):
        pixels[0, 0, 0] = 1


# Light


@pytest.mark.parametrize("gamma", [1.0, 1.8, 2.2])
@pytest.mark.parametrize("level", [0.05, 0.3, 0.9])
def test_level_white_balance_and_gamma(gamma, level):
    balance = (1.1, 1.0, 0.8)
    settings_ = replace(QUIET, gamma=gamma, white_balance=balance)
    pixels = Sensor(settings_, SIDE, 1).expose(clear(level=level))
    for colour, share in enumerate(balance):
        expected = 255 * (0.8 * share * level) ** (1 / gamma)
        assert np.unique(pixels[:, :, colour]).tolist() == pytest.approx([expected], abs=0.6)


def test_colours_stay_apart():
    light = clear()
    light[1] = 0.5
    light[2] = 0.25
    pixels = Sensor(QUIET, SIDE, 1).expose(light)
    assert pixels[5, 7].tolist() == pytest.approx([204, 102, 51], abs=1)


def test_vignetting_darkens_the_corners_by_its_share():
    pixels = Sensor(replace(QUIET, vignetting=0.4), SIDE, 1).expose(clear())
    middle, corner, side = pixels[64, 80, 1], pixels[0, 0, 1], pixels[64, 0, 1]
    assert middle == pytest.approx(204, abs=1)
    assert corner == pytest.approx(204 * 0.6, abs=1)
    assert side == pytest.approx(204 * 0.8, abs=1)


@given(level=st.floats(-100, 100))
@settings(max_examples=30, deadline=None)
def test_light_beyond_the_range_is_clipped_and_never_wraps(level):
    (value,) = np.unique(Sensor(QUIET, (8, 8), 1).expose(clear((8, 8), level)))
    assert value == pytest.approx(255 * min(max(0.8 * level, 0), 1), abs=0.6)


def test_too_much_light_is_white_in_spite_of_noise():
    assert (Sensor(FLAT, SIDE, 1).expose(clear(level=2.0)) == 255).all()


# Noise


@pytest.mark.parametrize("gamma", [1.0, 2.2])
@pytest.mark.parametrize("read_noise_e", [0.0, 25.0])
@pytest.mark.parametrize("level", [0.2, 0.4, 0.7])
def test_variance_is_shot_noise_and_read_noise(gamma, read_noise_e, level):
    full_well_e = 2000.0
    noisy = replace(FLAT, gamma=gamma, full_well_e=full_well_e, read_noise_e=read_noise_e)
    pixels = Sensor(noisy, (256, 256), 1).expose(clear((256, 256), level / 0.8))
    light = linear(pixels.astype(float), gamma)
    assert light.mean() == pytest.approx(level, rel=0.005)
    electrons = full_well_e * level + read_noise_e**2
    one_level = gamma * level ** (1 - 1 / gamma) / 255  # 8-bit rounding adds its square / 12
    expected = electrons / full_well_e**2 + one_level**2 / 12
    assert light.var() == pytest.approx(expected, rel=0.03)


def test_noise_is_white():
    pixels = Sensor(FLAT, (256, 256), 1).expose(clear((256, 256))).astype(float)
    for colour in range(3):
        noise = pixels[:, :, colour] - pixels[:, :, colour].mean()
        for shift in ((0, 1), (1, 0), (3, 5)):
            assert abs((noise * np.roll(noise, shift, (0, 1))).mean()) < 0.03 * noise.var()
    assert np.abs(np.corrcoef(pixels.reshape(-1, 3).T) - np.eye(3)).max() < 0.03


def test_a_frame_of_any_size_has_noise():
    shape_px = (1200, 1200)
    pixels = Sensor(FLAT, shape_px, 1).expose(clear(shape_px))
    expected = 255 * np.sqrt(0.8 / 10_000 + (6 / 10_000) ** 2)
    assert pixels.std() == pytest.approx(expected, rel=0.05)


# Dust, JPEG, other light


def test_dust_darkens_fixed_spots():
    sensor = Sensor(replace(QUIET, dust=4), SIDE, 1)
    one, blurred = sensor.expose(clear()), sensor.expose(clear(level=0.5))
    assert 204 * 0.75 < one.min() < 204 * 0.995
    assert one.max() == pytest.approx(204, abs=1)
    assert np.abs(one / 204 - blurred / 102).max() < 0.02


def test_jpeg_costs_more_at_lower_quality():
    rng = np.random.default_rng(0)
    light = np.kron(rng.uniform(0.1, 1, (3, 16, 20)), np.ones((1, 8, 8))).astype(np.float32)
    raw, fine, coarse = (
        Sensor(replace(FLAT, jpeg_quality=quality), SIDE, 1).expose(light).astype(float)
        for quality in (None, 95, 20)
    )
    assert 0 < np.abs(fine - raw).mean() < np.abs(coarse - raw).mean()
    assert fine.shape == raw.shape


@given(seed=st.integers(0, 2**32))
@settings(max_examples=50, deadline=None)
def test_other_light_stays_within_what_a_camera_would_accept(seed):
    base = SensorSettings()
    drifted = base.drifted(np.random.default_rng(seed))
    assert 0.3 <= drifted.white_level <= 0.95
    assert 0 <= drifted.vignetting <= 2 * base.vignetting
    assert all(0.8 < share < 1.25 for share in drifted.white_balance)
    assert (
        replace(
            drifted,
            white_level=base.white_level,
            white_balance=base.white_balance,
            vignetting=base.vignetting,
        )
        == base
    )
