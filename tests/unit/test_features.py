import math

import numpy as np
import pytest

from edge_af.spectrum import CHANNELS, IMAGINARY, MIDDLE, PolarSpectrum
from train import standard
from train.architectures.spectral_mobilenet import RING_EDGES, SECTORS
from train.augment import distorted, flipped, turned
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


class TestPixelAugmentation:
    def tiles(self, side=24):
        rng = np.random.default_rng(1)
        return rng.integers(0, 256, (40, side, side, 3), dtype=np.uint8)

    def test_a_flipped_tile_lies_in_one_of_eight_ways(self):
        x = self.tiles()
        ways = set()
        for before, after in zip(x, flipped(x, np.random.default_rng(0)), strict=True):
            lying = [
                np.rot90(before, turns)[:, :: -1 if mirror else 1]
                for turns in range(4)
                for mirror in (False, True)
            ]
            (way,) = [number for number, one in enumerate(lying) if (one == after).all()]
            ways.add(way)
        assert ways == set(range(8))

    def test_a_distorted_tile_keeps_its_middle_and_its_size(self):
        """A disc about the middle looks alike at any turn; its width is within the zoom."""
        side = 96
        y, x = np.mgrid[:side, :side] - (side - 1) / 2
        disc = np.where(np.hypot(y, x) < 30, 200, 40).astype(np.uint8)
        tiles = np.repeat(np.repeat(disc[None, :, :, None], 3, axis=3), 30, axis=0)
        after = distorted(tiles, np.random.default_rng(2))
        assert after.shape == tiles.shape
        inside = after[..., 0] > 120
        radii = np.sqrt(inside.sum(axis=(1, 2)) / np.pi)
        assert (np.abs(radii / 30 - 1) < 0.06).all()
        assert np.ptp(radii) > 1  # it does zoom
        for one in inside:
            rows, columns = np.nonzero(one)
            assert abs(rows.mean() - (side - 1) / 2) < 0.75
            assert abs(columns.mean() - (side - 1) / 2) < 0.75

    def test_a_turn_carries_the_edges_on(self):
        tiles = np.full((20, 32, 32, 3), 137, np.uint8)
        np.testing.assert_array_equal(distorted(tiles, np.random.default_rng(3)), 137)
