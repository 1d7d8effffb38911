"""The routines on the virtual microscope, with an observer that knows the hidden truth or lies."""

from dataclasses import replace
from itertools import count

import numpy as np
import pytest
from oracle import Oracle, Rig, Tampered, painted

from edge_af.classifier import Abstained
from edge_af.routines.focus import focus
from edge_af.routines.ports import Method
from edge_af.routines.single_shot import single_shot
from edge_af.routines.sweep import middle_um, sweep
from edge_af.settings import FocusSettings
from hw.stage import LimitError, Range

GOOD_UM = 0.5


def single(rig, tells=lambda defocus_um: defocus_um, sigma_um=0.1, **settings):
    """Return the attempt, how many frames it took, and how many moves."""
    with rig.desk(FocusSettings(**settings)) as desk:
        attempt = single_shot(desk, Oracle(rig, tells, sigma_um))
        return attempt, desk.view.frames, rig.guard.moves


def swept(rig, **settings):
    with rig.desk(FocusSettings(**settings)) as desk:
        return sweep(desk)


def focused(rig, tells):
    with rig.desk() as desk:
        return focus(desk, Oracle(rig, tells))


# Single shot


@pytest.mark.parametrize("backlash_um", [0.0, 2.5, 8.0])
def test_a_single_shot_focuses_from_anywhere_on_the_scale(backlash_um):
    frames = []
    for seed, defocus_um in enumerate(np.linspace(-12, 12, 13)):
        rig = Rig(
            seed=seed,
            kind=("tissue", "smear", "sparse")[seed % 3],
            defocus_um=float(defocus_um),
            backlash_um=backlash_um,
        )
        attempt, count, _ = single(rig)
        assert attempt.found, attempt.reason
        assert abs(rig.truth.defocus_um) <= GOOD_UM
        assert rig.truth.crashes == 0
        frames.append(count)
    assert np.median(frames) <= 4
    assert max(frames) <= 5


@pytest.mark.parametrize(("backlash_um", "median_frames"), [(0.0, 4), (2.5, 4), (8.0, 5)])
def test_an_observer_who_is_never_quite_sure_is_believed_from_both_sides(
    backlash_um, median_frames
):
    frames = []
    for seed, defocus_um in enumerate(np.linspace(-12, 12, 7)):
        rig = Rig(seed=seed, kind="smear", defocus_um=float(defocus_um), backlash_um=backlash_um)
        attempt, count, _ = single(rig, sigma_um=0.3)
        assert attempt.found, attempt.reason
        assert abs(rig.truth.defocus_um) <= GOOD_UM
        frames.append(count)
    assert np.median(frames) <= median_frames


@pytest.mark.parametrize("drift_um_per_s", [-0.3, 0.3])
def test_a_drifting_focus_is_followed(drift_um_per_s):
    rig = Rig(defocus_um=-9.0, drift_um_per_s=drift_um_per_s)
    attempt, _, _ = single(rig)
    assert attempt.found
    assert abs(rig.truth.defocus_um) <= GOOD_UM


@pytest.mark.parametrize("defocus_um", [-17.0, 17.0])
def test_a_start_beyond_the_scale_is_worked_off(defocus_um):
    rig = Rig(defocus_um=defocus_um)
    attempt, _, _ = single(rig)
    assert attempt.found
    assert abs(rig.truth.defocus_um) <= GOOD_UM


@pytest.mark.parametrize("engaged", [False, True])
def test_in_focus_already_it_stays(engaged):
    rig = Rig(defocus_um=0.0, drift_um_per_s=0.0)
    if engaged:
        rig.engage()
        off_um = rig.truth.defocus_um
        attempt, frames, moves = single(rig, lambda defocus_um: defocus_um - off_um)
    else:
        attempt, frames, moves = single(rig)
    assert (attempt.found, frames, moves, rig.moved_um) == (True, 1, 0, 0)


@pytest.mark.parametrize("defocus_um", [-1.2, -0.6, 0.3, 0.9, 1.2, 1.24, 1.26, 1.3])
def test_close_to_focus_with_the_gears_in_any_state_it_arrives(defocus_um):
    # Half the slack away from focus, the place to go to is the place where it stands: it must
    # engage the gears all the same.
    rig = Rig(seed=3, defocus_um=float(defocus_um), ring_um=0)
    attempt, _, _ = single(rig)
    assert attempt.found, attempt.reason
    assert abs(rig.truth.defocus_um) <= GOOD_UM


