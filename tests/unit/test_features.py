import math

import numpy as np
import pytest

from edge_af.spectrum import CHANNELS, IMAGINARY, MIDDLE, PolarSpectrum
from train import standard
from train.architectures.spectral_mobilenet import RING_EDGES, SECTORS
from train.augment import turned
from train.manifest import Row
from train.targets import TARGET_SPREAD_UM, soft_targets


def row(z_um, content=0.2):
    return Row("a.tif", 0, z_um, "f", "train", 0.35, "test", content)


def test_a_soft_target_is_the_gaussian_over_each_bin():
    (target,) = soft_targets(standard.SCALE, [row(1.1)])
    low_um, high_um = standard.SCALE.bins_um[21]

    def below(z_um):
        return 0.5 * (1 + math.erf((z_um - 1.1) / (TARGET_SPREAD_UM * math.sqrt(2))))

    assert target[21] == pytest.approx(below(high_um) - below(low_um), abs=1e-6)
    assert target.sum() == pytest.approx(1, abs=1e-6)


def test_the_outer_classes_take_what_lies_beyond():
    targets = soft_targets(standard.SCALE, [row(-14.0), row(14.0)])
    assert targets[0, 0] == pytest.approx(1, abs=1e-6)
    assert targets[1, 40] == pytest.approx(1, abs=1e-6)


def test_a_tile_that_holds_nothing_has_an_even_target():
    (target,) = soft_targets(standard.SCALE, [row(3.0, content=0.0)])
    per_um = target / [high - low for low, high in standard.SCALE.bins_um]
    np.testing.assert_allclose(per_um, per_um[0], rtol=1e-5)


def test_unknown_content_counts_as_content():
    (target,) = soft_targets(standard.SCALE, [row(0.0, content=math.nan)])
    assert target.argmax() == 20


class TestTurned:
    """Turning a picture turns its spectrum: the rule of augmentation against real pixels."""

    def test_a_quarter_turn_of_the_picture_is_four_sectors(self):
        count = (len(RING_EDGES) - 1) * CHANNELS
        transform = PolarSpectrum(
            standard.TILE_PX, RING_EDGES, SECTORS, [0.0] * count, [1.0] * count
        )
        tile = np.random.default_rng(3).integers(0, 256, (128, 128, 3), dtype=np.uint8)
        before = transform.raw(tile)[None] + np.float32(MIDDLE)
        predicted = turned(before, 4)[0]
        rings = slice(12, None)  # nearer the centre a cell holds one bin, at its edge
        errors = []
        for turn in (1, 3):  # one of them turns the spectrum the way that `turned` does
            picture = np.ascontiguousarray(np.rot90(tile, turn))
            after = transform.raw(picture) + np.float32(MIDDLE)
            errors.append(np.abs(predicted - after)[rings].mean())
        unturned = np.abs(before[0] - after)[rings].mean()
        assert min(errors) < 0.1 * unturned
        assert min(errors) < 0.3 * max(errors)

    def test_half_a_turn_conjugates(self):
        x = np.random.default_rng(0).uniform(0, 255, (5, 4, 8, CHANNELS)).astype(np.float32)
        half = turned(x, 8)
        np.testing.assert_allclose(half[..., :3], x[..., :3])
        np.testing.assert_allclose(half[..., IMAGINARY], 2 * MIDDLE - x[..., IMAGINARY], rtol=1e-5)
