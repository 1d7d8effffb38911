"""The polar spectrum against a slow one written from its definition, and against known spectra."""

import math

import numpy as np
import pytest

from edge_af.spectrum import CHANNELS, IMAGINARY, MIDDLE, PAIRS, PER_DEVIATION, PolarSpectrum
from hw.virtual.texture import smooth_noise

TILE_PX = 64
EDGES = (1.0, 2.0, 4.0, 8.0, 14.0, 20.0, 26.0, 32.0)
SECTORS = 8
RINGS = len(EDGES) - 1
REAL = slice(3, CHANNELS, 2)
POWER = slice(0, 3)


def spectrum_of(edges=EDGES, mean=0.0, std=1.0):
    count = (len(edges) - 1) * CHANNELS
    return PolarSpectrum(TILE_PX, edges, SECTORS, [mean] * count, [std] * count)


RAW = spectrum_of().raw


def grey(levels):
    """The same picture in all colours."""
    rounded = np.clip(np.rint(levels), 0, 255).astype(np.uint8)
    return np.repeat(rounded[:, :, None], 3, axis=2)


def texture(seed):
    """A tile of three different, partly alike colours; seamless."""
    rng = np.random.default_rng(seed)
    shared = smooth_noise(rng, (TILE_PX, TILE_PX), 1.0)
    own = [smooth_noise(rng, (TILE_PX, TILE_PX), 0.7) for _ in range(3)]
    colours = [120 + 25 * shared + 12 * noise for noise in own]
    return np.clip(np.stack(colours, axis=2), 0, 255).astype(np.uint8)