@pytest.mark.parametrize("defocus_um", [1.2, 2.0, 3.0])
def test_with_the_gap_open_it_is_not_led_away_from_what_was_seen(monkeypatch, defocus_um):
    rig = Rig(seed=4, kind="smear", defocus_um=defocus_um, backlash_um=8.0)
    assert rig.guard.slack_um / 2 > defocus_um  # the middle of where the focus may be is above
    targets_um, move = [], rig.guard.move_to_um
    monkeypatch.setattr(
        rig.guard, "move_to_um", lambda um: (targets_um.append(um - rig.start_um), move(um))
    )
    attempt, _, _ = single(rig)
    assert attempt.found, attempt.reason
    assert targets_um[0] < 0
    assert abs(rig.truth.defocus_um) <= GOOD_UM


def test_an_unsure_observer_is_asked_again_from_elsewhere():
    rig = Rig(defocus_um=0.0, drift_um_per_s=0.0)
    rig.engage()
    seen = []

    def unsure(defocus_um):
        seen.append(defocus_um)
        return defocus_um

    attempt, frames, _ = single(rig, unsure, sigma_um=0.4)
    assert frames > 1
    assert (np.abs(np.diff(seen)) > 0.3).all()
    assert attempt.found
    assert abs(rig.truth.defocus_um) <= GOOD_UM


def test_a_biased_observer_leaves_its_bias_and_no_more():
    rig = Rig(seed=2, defocus_um=6.0)
    attempt, _, _ = single(rig, lambda defocus_um: defocus_um + 0.3)
    assert attempt.found
    assert rig.truth.defocus_um == pytest.approx(-0.3, abs=0.3)


@pytest.mark.parametrize("defocus_um", [-5.0, 0.5, 7.0])
@pytest.mark.parametrize("bias_um", [-0.6, 0.6])
def test_where_the_observer_is_unsure_sharpness_halves_its_error(bias_um, defocus_um):
    left_um = []
    for seed in range(3):
        rig = Rig(seed=seed, kind="smear", defocus_um=defocus_um, drift_um_per_s=0.0)
        attempt, _, _ = single(rig, lambda said_um: said_um + bias_um, sigma_um=0.35)
        assert attempt.found, attempt.reason
        left_um.append(abs(rig.truth.defocus_um))
    assert np.median(left_um) < 0.45


def test_an_observer_with_the_wrong_sign_is_found_out_and_undone():
    for seed, defocus_um in enumerate([-11.0, -4.0, 1.0, 3.0, 8.0]):
        rig = Rig(seed=seed, kind="smear", defocus_um=defocus_um)
        rig.engage()
        before_um = rig.truth.defocus_um
        attempt, _, _ = single(rig, lambda defocus_um: -defocus_um)
        assert not attempt.found
        assert rig.moved_um == pytest.approx(0, abs=1e-6)
        assert rig.truth.defocus_um == pytest.approx(before_um, abs=0.3)  # play and drift


@pytest.mark.parametrize("always_um", [-10.0, -1.0, 0.9, 1.5, 6.0])
def test_an_observer_that_says_one_thing_only_is_found_out_and_undone(always_um):
    rig = Rig(seed=4, kind="smear", defocus_um=-5.0)
    rig.engage()
    attempt, _, moves = single(rig, lambda _: always_um)
    assert not attempt.found
    assert moves <= FocusSettings().most_moves + 1
    assert rig.moved_um == pytest.approx(0, abs=1e-6)


def test_small_steps_the_wrong_way_do_not_add_up():
    # No single step is long enough to show, but their sum is.
    rig = Rig(seed=4, kind="smear", defocus_um=2.0, backlash_um=0.0)
    says_um = iter([-1.0, -1.0, -1.0, 0.0])
    attempt, _, _ = single(rig, lambda _: next(says_um))
    assert not attempt.found
    assert rig.moved_um == pytest.approx(0, abs=1e-6)


def test_it_gives_up_after_the_moves_it_may_make():
    rig = Rig(defocus_um=10.0, backlash_um=0.0)
    attempt, frames, moves = single(rig, most_moves=1, tells=lambda defocus_um: 0.5 * defocus_um)
    assert attempt.reason == "not in focus after 1 moves"
    assert (frames, moves) == (2, 2)  # the second is the way back
    assert rig.moved_um == pytest.approx(0, abs=1e-6)


