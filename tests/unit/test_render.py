import hashlib
from itertools import count
from statistics import mean

import numpy as np
import pytest

from edge_af.sharpness import tenengrad
from train.instruments import randomised
from train.manifest import read_rows
from train.render import RenderPlan, render, render_field
from train.standard import TILE_PX


def ignore(done):
    """Take the progress, and do nothing with it."""
    del done


def digest(tiles):
    return hashlib.sha256(b"".join(tile.pixels.tobytes() for tile in tiles)).hexdigest()


def test_the_same_plan_and_field_give_the_same_tiles():
    plan = RenderPlan("test", "reference", seed=4, planes=1)
    assert digest(render_field(plan, 0)) == digest(render_field(plan, 0))


def test_splits_seeds_and_fields_give_other_specimens():
    def of(split, seed, field):
        return digest(render_field(RenderPlan(split, "reference", seed, planes=1), field))

    seen = {of("train", 1, 0), of("validation", 1, 0), of("test", 1, 0), of("test", 2, 0)}
    assert len(seen | {of("test", 1, 1)}) == 5


def test_the_sharpest_plane_is_labelled_in_focus():
    """Labels against pixels."""
    plan = RenderPlan("test", "reference", seed=11, planes=24)
    fields = (list(render_field(plan, field)) for field in count())
    tiles = next(tiles for tiles in fields if min(tile.content for tile in tiles) > 0.1)
    size = len(tiles) // plan.planes
    planes = [tiles[first : first + size] for first in range(0, len(tiles), size)]
    sharpest = max(planes, key=lambda plane: sum(tenengrad(tile.pixels) for tile in plane))
    assert abs(mean(tile.defocus_um for tile in sharpest)) < 0.6


def test_only_what_is_learned_sees_a_sparse_field_more_often(monkeypatch):
    monkeypatch.setattr("train.render.LEARNED_SHARE", {"sparse": 1.0})
    monkeypatch.setattr("train.render.KIND_SHARE", {"sparse": 1.0})
    tiles = {
        split: len(list(render_field(RenderPlan(split, "reference", seed=5, planes=2), 0)))
        for split in ("train", "validation", "test")
    }
    assert tiles == {"train": 8, "validation": 8, "test": 2}


def test_tiles_of_a_flat_specimen_are_all_as_far_from_focus():
    def spread_um(flat):
        plan = RenderPlan("test", "reference", seed=5, planes=1, flat=flat)
        return np.ptp([tile.defocus_um for tile in render_field(plan, 0)])

    assert spread_um(flat=True) == 0
    assert spread_um(flat=False) > 0.05


def test_random_instruments_stay_near_the_reference():
    drawn = [randomised(np.random.default_rng(seed))[0] for seed in range(200)]
    apertures = [optics.numerical_aperture for optics in drawn]
    assert 0.675 <= min(apertures) < 0.69
    assert 0.81 < max(apertures) <= 0.825
    assert all(0.2975 <= optics.um_per_px <= 0.4025 for optics in drawn)
    assert all(0.42 <= optics.focus_offsets_um[0] <= 0.98 for optics in drawn)


def test_rendering_goes_on_where_it_was_interrupted(tmp_path):
    plan = RenderPlan("test", "reference", seed=21, planes=1)
    first = render(plan, 20, tmp_path, 1, ignore)
    pictures = sorted(tmp_path.glob("*.tif"))
    before = [(path.stat().st_mtime_ns, path.name) for path in pictures]
    second = render(plan, 40, tmp_path, 1, ignore)
    after = {path.name: path.stat().st_mtime_ns for path in tmp_path.glob("*.tif")}
    assert all(after[name] == changed for changed, name in before)
    assert second == first
    rows = read_rows(second)
    assert len(rows) == 40
    assert {row.split for row in rows} == {"test"}


@pytest.mark.parametrize("kind", ["reference", "randomised", "mixed"])
def test_every_tile_is_labelled_within_reach(kind):
    plan = RenderPlan("train", kind, seed=3, planes=2)
    for tile in render_field(plan, 1):
        assert tile.pixels.shape == (TILE_PX, TILE_PX, 3)
        assert abs(tile.defocus_um) < plan.range_um + 4
