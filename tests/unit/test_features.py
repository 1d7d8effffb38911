import math

import numpy as np
import pytest

from edge_af.spectrum import CHANNELS, IMAGINARY, MIDDLE, PolarSpectrum
from train import standard
from train.architectures import spectral_mobilenet
from train.augment import distorted, flipped, mirrored, turned, turned_at_random
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


LOOK = spectral_mobilenet.SMALL.input


class TestTurned:
    """Turning a picture turns its spectrum: the rule of augmentation against real pixels."""

    TILE = np.random.default_rng(3).integers(0, 256, (128, 128, 3), dtype=np.uint8)
    RINGS = slice(12, None)  # nearer the centre a cell holds one bin, at its edge

    def spectrum(self, tile):
        count = (len(LOOK.ring_edges) - 1) * CHANNELS
        transform = PolarSpectrum(128, LOOK.ring_edges, LOOK.sectors, [0.0] * count, [1.0] * count)
        return transform.raw(np.ascontiguousarray(tile)) + np.float32(MIDDLE)

    def apart(self, one, other):
        return np.abs(one - other)[self.RINGS].mean()

    def test_a_quarter_turn_of_the_picture_is_four_sectors(self):
        before = self.spectrum(self.TILE)
        predicted = turned(before[None], 4)[0]
        # One of them turns the spectrum the way that `turned` does.
        after = [self.spectrum(np.rot90(self.TILE, turn)) for turn in (1, 3)]
        errors = [self.apart(predicted, one) for one in after]
        assert min(errors) < 0.1 * self.apart(before, after[1])
        assert min(errors) < 0.3 * max(errors)

    def test_a_picture_upside_down_has_the_mirrored_spectrum(self):
        before, after = self.spectrum(self.TILE), self.spectrum(self.TILE[::-1])
        # Not less: what lies on the line between two sectors counts to the same one both times.
        assert self.apart(mirrored(before[None])[0], after) < 0.2 * self.apart(before, after)

    def test_at_random_half_are_turned_and_half_mirrored(self):
        x = np.random.default_rng(0).integers(0, 256, (4000, 2, 8, CHANNELS), dtype=np.uint8)
        result = turned_at_random(x, np.random.default_rng(1))
        same = (result == x).all(axis=(1, 2, 3)).mean()
        only_mirrored = (result == x[:, :, ::-1]).all(axis=(1, 2, 3)).mean()
        # Of those that are turned, one in eight goes by no sector.
        assert same == pytest.approx((1 / 2 + 1 / 16) / 2, abs=0.03)
        assert only_mirrored == pytest.approx((1 / 2 + 1 / 16) / 2, abs=0.03)

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
