"""Hold the focus against drift: look now and then, and put right what surely is off."""

import math
from collections import deque
from dataclasses import replace

from edge_af.belief import Belief
from edge_af.classifier import Abstained
from edge_af.drift import DriftFilter
from edge_af.place import Place
from edge_af.routines.hill import hill_um, path_um
from edge_af.routines.ports import Desk, Observer
from edge_af.routines.rest import Rest
from edge_af.routines.scene import Scene, Seen
from edge_af.routines.single_shot import single_shot
from edge_af.routines.sweep import sweep
from edge_af.routines.tracked import Deed, Tracked
from edge_af.scale import DefocusScale
from edge_af.settings import TrackSettings
from hw.stage import LimitError, Range

_HOUR_S = 3600.0

_BIAS = 0.3
_HILL = 0.2
"""In depths of field, 1 sigma: how far off the model is for one specimen, before anything is known
of it, and how well sharpness tells where the focus is."""

_SETTLING_LOOKS = 5
"""So many looks follow a check soon, to learn what the model reads there before it drifts."""

_BLIND_LOOKS = 3
"""So many in a row are more than a passing hand."""

_UNSURE = 0.3
"""In depths of field, 1 sigma: known no better than this, the focus is looked for by sharpness."""

_CHECK_REST_S = 30.0
"""Least time between two checks."""

_CHECK_SHARE = 0.5
"""The most that one check may take of the path that is left."""

_JUMPS = 2
"""So many looks in a row must see a jump: a hand that passes, or a knock, is over by the next."""