def test_the_rest_of_a_verified_way_counts_as_a_move_too():
    for most_moves, found in ((1, False), (2, True)):
        rig = Rig(seed=4, kind="smear", defocus_um=8.0, backlash_um=0.0)
        attempt, _, _ = single(rig, most_moves=most_moves, tells=lambda um: 0.9 * um)
        assert attempt.found is found, attempt.reason


def test_abstention_after_a_move_takes_it_back_and_says_so():
    rig = Rig(defocus_um=10.0)
    says = iter([10.0, Abstained.UNFAMILIAR])
    attempt, _, _ = single(rig, lambda _: next(says))
    assert not attempt.found
    assert not attempt.empty
    assert "the model abstained: unfamiliar" in attempt.reason
    assert rig.moved_um == pytest.approx(0, abs=1e-6)


def test_a_focus_out_of_reach_is_named():
    rig = Rig(defocus_um=10.0, backlash_um=0.0, limits=Range(-4.0, 20.0))
    attempt, _, _ = single(rig)
    assert not attempt.found
    assert "out of the stage's reach" in attempt.reason
    assert rig.moved_um == pytest.approx(0, abs=1e-6)


@pytest.mark.parametrize(
    ("limits", "defocus_um"),
    [(Range(-1.0, 30.0), -8.0), (Range(0.0, 30.0), -8.0), (Range(-30.0, 0.0), 8.0)],
)
def test_a_start_at_a_soft_limit_is_no_hindrance(limits, defocus_um):
    rig = Rig(defocus_um=defocus_um, limits=limits)
    attempt, _, _ = single(rig)
    assert attempt.found, attempt.reason
    assert abs(rig.truth.defocus_um) <= GOOD_UM


def test_where_the_way_back_is_closed_it_says_how_near_it_is():
    rig = Rig(seed=4, kind="smear", defocus_um=3.0, limits=Range(0.0, 30.0))
    attempt, _, _ = single(rig, lambda defocus_um: -defocus_um)
    assert not attempt.found
    # A return from above ends with an overshoot below, which the limit forbids.
    assert rig.moved_um == pytest.approx(2.5, abs=1e-6)
    assert "as near to its start" in attempt.reason


# Sweep


@pytest.mark.parametrize("defocus_um", [-11.0, 0.0, 12.0])
def test_a_sweep_finds_the_focus(defocus_um):
    rig = Rig(seed=3, kind="smear", defocus_um=defocus_um)
    attempt = swept(rig)
    assert attempt.found, attempt.reason
    assert abs(rig.truth.defocus_um) <= GOOD_UM


def test_a_sweep_looks_further_up_by_the_gap_that_may_have_been_open():
    for gap_um, found in ((0.0, False), (5.0, True)):
        rig = Rig(seed=3, kind="smear", defocus_um=-19.0)
        rig.engage()
        with rig.desk() as desk:
            assert sweep(desk, gap_um=gap_um).found is found


@pytest.mark.parametrize("backlash_um", [0.0, 8.0])
def test_a_sweep_does_not_mind_the_backlash(backlash_um):
    rig = Rig(seed=3, kind="smear", defocus_um=5.0, backlash_um=backlash_um)
    assert swept(rig).found
    assert abs(rig.truth.defocus_um) <= GOOD_UM


def test_a_flat_curve_leaves_the_stage_where_it_was():
    rig = Rig(kind="empty")
    attempt = swept(rig)
    assert attempt.reason == "no place was sharper than the others"
    assert rig.moved_um == pytest.approx(0, abs=1e-6)


@pytest.mark.parametrize("level", [0, 255])
def test_frames_all_black_or_white_are_named(level):
    rig = Rig()
    rig.camera = Tampered(rig.camera, painted(level))
    attempt = swept(rig)
    assert "black or white all over" in attempt.reason
    assert rig.moved_um == pytest.approx(0, abs=1e-6)


@pytest.mark.parametrize("level", [1, 254])
def test_a_few_blank_frames_in_a_sweep_leave_no_peak_to_go_for(level):
    """The lamp fails for a while: the focus may lie where nothing was seen."""
    rig = Rig(seed=3, kind="smear", defocus_um=2.0)
    noise, number = np.random.default_rng(1), count()

    def flickering(camera, after_s, timeout_s):
        frame = camera.frame(after_s, timeout_s)
        if not 14 <= next(number) <= 18:
            return frame
        dead = level + noise.integers(-1, 2, frame.pixels.shape)
        return replace(frame, pixels=dead.astype(np.uint8))

    rig.camera = Tampered(rig.camera, flickering)
    attempt = swept(rig)
    assert not attempt.found
    assert "black or white all over" in attempt.reason


