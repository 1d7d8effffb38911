"""Holding the focus, with an observer that knows the hidden truth, errs, or lies."""

import tracemalloc
from functools import partial
from itertools import pairwise

import numpy as np
import pytest
from living import LivingRig
from oracle import Oracle, Rig, gaussian
from pydantic import ValidationError

from edge_af.classifier import Abstained, Classifier, Sight
from edge_af.place import Place
from edge_af.routines.ports import Desk, View
from edge_af.routines.track import Tracker
from edge_af.routines.tracked import Deed
from edge_af.scale import DefocusScale
from edge_af.settings import FocusSettings, TrackSettings
from edge_af.shipped import read_model
from hw.stage import Range

FOCUS = FocusSettings()


class Watch:
    """A tracking run on a rig: each look a command of its own, as the instrument does it."""

    def __init__(self, rig, tells=lambda defocus_um: defocus_um, sigma_um=0.15, **settings):
        self.settings = TrackSettings(**{"every_s": 5.0, "check_every_s": 0.0, **settings})
        self.rig, self.tracker = rig, Tracker(self.settings)
        self.observer = Oracle(rig, tells, sigma_um)
        self.paths_um = []

    def look(self):
        rig, now_s = self.rig, self.rig.clock.now_s()
        with rig.guard.command(budget_um=self.tracker.budget_um(now_s)):
            try:
                view = View(rig.camera, rig.guard, rig.clock, FOCUS.frame_timeout_s)
                return self.tracker.look(Desk(view, rig.guard, FOCUS), self.observer, now_s)
            finally:
                self.tracker.spent(now_s, rig.guard.travel_um)
                self.paths_um.append((now_s, rig.guard.travel_um))

    def looks(self, count):
        """Look so often, and return the deeds."""
        deeds = []
        with self.rig.guard, self.rig.camera:
            for _ in range(count):
                due_s = self.rig.clock.now_s() + self.settings.every_s
                deeds.append(self.look().deed)
                self.rig.clock.wait_until_s(due_s)
        return deeds

    @property
    def moved_at_s(self):
        return [s for s, um in self.paths_um if um > 0]


def still(defocus_um, **settings):
    """A rig that does not drift, its gears engaged."""
    rig = Rig(seed=3, kind="smear", defocus_um=defocus_um, drift_um_per_s=0.0, **settings)
    rig.engage()
    return rig


def test_in_focus_it_holds_still():
    rig = Rig(seed=3, kind="smear", defocus_um=0.0, drift_um_per_s=0.0, backlash_um=0.0, play_um=0)
    assert set(Watch(rig).looks(20)) == {Deed.HELD}
    assert rig.moved_um == 0


def test_noise_within_the_dead_band_moves_nothing():
    rng = np.random.default_rng(5)
    rig = Rig(seed=3, kind="smear", defocus_um=0.0, drift_um_per_s=0.0, backlash_um=0.0, play_um=0)
    watch = Watch(rig, lambda defocus_um: defocus_um + rng.normal(0, 0.15), sigma_um=0.2)
    assert set(watch.looks(60)) == {Deed.HELD}


@pytest.mark.parametrize("drift_um_per_s", [-0.05, 0.05])
def test_a_drift_is_followed_by_small_corrections(drift_um_per_s):
    rig = Rig(
        seed=3, kind="smear", defocus_um=0.0, drift_um_per_s=drift_um_per_s, drift_decay_s=1e6
    )
    watch = Watch(rig, rest_s=0.0, path_um_per_h=10_000)
    watch.looks(5)
    off_um = []
    for _ in range(30):
        deeds = watch.looks(1)
        assert deeds[0] in (Deed.HELD, Deed.CORRECTED)
        off_um.append(abs(rig.truth.defocus_um))
    assert abs(rig.moved_um) > 6  # it would be 7.5 um out of focus otherwise
    assert max(off_um) < 0.6


def test_it_corrects_only_what_it_is_sure_of():
    rig = still(0.6)
    assert Watch(rig, sigma_um=0.8, certainty=0.99).looks(1) == [Deed.HELD]
    assert rig.moved_um == 0
    assert Watch(rig, sigma_um=0.1).looks(1) == [Deed.CORRECTED]
    assert abs(rig.truth.defocus_um) < 0.25