def slow(tile, edges):
    """Sum over frequencies one at a time, in double precision; None where a cell holds none."""
    size = len(tile)
    hann = [0.5 - 0.5 * math.cos(2 * math.pi * k / size) for k in range(size)]
    window = np.outer(hann, hann)
    log = np.log(tile.astype(float) + 4)
    windowed = (log - log.mean(axis=(0, 1))) * window[:, :, None] / math.sqrt((window**2).sum())
    transform = np.fft.fft2(windowed, axes=(0, 1))
    cells = {}
    for fy in range(-size // 2 + 1, size // 2):
        for fx in range(size // 2):
            radius = math.hypot(fy, fx)
            towards_right = fx > 0 or fy < 0  # at fx = 0 the half that continues fx > 0, fy < 0
            if not towards_right or not edges[0] <= radius < edges[-1]:
                continue
            ring = max(k for k, edge in enumerate(edges) if edge <= radius)
            angle = math.atan2(fy, fx) % math.pi
            sector = min(int(angle / math.pi * SECTORS), SECTORS - 1)
            cells.setdefault((ring, sector), []).append(transform[fy, fx])
    result = {}
    for cell, bins in cells.items():
        a = np.array(bins)
        power = (np.abs(a) ** 2).mean(axis=0)
        values = [math.log(p) for p in power]
        for one, other in PAIRS:
            cross = (a[:, one] * a[:, other].conj()).mean()
            coherence = cross / math.sqrt(power[one] * power[other])
            values += [coherence.real, coherence.imag]
        result[cell] = values
    return result


@pytest.mark.parametrize("seed", [1, 2])
def test_it_is_what_a_slow_sum_says(seed):
    tile = texture(seed)
    fast, expected = RAW(tile), slow(tile, EDGES)
    assert fast.shape == (RINGS, SECTORS, CHANNELS)
    assert len(expected) > (RINGS - 1) * SECTORS
    for (ring, sector), values in expected.items():
        assert fast[ring, sector] == pytest.approx(values, abs=0.01)


def test_a_cell_without_a_frequency_borrows_its_neighbours():
    # The ring from 1 to 2 holds (1, 0), (0, 1) and the diagonals: every other sector.
    raw = RAW(texture(1))
    held = {(0, 0), (0, 2), (0, 4), (0, 6)}
    assert {cell for cell in slow(texture(1), EDGES) if cell[0] == 0} == held
    for sector in (1, 3, 5, 7):
        neighbours = (raw[0, sector - 1], raw[0, (sector + 1) % SECTORS])
        assert any(np.array_equal(raw[0, sector], each) for each in neighbours)


# Known spectra


def test_white_noise_is_flat_at_its_variance_and_incoherent():
    rng = np.random.default_rng(3)
    sigma, mean = 6.0, 120.0
    raws = []
    for _ in range(24):
        noise = rng.normal(mean, sigma, (TILE_PX, TILE_PX, 3))
        raws.append(RAW(np.rint(noise).astype(np.uint8)))
    raw = np.mean(raws, axis=0)
    # d ln(v + 4) = dv / (v + 4), and rounding adds 1/12.
    expected = np.log((sigma**2 + 1 / 12) / (mean + 4) ** 2)
    outer = raw[3:]
    assert outer[:, :, POWER].mean(axis=1) == pytest.approx(expected, abs=0.12)
    assert np.ptp(outer[:, :, POWER].mean(axis=(1, 2))) < 0.15
    assert np.abs(outer[:, :, REAL].mean(axis=1)).max() < 0.08
    assert np.abs(outer[:, :, IMAGINARY].mean(axis=1)).max() < 0.08
    assert np.sqrt(np.mean(np.square([one[3:, :, 3:] for one in raws]))) < 0.25


def test_power_is_the_variance_that_a_ring_holds():
    # A grating of contrast c has a log variance of c^2 / 2; here all in a few bins of one cell.
    x = np.arange(TILE_PX)
    contrast, cycles = 0.1, 11
    raw = RAW(
        grey(
            np.tile(
                124 * (1 + contrast * np.cos(2 * np.pi * cycles * x / TILE_PX)) - 4, (TILE_PX, 1)
            )
        )
    )
    power = np.exp(raw[:, :, 0])
    # The Hann window spreads a line over 3 x 3 bins; none leaves the ring, some the sector.
    assert np.unravel_index(power.argmax(), power.shape)[0] == 3
    assert power[3, [0, SECTORS - 1]].min() > 100 * power[3, 2:-2].max()


def test_equal_colours_are_coherent():
    raw = RAW(grey(texture(5)[:, :, 0]))
    assert raw[:, :, REAL] == pytest.approx(1, abs=1e-5)
    assert raw[:, :, IMAGINARY] == pytest.approx(0, abs=1e-5)


def test_a_flat_tile_has_no_power_and_no_coherence():
    raw = RAW(grey(np.full((TILE_PX, TILE_PX), 140)))
    # What rounding leaves of the mean shows in the innermost rings, far below any noise.
    assert raw[:2, :, POWER].max() < -10
    assert raw[2:, :, POWER].max() < -25
    assert np.abs(raw[2:, :, 3:]).max() < 1e-3


def test_brightness_and_colour_balance_leave_it_nearly_alone():
    tile = texture(6).astype(float)
    other = (tile + 4) * (0.8, 1.0, 1.2) - 4
    change = RAW(np.rint(other).astype(np.uint8)) - RAW(texture(6))
    assert np.abs(change[:4]).max() < 0.05


# Shifts, turns and sides


def test_a_shift_leaves_power_and_coherence_nearly_unchanged():
    # Tones of whole periods, far enough apart that the window does not mix them.
    x, y = np.arange(TILE_PX)[None, :], np.arange(TILE_PX)[:, None]
    tones = ((6, 0, 1.0), (0, 11, 0.5), (12, 12, 2.0), (17, -17, 2.5), (-5, 23, 0.2))
    picture = 120 + sum(
        6 * np.cos(2 * np.pi * (fx * x + fy * y) / TILE_PX + phase) for fx, fy, phase in tones
    )
    still, moved = RAW(grey(picture)), RAW(grey(np.roll(picture, (9, 14), (0, 1))))
    strong = still[:, :, 0] > still[:, :, 0].max() - 4
    assert strong.sum() >= len(tones)
    assert np.abs(still - moved)[strong].max() < 0.05


def turned(tile):
    """A quarter turn about the window's centre, which lies on a pixel."""
    return np.roll(np.rot90(tile), 1, axis=0)


@pytest.mark.parametrize("seed", [1, 2])
def test_a_quarter_turn_moves_the_sectors_by_half_their_number(seed):
    raw, after = RAW(texture(seed)), RAW(turned(texture(seed)))
    expected = np.roll(raw, SECTORS // 2, axis=1)
    assert after[1:, :, POWER] == pytest.approx(expected[1:, :, POWER], abs=2e-3)
    assert after[1:, :, REAL] == pytest.approx(expected[1:, :, REAL], abs=2e-3)


def test_a_half_turn_changes_the_sign_of_imaginary_parts_only():
    raw, after = RAW(texture(3)), RAW(turned(turned(texture(3))))
    raw[:, :, IMAGINARY] *= -1
    assert after == pytest.approx(raw, abs=2e-3)


def test_stripes_are_found_across_their_direction():
    x = np.arange(TILE_PX)
    upright = np.tile(120 + 20 * np.cos(2 * np.pi * 10 * x / TILE_PX), (TILE_PX, 1))
    # Frequencies along x lie at angle 0, on the border between the first and the last sector.
    loudest = RAW(grey(upright))[3, :, 0].argmax()
    assert loudest in (0, SECTORS - 1)
    assert RAW(grey(upright.T))[3, :, 0].argmax() in (SECTORS // 2, SECTORS // 2 - 1)


@pytest.mark.parametrize("axis", [0, 1], ids=["down", "right"])
def test_the_imaginary_part_says_which_colour_lies_further(axis):
    """Green, `shift_px` further than red, has the phase 2 pi f shift / size behind it."""
    shift_px = 1
    red = texture(4)[:, :, 0]
    tile = np.stack((red, np.roll(red, shift_px, axis), red), axis=2)
    raw = RAW(tile)
    sectors = (0, SECTORS - 1) if axis == 1 else (SECTORS // 2 - 1,)
    for ring in (2, 3):
        f = (EDGES[ring] + EDGES[ring + 1]) / 2
        phase = 2 * np.pi * f * shift_px / TILE_PX
        for sector in sectors:
            red_green, green_blue, red_blue = raw[ring, sector, IMAGINARY]
            assert red_green == pytest.approx(np.sin(phase), abs=0.15)
            assert green_blue == pytest.approx(-red_green, abs=1e-4)
            assert red_blue == pytest.approx(0, abs=1e-5)
            assert raw[ring, sector, 3] == pytest.approx(np.cos(phase), abs=0.15)


# In 8 bits


def test_the_networks_input_counts_deviations_from_the_mean():
    mean, std = -2.0, 1.5
    raw, codes = RAW(texture(1)), spectrum_of(mean=mean, std=std)(texture(1))
    assert codes.dtype == np.uint8
    expected = np.clip(MIDDLE + PER_DEVIATION * (raw - mean) / std, 0, 255)
    assert np.abs(codes - expected).max() <= 0.5 + 1e-3


def test_mean_and_deviation_are_of_each_ring_and_channel():
    mean = np.arange(RINGS * CHANNELS) * 0.01
    std = 1 + np.arange(RINGS * CHANNELS) * 0.02
    codes = PolarSpectrum(TILE_PX, EDGES, SECTORS, mean.tolist(), std.tolist())(texture(1))
    shape = (RINGS, 1, CHANNELS)
    deviations = (RAW(texture(1)) - mean.reshape(shape)) / std.reshape(shape)
    expected = np.clip(MIDDLE + PER_DEVIATION * deviations, 0, 255)
    assert np.abs(codes - expected).max() <= 0.5 + 1e-3