@pytest.mark.parametrize(
    ("limits", "cure"),
    [(Range(-60.0, 60.0), "widen sweep_reach_um"), (Range(-9.0, 9.0), "may go no further")],
)
@pytest.mark.parametrize("defocus_um", [-14.0, 14.0])
def test_a_peak_beyond_the_reach_is_not_taken_for_one_at_its_end(limits, cure, defocus_um):
    rig = Rig(seed=3, kind="smear", defocus_um=defocus_um, limits=limits)
    attempt = swept(rig, sweep_reach_um=8.0)
    assert not attempt.found
    assert "sharpness still rose" in attempt.reason
    assert attempt.reason.endswith(cure)
    assert rig.moved_um == pytest.approx(0, abs=1e-6)


def test_a_sweep_near_a_soft_limit_takes_what_room_there_is():
    rig = Rig(seed=3, kind="smear", defocus_um=4.0, limits=Range(-9.0, 3.0))
    assert swept(rig).found
    assert abs(rig.truth.defocus_um) <= GOOD_UM


def test_no_room_for_a_sweep_is_said():
    rig = Rig(limits=Range(-2.6, 0.5))
    assert "too little room" in swept(rig).reason
    assert rig.moved_um == pytest.approx(0, abs=1e-6)


def test_the_middle_of_a_peak_is_the_centroid_of_its_upper_part():
    def curve(*peaks):
        places_um = np.arange(-4, 4.01, 0.25).tolist()
        return {
            um: 1.0 + sum(high * np.exp(-((um - at) ** 2)) for at, high in peaks)
            for um in places_um
        }

    assert middle_um(curve((0.6, 2.0))) == pytest.approx(0.6, abs=0.02)
    # Two depths of equal detail: between them. The lesser of two far apart does not count.
    assert middle_um(curve((-1.0, 2.0), (1.0, 2.0))) == pytest.approx(0, abs=0.02)
    assert middle_um(curve((-2.0, 2.0), (2.0, 0.5))) == pytest.approx(-2, abs=0.05)


def test_a_curve_of_few_places_has_its_middle_at_the_highest():
    assert middle_um({0.0: 3.0, 0.8: 2.9, 6.5: 1.0}) == 0.0
    assert middle_um({5.0: 1.0}) == 5.0


# Focus: the one, then the other


@pytest.mark.parametrize("abstained", [Abstained.UNFAMILIAR, Abstained.UNCERTAIN])
def test_an_observer_that_abstains_is_replaced_by_a_sweep(abstained):
    rig = Rig(seed=3, kind="smear", defocus_um=6.0)
    method, attempt = focused(rig, lambda _: abstained)
    assert (method, attempt.found) == (Method.SWEEP, True)
    assert attempt.reason == f"the model abstained: {abstained}"
    assert abs(rig.truth.defocus_um) <= GOOD_UM


def test_an_empty_field_is_not_moved():
    rig = Rig(kind="empty")
    method, attempt = focused(rig, lambda _: Abstained.EMPTY)
    assert (method, attempt.found, rig.guard.moves) == (Method.NONE, False, 0)
    assert attempt.reason == "the model abstained: empty"


@pytest.mark.parametrize(
    "lie", [lambda defocus_um: -defocus_um, lambda _: 5.0, lambda _: 1.2], ids=["sign", "5", "1.2"]
)
def test_after_a_lie_the_sweep_still_finds_the_focus(lie):
    for seed, defocus_um in ((3, 1.0), (6, 9.0)):
        rig = Rig(seed=seed, kind="smear", defocus_um=defocus_um)
        method, attempt = focused(rig, lie)
        assert (method, attempt.found) == (Method.SWEEP, True)
        assert abs(rig.truth.defocus_um) <= GOOD_UM


def test_nothing_found_gives_both_reasons():
    rig = Rig(kind="empty")
    method, attempt = focused(rig, lambda _: Abstained.UNFAMILIAR)
    assert (method, attempt.found) == (Method.NONE, False)
    assert attempt.reason == (
        "the model abstained: unfamiliar; sweep: no place was sharper than the others"
    )
    assert rig.moved_um == pytest.approx(0, abs=1e-6)


def test_a_spent_budget_ends_it_where_it_stands():
    rig = Rig(defocus_um=10.0)
    with pytest.raises(LimitError, match="travel budget"):
        single(rig, sweep_reach_um=0.5, travel_budget_um=3.0)
    assert rig.moved_um == 0