class Tracker:
    """The memory of a tracking run: what is believed, and what path was travelled in an hour.

    Each `look` is a command of its own on the guard, with `budget_um` for its path; `spent` is to
    be called after it, however it ended.
    """

    def __init__(self, settings: TrackSettings) -> None:
        self._settings = settings
        self._focus = DriftFilter()
        """Of where the count should stand for focus, with the gears as they lie."""
        self._slack_um = 0.0
        self._scene = Scene()
        self._another = True
        self._blind = 0
        self._settling = 0
        self._check_s = self._checked_s = -math.inf
        self._corrected_s = -math.inf
        self._jumps = 0
        self._shots, self._searches = Rest(), Rest()
        """Apart: a field that nothing is found in must not keep the next one waiting."""
        self._paths: deque[tuple[float, float]] = deque()

    def use_settings(self, settings: TrackSettings) -> None:
        """Hold by other settings from the next look on."""
        self._settings = settings

    def forget(self) -> None:
        """Begin anew, for something else has moved; the path of the hour still counts."""
        self._another = True
        self._jumps = 0

    def budget_um(self, now_s: float) -> float:
        """Return what is left of the hour's path; at least 1 pm, for a budget must be above 0."""
        while self._paths and self._paths[0][0] <= now_s - _HOUR_S:
            self._paths.popleft()
        return max(self._settings.path_um_per_h - sum(um for _, um in self._paths), 1e-6)

    def spent(self, now_s: float, path_um: float) -> None:
        """Count a path that was travelled."""
        if path_um > 0:
            self._paths.append((now_s, path_um))

    def look(self, desk: Desk, observer: Observer, now_s: float) -> Tracked:
        """Look once, and correct if need be.

        A frame that means nothing to the model holds the position. Surely beyond the dead band, the
        stage goes to where the focus is believed; beyond `jump_um`, twice in a row, a single shot
        does, which verifies. With a new specimen, and now and then, it checks by sharpness what
        the model reads in focus; where the model can read nothing of what is there, sharpness alone
        must do, and a sweep where that has no peak nearby. Raises HardwareError as camera and
        stage do; a move that a limit forbids is no error but a hindrance.
        """
        frame = desk.view.frame()
        seen = self._scene.look(frame.pixels)
        if seen is Seen.NOTHING:  # whatever a model may make of clear glass
            return self._blinded(desk, observer, Abstained.EMPTY, now_s)
        if seen is Seen.ANOTHER:
            self.forget()
        sight = observer.look(frame)
        if sight.place is None:
            return self._blinded(desk, observer, sight.abstained, now_s)
        self._blind = 0
        here_um, slack_um = desk.stage.position_um, desk.stage.slack_um
        newest = _seen(here_um, slack_um, observer.scale, sight.place)
        if newest.within(here_um, self._settings.jump_um) <= 1 - self._settings.certainty:
            return self._jumped(desk, observer, now_s, newest.best_um)
        self._jumps = 0
        if self._another:
            self._begin(desk)
        elif slack_um != self._slack_um:
            self._focus.displaced()
        self._slack_um = slack_um
        place = sight.place
        if not self._focus.look(now_s, here_um - place.defocus_um, place.sigma_um):
            self._check_s = -math.inf
        if self._focus.strange:
            defocus_um = here_um - self._focus.focus_um
            return Tracked(Deed.HELD, defocus_um, "that did not fit; looking again", soon=True)
        if self._must_check(desk, now_s):
            return self._checked(desk, observer, self._target_um(desk), now_s)
        held = self._held(desk, now_s)
        if held.deed is Deed.HELD and not held.reason:
            self._ease()
        return held

    def _begin(self, desk: Desk) -> None:
        """Know nothing of the specimen in view."""
        self._another = False
        bias = _BIAS if self._settings.check_every_s > 0 else 0.0
        self._focus.replaced(bias * desk.settings.depth_of_field_um)
        self._check_s = -math.inf

    def _blinded(
        self, desk: Desk, observer: Observer, abstained: Abstained | None, now_s: float
    ) -> Tracked:
        """Hold; where there is something that the model cannot read, sharpness must do.

        Between checks, or where too little path is left for one, it goes with the drift as that
        was known, as long as it is.
        """
        self._jumps = 0
        self._blind += 1
        blind = Tracked(Deed.BLIND, reason=f"the model abstained: {abstained}")
        if self._blind < _BLIND_LOOKS:
            return replace(blind, soon=abstained is not Abstained.EMPTY)
        if abstained is Abstained.EMPTY:
            self._another = True
            return blind
        if self._another:
            self._begin(desk)
        stage, self._slack_um = desk.stage, desk.stage.slack_um
        self._focus.until(now_s)
        if not self._must_check(desk, now_s):
            return self._followed(desk, blind, now_s)
        here_um = stage.position_um + stage.slack_um / 2
        about_um = self._focus.focus_um if self._known(desk) else here_um
        checked = self._checked(desk, observer, about_um, now_s)
        if checked.deed is Deed.HELD:
            return self._followed(desk, checked, now_s)
        if checked.deed is not Deed.CHECKED or not checked.reason:
            return checked
        return self._swept(desk, now_s)

    def _followed(self, desk: Desk, otherwise: Tracked, now_s: float) -> Tracked:
        if not self._known(desk):
            return otherwise
        held = self._held(desk, now_s)
        return held if held.deed is Deed.CORRECTED else otherwise

    def _known(self, desk: Desk) -> bool:
        return self._focus.sigma_um < desk.settings.depth_of_field_um

    def _swept(self, desk: Desk, now_s: float) -> Tracked:
        if self._searches.left_s(now_s) > 0:
            return Tracked(Deed.BLIND, reason="the model abstained, and there is no peak nearby")
        self._searches.begin(now_s)
        return self._searched(desk, now_s, "the model abstained")

    def _searched(self, desk: Desk, now_s: float, why: str) -> Tracked:
        """Sweep, as far as half of the path that is left allows."""
        left_um = _CHECK_SHARE * self.budget_um(now_s)
        settings = desk.settings.within_budget(left_um, desk.stage.overshoot_um)
        try:
            attempt = sweep(replace(desk, settings=settings))
        except LimitError as error:
            return Tracked(Deed.HINDERED, reason=str(error))
        if not attempt.found:
            return Tracked(Deed.HINDERED, reason=f"{why}; sweep: {attempt.reason}")
        self._focus.found(now_s, desk.stage.position_um, _HILL * settings.depth_of_field_um)
        return Tracked(Deed.REFOCUSED, reason=f"{why}; a sweep found it", soon=True)

    def _held(self, desk: Desk, now_s: float) -> Tracked:
        stage, settings, focus = desk.stage, self._settings, self._focus
        here_um = stage.position_um
        defocus_um = here_um - focus.focus_um
        band_um = max(settings.dead_band_um, stage.step_um / 2)
        self._settling = max(self._settling - 1, 0)
        soon = self._settling > 0
        if focus.beyond(here_um, band_um) < settings.certainty:
            return Tracked(Deed.HELD, defocus_um, soon=soon)
        if now_s < self._corrected_s + settings.rest_s:
            return Tracked(Deed.HELD, defocus_um, "it has just been corrected", soon)
        target_um = stage.reachable.clip(self._target_um(desk))
        if abs(target_um - here_um) < stage.step_um / 2:
            return Tracked(Deed.HINDERED, defocus_um, "the focus lies out of the stage's reach")
        return self._moved(desk, target_um, Deed.CORRECTED, now_s)

    def _ease(self) -> None:
        self._shots.ease()
        self._searches.ease()

    def _moved(self, desk: Desk, target_um: float, deed: Deed, now_s: float) -> Tracked:
        stage = desk.stage
        defocus_um = stage.position_um - self._focus.focus_um
        try:
            stage.move_to_um(target_um)
        except LimitError as error:
            return Tracked(Deed.HINDERED, defocus_um, str(error))
        engaged = stage.slack_um != self._slack_um
        if not engaged:
            self._corrected_s = now_s
        return Tracked(deed, defocus_um, soon=engaged or self._settling > 0)

    def _must_check(self, desk: Desk, now_s: float) -> bool:
        if self._settings.check_every_s == 0 or now_s < self._checked_s + _CHECK_REST_S:
            return False
        unsure = self._focus.sigma_um > _UNSURE * desk.settings.depth_of_field_um
        return unsure or now_s >= self._check_s

    def _checked(self, desk: Desk, observer: Observer, about_um: float, now_s: float) -> Tracked:
        """Learn from both sides of the focus where it is, and go there.

        Only with the gears engaged are its places those of looks: that comes first.
        """
        stage, focus = desk.stage, self._focus
        if stage.slack_um > 0:
            return self._moved(desk, stage.reachable.clip(about_um), Deed.CORRECTED, now_s)
        here_um = stage.position_um
        defocus_um = here_um - focus.focus_um
        self._checked_s, self._check_s = now_s, now_s + self._settings.check_every_s
        if path_um(desk, about_um) > _CHECK_SHARE * self.budget_um(now_s):
            reason = "too little is left of path_um_per_h for a check by sharpness"
            return Tracked(Deed.HELD, defocus_um, reason)
        try:
            sharpest_um = hill_um(desk, about_um, observer)
        except LimitError as error:
            return Tracked(Deed.HINDERED, defocus_um, str(error))
        if sharpest_um is not None:
            self._ease()
            focus.found(now_s, sharpest_um, _HILL * desk.settings.depth_of_field_um)
        self._settling = _SETTLING_LOOKS
        reason = "" if sharpest_um is not None else "sharpness has no peak where the model sees it"
        back_um = here_um if sharpest_um is None else focus.focus_um
        stage.move_to_um(stage.reachable.clip(back_um))
        return Tracked(Deed.CHECKED, defocus_um, reason, soon=True)

    def _target_um(self, desk: Desk) -> float:
        """Return where to go. It ends with the gears engaged, and so half their gap higher.

        That may be where the stage stands, which would engage nothing: then without the half gap.
        """
        stage, focus_um = desk.stage, self._focus.focus_um
        target_um = focus_um + stage.slack_um / 2
        return focus_um if abs(target_um - stage.position_um) < stage.step_um else target_um

    def _jumped(self, desk: Desk, observer: Observer, now_s: float, focus_um: float) -> Tracked:
        defocus_um = desk.stage.position_um - focus_um
        self._jumps += 1
        if self._jumps < _JUMPS:
            reason = "the focus has jumped; looking again"
            return Tracked(Deed.HELD, defocus_um, reason, soon=True)
        self._another = True
        wait_s = self._shots.left_s(now_s)
        if wait_s > 0:
            return Tracked(
                Deed.HINDERED, defocus_um, f"the last single shot did not last; {wait_s:.0f} s more"
            )
        self._jumps = 0
        self._shots.begin(now_s)
        try:
            attempt = single_shot(desk, observer)
        except LimitError as error:
            return Tracked(Deed.HINDERED, defocus_um, str(error))
        if not attempt.found:
            return self._searched(desk, now_s, attempt.reason)
        return Tracked(Deed.REFOCUSED, defocus_um, soon=True)


def _seen(here_um: float, slack_um: float, scale: DefocusScale, place: Place) -> Belief:
    """Return the belief that one look alone gives."""
    ends = scale.range
    seen = Belief(Range(here_um - ends.high_um, here_um - ends.low_um + slack_um))
    seen.look(here_um, scale, place, slack_um)
    return seen
