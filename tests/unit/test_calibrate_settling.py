"""When a picture stops changing."""

import numpy as np
import pytest
from oracle import Rig

from edge_af.routines.settling import Aftermath, settle_time, still, watch

PERIOD_S = 1 / 30


def pictures(offsets, noise=2.0, seed=1):
    """Pictures of one scene, each with so many grey levels added to half of it."""
    rng = np.random.default_rng(seed)
    scene = rng.integers(60, 160, (32, 40, 3)).astype(float)
    half = np.zeros_like(scene)
    half[:16] = 1
    return [
        np.round(scene + offset * half + rng.normal(0, noise, scene.shape)).astype(np.uint8)
        for offset in offsets
    ]


def test_pictures_are_still_once_only_noise_changes_them():
    assert still(pictures([30, 10, 4, 0, 0, 0, 0, 0])) == [False] * 3 + [True] * 5


def test_noise_alone_is_still():
    for seed in range(5):
        assert all(still(pictures([0] * 12, seed=seed)))


def test_a_picture_that_passes_through_rest_is_not_yet_still():
    assert still(pictures([30, 0, -30, 0, 0, 0, 0, 0])) == [False] * 3 + [True] * 5


def test_the_settle_time_lies_between_the_last_change_and_the_first_rest():
    # Two moves, at different phases of the camera: 0.050 s still changes, 0.062 s does not.
    one = Aftermath((0.017, 0.050, 0.083, 0.117), (False, False, True, True))
    other = Aftermath((0.029, 0.062, 0.095, 0.129), (False, True, True, True))
    settled = settle_time([one, other], PERIOD_S)
    assert settled.value == 0.062
    assert settled.uncertainty == pytest.approx(PERIOD_S / 12**0.5)


def test_no_change_at_all_leaves_the_first_frame():
    settled = settle_time([Aftermath((0.012, 0.045), (True, True))], PERIOD_S)
    assert settled.value == 0.012
    assert settled.uncertainty == pytest.approx(PERIOD_S / 12**0.5)


@pytest.mark.parametrize("decay_s", [0.02, 0.06])
def test_a_ringing_stage_is_seen_to_settle(decay_s):
    # 3 um at first; below 0.1 um, a tenth of the depth of field, after 3.4 decay times.
    rig = Rig(
        seed=3, kind="smear", defocus_um=-5.0, ring_um=3.0, ring_hz=9.0, ring_decay_s=decay_s,
        drift_um_per_s=0, backlash_um=0, settle_s=10 * decay_s,
    )  # fmt: skip
    with rig.desk():
        targets_um = [rig.start_um + um for um in (1.0, 2.0, 3.0)]
        settled = watch(rig.camera, rig.guard, rig.clock, targets_um, timeout_s=2.0)
    assert settled.value == pytest.approx(3.4 * decay_s, abs=decay_s + PERIOD_S)
    assert settled.uncertainty == pytest.approx(PERIOD_S / 12**0.5, rel=1e-6)
