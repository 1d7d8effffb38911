import numpy as np
import pytest

from hw.virtual.specimen import CONTENT_FLOOR
from hw.virtual.texture import smooth_noise, softened
from train.assorted import draw_assorted
from train.render import KIND_SHARE, LEARNED_SHARE

SIDE = (128, 128)
SEEDS = range(12)


def in_focus(specimen):
    return 1 - np.fft.irfft2(specimen.spectra.sum(axis=0), s=specimen.shape_px)


def test_the_same_seed_gives_the_same_specimen():
    one, again, other = (draw_assorted(seed, SIDE, 0.35) for seed in (5, 5, 6))
    assert np.array_equal(one.spectra, again.spectra)
    assert np.abs(in_focus(one) - in_focus(other)).mean() > 1e-3


@pytest.mark.parametrize("seed", SEEDS)
def test_light_neither_comes_from_nowhere_nor_turns_negative(seed):
    seen = in_focus(draw_assorted(seed, SIDE, 0.35))
    assert seen.min() > -1e-5
    assert seen.max() < 1 + 1e-5


@pytest.mark.parametrize("seed", SEEDS)
def test_zero_is_the_middle_of_what_there_is_to_focus_on(seed):
    assert draw_assorted(seed, SIDE, 0.35).area(0, 0, *SIDE).depth_um == pytest.approx(0, abs=1e-6)


def test_nearly_all_hold_something_and_no_two_look_alike():
    specimens = [draw_assorted(seed, SIDE, 0.35) for seed in range(30)]
    contents = [specimen.area(0, 0, *SIDE).content for specimen in specimens]
    assert np.mean([content > CONTENT_FLOOR for content in contents]) > 0.8
    # How steeply power falls with frequency: tissue that is drawn keeps to a narrow range.
    slopes = []
    for specimen in specimens:
        power = np.abs(specimen.spectra.sum(axis=0)[1]) ** 2
        slopes.append(np.log(power[2:8, 2:8].mean() / power[20:40, 20:40].mean()))
    assert np.ptp(slopes) > 4


def test_only_what_learns_sees_them():
    assert "assorted" in LEARNED_SHARE
    assert "assorted" not in KIND_SHARE


@pytest.mark.parametrize("sigma_px", [0.5, 2.0])
def test_softened_widens_by_what_it_states(sigma_px):
    noise = np.abs(smooth_noise(np.random.default_rng(1), (256, 256), 2.0))
    once = softened(softened(noise, sigma_px), sigma_px)
    assert once == pytest.approx(softened(noise, sigma_px * np.sqrt(2)), abs=1e-4)
    assert once.mean() == pytest.approx(noise.mean(), rel=1e-4)
