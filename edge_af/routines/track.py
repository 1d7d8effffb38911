"""Hold the focus against drift: look now and then, and put right what surely is off."""

import math
from collections import deque
from dataclasses import dataclass
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray

from edge_af.belief import Belief
from edge_af.drift import DriftFilter
from edge_af.routines.ports import Desk, Observer
from edge_af.routines.single_shot import single_shot
from edge_af.scale import DefocusScale
from edge_af.settings import TrackSettings
from hw.stage import LimitError, Range

_HOUR_S = 3600.0

_LEAST_SIGMA_UM = 0.2
"""No look is taken to be better: frames of one field err alike."""

_JUMPS = 2
"""So many looks in a row must see a jump: a hand that passes, or a knock, is over by the next."""

_SOON_S = 1.0

_SHOT_REST_S = 10.0
_SHOT_REST_MOST_S = 600.0
"""Time between single shots: doubled each time that one did not bring the focus back for good."""


class Deed(StrEnum):
    """What one look came to."""

    HELD = "held"
    CORRECTED = "corrected"
    REFOCUSED = "refocused"
    BLIND = "blind"
    """The model abstained; the position is held."""
    HINDERED = "hindered"
    """It should have moved and could not; `reason` says why. The position is held."""


@dataclass(frozen=True, slots=True)
class Tracked:
    """What one look saw and did. `defocus_um` is as believed before the deed, None while blind.

    `soon` says that the next look should not wait as long as usual.
    """

    deed: Deed
    defocus_um: float | None = None
    reason: str = ""
    soon: bool = False

    def next_look_s(self, settings: TrackSettings) -> float:
        """Return the time to the next look."""
        return min(settings.every_s, _SOON_S) if self.soon else settings.every_s


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
        self._corrected_s = -math.inf
        self._jumps = 0
        self._shot_again_s = -math.inf
        self._shot_rest_s = _SHOT_REST_S
        self._paths: deque[tuple[float, float]] = deque()

    def use_settings(self, settings: TrackSettings) -> None:
        """Hold by other settings from the next look on."""
        self._settings = settings

    def forget(self) -> None:
        """Begin anew, for something else has moved; the path of the hour still counts."""
        self._focus.displaced()
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
        does, which verifies. It never sweeps. Raises HardwareError as camera and stage do; a move
        that a limit forbids is no error but a hindrance.
        """
        sight = observer.look(desk.view.frame())
        if sight.distribution is None:
            self._jumps = 0
            return Tracked(Deed.BLIND, reason=f"the model abstained: {sight.abstained}")
        here_um, slack_um = desk.stage.position_um, desk.stage.slack_um
        newest = _seen(here_um, slack_um, observer.scale, sight.distribution)
        if newest.within(here_um, self._settings.jump_um) <= 1 - self._settings.certainty:
            return self._jumped(desk, observer, now_s, newest.best_um)
        self._jumps = 0
        if slack_um != self._slack_um:
            self._focus.displaced()
            self._slack_um = slack_um
        defocus_um, sigma_um = _moments(observer.scale, sight.distribution)
        self._focus.look(now_s, here_um - defocus_um, max(sigma_um, _LEAST_SIGMA_UM))
        return self._drifted(desk, now_s)

    def _drifted(self, desk: Desk, now_s: float) -> Tracked:
        stage, settings, focus = desk.stage, self._settings, self._focus
        here_um = stage.position_um
        defocus_um = here_um - focus.focus_um
        band_um = max(settings.dead_band_um, stage.step_um / 2)
        if focus.strange:
            return Tracked(Deed.HELD, defocus_um, "that did not fit; looking again", soon=True)
        if focus.beyond(here_um, band_um) < settings.certainty:
            self._shot_rest_s = _SHOT_REST_S
            return Tracked(Deed.HELD, defocus_um)
        if now_s < self._corrected_s + settings.rest_s:
            return Tracked(Deed.HELD, defocus_um, "it has just been corrected")
        target_um = stage.reachable.clip(self._target_um(desk))
        if abs(target_um - here_um) < stage.step_um / 2:
            return Tracked(Deed.HINDERED, defocus_um, "the focus lies out of the stage's reach")
        try:
            stage.move_to_um(target_um)
        except LimitError as error:
            return Tracked(Deed.HINDERED, defocus_um, str(error))
        engaged = stage.slack_um != self._slack_um
        if not engaged:
            self._corrected_s = now_s
        return Tracked(Deed.CORRECTED, defocus_um, soon=engaged)

    def _target_um(self, desk: Desk) -> float:
        """Return where to go. It ends with the gears engaged, and so half their gap higher.

        That may be where the stage stands, which would engage nothing: then without the half gap.
        """
        stage, focus_um = desk.stage, self._focus.focus_um
        target_um = focus_um + stage.slack_um / 2
        return focus_um if abs(target_um - stage.position_um) < stage.step_um else target_um

    def _jumped(self, desk: Desk, observer: Observer, now_s: float, focus_um: float) -> Tracked:
        defocus_um = desk.stage.position_um - focus_um
        self._focus.displaced()
        self._jumps += 1
        if self._jumps < _JUMPS:
            reason = "the focus has jumped; looking again"
            return Tracked(Deed.HELD, defocus_um, reason, soon=True)
        if now_s < self._shot_again_s:
            wait_s = self._shot_again_s - now_s
            return Tracked(
                Deed.HINDERED, defocus_um, f"the last single shot did not last; {wait_s:.0f} s more"
            )
        self._jumps = 0
        self._shot_again_s = now_s + self._shot_rest_s
        self._shot_rest_s = min(2 * self._shot_rest_s, _SHOT_REST_MOST_S)
        try:
            attempt = single_shot(desk, observer)
        except LimitError as error:
            return Tracked(Deed.HINDERED, defocus_um, str(error))
        if not attempt.found:
            return Tracked(Deed.HINDERED, defocus_um, attempt.reason)
        return Tracked(Deed.REFOCUSED, defocus_um)


def _seen(
    here_um: float, slack_um: float, scale: DefocusScale, distribution: NDArray[np.float64]
) -> Belief:
    """Return the belief that one look alone gives."""
    ends = scale.range
    seen = Belief(Range(here_um - ends.high_um, here_um - ends.low_um + slack_um))
    seen.look(here_um, scale, distribution, slack_um)
    return seen


def _moments(scale: DefocusScale, distribution: NDArray[np.float64]) -> tuple[float, float]:
    """Return mean and standard deviation of the defocus, in um.

    The classes' own width is in neither: answers move evenly from one to the next.
    """
    mean_um = float(distribution @ scale.centres_um)
    return mean_um, math.sqrt(float(distribution @ (scale.centres_um - mean_um) ** 2))