def test_corrections_are_rate_limited():
    rig = still(0.0, backlash_um=0.0)
    # Whatever it does, the observer says that it is 1 um off.
    watch = Watch(rig, lambda _: 1.0, sigma_um=0.05, every_s=1.0, rest_s=10.0)
    deeds = watch.looks(60)
    assert deeds.count(Deed.CORRECTED) >= 3
    assert min(b - a for a, b in pairwise(watch.moved_at_s)) >= 9.999


def test_the_path_of_any_hour_is_bounded():
    rig = still(0.0, limits=Range(-300, 300))
    watch = Watch(rig, lambda _: 1.0, sigma_um=0.05, every_s=60, rest_s=0, path_um_per_h=20.0)
    deeds = watch.looks(200)  # 3.3 h
    assert deeds[30] is Deed.HINDERED
    paths = np.array(watch.paths_um)
    for start_s in paths[:, 0]:
        inside = (paths[:, 0] >= start_s) & (paths[:, 0] < start_s + 3600)
        assert paths[inside, 1].sum() <= 20.0 + 1e-6
    assert paths[:, 1].sum() > 40  # and it is renewed


@pytest.mark.parametrize("abstained", list(Abstained))
def test_without_an_answer_it_holds_and_resumes(abstained):
    rig = still(1.0)
    says = iter([abstained] * 10)
    watch = Watch(rig, lambda defocus_um: next(says, defocus_um))
    assert set(watch.looks(10)) == {Deed.BLIND}
    assert rig.moved_um == 0
    watch.looks(3)
    assert abs(rig.truth.defocus_um) < 0.5


def test_another_specimen_is_focused_by_a_single_shot():
    rig = still(0.0)
    watch = Watch(rig)
    watch.looks(3)
    object.__setattr__(rig.scene, "focus_um", rig.scene.focus_um + 8.0)
    assert watch.looks(2) == [Deed.HELD, Deed.REFOCUSED]
    assert abs(rig.truth.defocus_um) < 0.5


def test_a_passing_hand_is_not_followed():
    rig = still(0.0, play_um=0.0)
    says = iter([0.0, 0.0, 8.0, 0.0, 0.0, -9.0, 0.0])
    watch = Watch(rig, lambda _: next(says))
    assert set(watch.looks(7)) == {Deed.HELD}
    assert rig.moved_um == 0


def test_single_shots_that_do_not_last_grow_rare():
    # An observer that sees every place 6 um out of focus: the shots are undone, a sweep finds the
    # focus, and that is not repeated for ever.
    rig = still(0.0)
    watch = Watch(rig, lambda _: 6.0, every_s=15.0, path_um_per_h=5000)
    deeds = watch.looks(240)  # an hour
    waits_s = np.diff(watch.moved_at_s)
    assert 5 <= len(waits_s) <= 12
    assert (np.diff(waits_s) >= -15).all()
    assert waits_s[-1] >= 590
    assert deeds.count(Deed.REFOCUSED) <= 12
    assert abs(rig.moved_um) < 1.0
    assert abs(rig.truth.defocus_um) < 0.5


def test_a_focus_out_of_reach_is_said():
    rig = Rig(
        seed=3, defocus_um=-1.5, limits=Range(-20.0, 0.0), drift_um_per_s=0.0, backlash_um=0.0
    )
    watch = Watch(rig)
    with rig.guard, rig.camera:
        tracked = watch.look()
    assert (tracked.deed, tracked.reason) == (
        Deed.HINDERED,
        "the focus lies out of the stage's reach",
    )
    assert tracked.defocus_um == pytest.approx(-1.5, abs=0.3)


def test_after_other_commands_it_begins_anew():
    rig = still(0.0)
    watch = Watch(rig)
    watch.looks(5)
    with rig.guard, rig.guard.command(budget_um=100):
        rig.guard.move_to_um(rig.guard.position_um + 1.5)
    watch.tracker.forget()
    watch.looks(3)
    assert abs(rig.truth.defocus_um) < 0.5


def test_what_the_model_has_wrong_of_a_specimen_is_learnt_from_sharpness():
    rig = still(0.0, play_um=0.0)
    watch = Watch(rig, lambda defocus_um: defocus_um + 0.6, sigma_um=0.2, check_every_s=600)
    deeds = watch.looks(40)
    assert deeds.count(Deed.CHECKED) == 1
    assert abs(rig.truth.defocus_um) < 0.3
    without = still(0.0, play_um=0.0)
    Watch(without, lambda defocus_um: defocus_um + 0.6, sigma_um=0.2).looks(40)
    assert abs(without.truth.defocus_um) > 0.4


def test_it_checks_again_after_a_while_and_with_another_specimen():
    rig = still(0.0)
    watch = Watch(rig, check_every_s=300)
    assert watch.looks(50).count(Deed.CHECKED) == 1
    assert watch.looks(60).count(Deed.CHECKED) == 1
    object.__setattr__(rig.scene, "focus_um", rig.scene.focus_um + 8.0)
    deeds = watch.looks(20)
    assert deeds.index(Deed.REFOCUSED) < deeds.index(Deed.CHECKED)


def test_a_check_that_would_take_too_much_of_the_path_is_left_out():
    rig = still(0.0)
    watch = Watch(rig, check_every_s=600, path_um_per_h=30.0)
    with rig.guard, rig.camera:
        tracked = watch.look()
    assert tracked.reason == "too little is left of path_um_per_h for a check by sharpness"
    assert rig.moved_um == 0


def test_where_the_model_is_blind_sharpness_holds_the_focus():
    steady = {"drift_um_per_s": 0.01, "drift_decay_s": 1e6, "backlash_um": 0.0}
    rig = Rig(seed=3, kind="smear", defocus_um=0.5, **steady)
    watch = Watch(rig, lambda _: Abstained.UNCERTAIN, check_every_s=600)
    deeds = watch.looks(120)
    assert deeds.count(Deed.CHECKED) > 5
    assert Deed.REFOCUSED not in deeds
    assert abs(rig.truth.defocus_um) < 0.6  # it would be 6 um by now


def test_for_a_while_without_answers_it_goes_with_the_drift():
    rig = Rig(
        seed=3, kind="smear", defocus_um=0.0, drift_um_per_s=0.05, drift_decay_s=1e6, play_um=0.0
    )
    says = iter([None] * 30 + [Abstained.UNCERTAIN] * 500)
    watch = Watch(
        rig,
        lambda defocus_um: defocus_um if (said := next(says)) is None else said,
        sigma_um=0.1,
        rest_s=0.0,
        path_um_per_h=10_000,
    )
    watch.looks(30)
    deeds = watch.looks(8)  # 40 s, 2 um of drift
    assert deeds.count(Deed.CORRECTED) >= 2
    assert set(deeds) == {Deed.CORRECTED, Deed.BLIND}
    assert abs(rig.truth.defocus_um) < 0.6
    watch.looks(200)  # by now the drift may be any
    assert set(watch.looks(200)) == {Deed.BLIND}


def test_where_the_model_is_blind_another_specimen_is_found_by_a_sweep():
    rig = still(0.0)
    watch = Watch(rig, lambda _: Abstained.UNCERTAIN, check_every_s=600)
    watch.looks(20)
    object.__setattr__(rig.scene, "focus_um", rig.scene.focus_um + 8.0)
    assert Deed.REFOCUSED in watch.looks(30)
    assert abs(rig.truth.defocus_um) < 0.5


def test_an_empty_field_is_left_alone():
    rig = still(3.0)
    watch = Watch(rig, lambda _: Abstained.EMPTY, check_every_s=600)
    assert set(watch.looks(200)) == {Deed.BLIND}
    assert rig.moved_um == 0


def test_bad_settings_are_refused():
    with pytest.raises(ValidationError, match=r"jump_um = 0.2 must be above dead_band_um = 0.3"):
        TrackSettings(jump_um=0.2, dead_band_um=0.3)
    with pytest.raises(ValidationError):
        TrackSettings(every_s=0)


class Seasoned:
    """An observer as good as a calibrated model: noise, a bias of each field, sometimes no answer.

    It says what it is sure of to the width that its errors have.
    """

    def __init__(self, world):
        self.scale = DefocusScale.paper41()
        self._world = world
        self._rng = np.random.default_rng(11)

    def look(self, frame):
        middle_s = (frame.exposure_start_s + frame.exposure_end_s) / 2
        visit = self._world.visit(middle_s)
        if visit.empty:
            return Sight(None, Abstained.EMPTY, 0)
        if self._rng.random() < 0.05:
            return Sight(None, Abstained.UNCERTAIN, 0)
        seen_um = float(self._world.defocus_um(middle_s)) + visit.bias_um
        said_um = seen_um + self._rng.normal(0, 0.1 + 0.03 * abs(seen_um))
        sigma_um = 0.1 + 0.03 * abs(seen_um)
        seen = gaussian(self.scale, said_um, sigma_um)
        return Sight(seen, None, 1, place=Place(said_um, sigma_um))


def day(hours, observer=None, frame_px=(192, 192), seed=1):
    """Track for so long; returns defocus_um of each second in fields with something in them.

    Of every second: those in which it looks for the focus, or moves, count as well.
    """
    rig = LivingRig(hours, seed, frame_px)
    as_shipped = TrackSettings()
    watch = Watch(rig, every_s=as_shipped.every_s, check_every_s=as_shipped.check_every_s)
    watch.observer = observer or Seasoned(rig.world)
    off_um, deeds, memory = [], [], []

    def note(time_s):
        if not rig.world.visit(time_s).empty:
            off_um.append(float(rig.world.defocus_um(time_s)))

    # The first look finds the focus: nobody has focused before.
    for time_s in np.arange(10.0, hours * 3600):
        rig.clock.at(time_s, partial(note, time_s))
    with rig.guard, rig.camera:
        while rig.clock.now_s() < hours * 3600:
            began_s = rig.clock.now_s()
            tracked = watch.look()
            deeds.append(tracked.deed)
            rig.clock.wait_until_s(began_s + tracked.next_look_s(watch.settings))
            if tracemalloc.is_tracing() and len(deeds) % 500 == 0:
                memory.append(held_bytes())
    assert rig.world.mechanics.crashes == 0
    return np.array(off_um), deeds, memory, watch


def held_bytes():
    """What was allocated in the product's own lines; the virtual microscope caches its optics."""
    ours = tracemalloc.Filter(True, "*/edge_af/*")
    traces = tracemalloc.take_snapshot().filter_traces([ours])
    return sum(line.size for line in traces.statistics("filename"))


def within_depth_of_field(off_um):
    return float(np.mean(np.abs(off_um) <= FOCUS.depth_of_field_um / 2))


def test_an_hour_of_drift_shaking_and_changing_specimens():
    off_um, deeds, _, _ = day(1.0)
    assert within_depth_of_field(off_um) >= 0.99
    assert deeds.count(Deed.REFOCUSED) >= 1
    assert deeds.count(Deed.BLIND) >= 10


@pytest.fixture(scope="module")
def observed_day():
    """Eight hours with an observer that has its faults, and the memory that they took."""
    tracemalloc.start()
    try:
        return day(8.0)
    finally:
        tracemalloc.stop()


@pytest.fixture(scope="module")
def shipped_day():
    """Eight hours with the model that ships."""
    return day(8.0, Classifier(read_model(None)), (384, 384), seed=1)


@pytest.mark.slow
def test_eight_hours_of_drift_shaking_and_changing_specimens(observed_day):
    off_um, deeds, memory, watch = observed_day
    assert within_depth_of_field(off_um) >= 0.99
    assert deeds.count(Deed.REFOCUSED) >= 10
    assert len(memory) >= 10
    assert max(memory[-3:]) < max(memory[:3]) + 200_000
    assert sum(um for _, um in watch.paths_um) < 8 * watch.settings.path_um_per_h


@pytest.mark.slow
def test_eight_hours_with_the_model_that_ships(shipped_day):
    off_um, deeds, _, watch = shipped_day
    assert within_depth_of_field(off_um) >= 0.97
    assert deeds.count(Deed.REFOCUSED) >= 10
    assert sum(um for _, um in watch.paths_um) < 8 * watch.settings.path_um_per_h


@pytest.mark.slow
@pytest.mark.xfail(
    strict=True,
    raises=AssertionError,
    reason="98.6 % when last measured, and 99.4 % with seed 2: one thick specimen read 0.3 um off",
)
def test_of_eight_hours_with_the_model_that_ships_99_percent_are(shipped_day):
    off_um, *_ = shipped_day
    assert within_depth_of_field(off_um) >= 0.99
