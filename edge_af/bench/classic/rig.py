"""What a method is given to work with, and what is counted while it does."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from edge_af.classifier import Sight
from edge_af.routines.ports import Attempt, Desk, Observer
from edge_af.scale import DefocusScale
from hw.camera import Camera, Frame
from hw.clock import Clock
from hw.guard import GuardedStage
from hw.stage import Range

_RUN_S = 0.04


class SchedulingClock(Clock, Protocol):
    """A clock that does something when its time has come, also in the midst of a move."""

    def at(self, time_s: float, action: Callable[[], None]) -> None:
        """Run `action` when time passes `time_s`."""
        ...


class Asked:
    """An observer, and whether the last that it was asked got an answer."""

    def __init__(self, observer: Observer) -> None:
        self._observer = observer
        self.answered = False

    @property
    def scale(self) -> DefocusScale:
        """The bins of its distributions."""
        return self._observer.scale

    def look(self, frame: Frame) -> Sight:
        """Return what a frame says of its defocus."""
        sight = self._observer.look(frame)
        self.answered = sight.place is not None
        return sight


class WatchedStage:
    """A guarded stage that keeps count. As `edge_af.routines.ports.FocusStage` says, and `crawl`.

    `moves` are motions from rest to rest. `told_um` is where the first one was to lead, if an
    answer of the observer led there; the first of a search goes to the same end whatever is seen.
    """

    def __init__(self, stage: GuardedStage, clock: Clock, asked: Asked) -> None:
        self._stage = stage
        self._clock = clock
        self._asked = asked
        self.moves = 0
        self.told_um: float | None = None

    @property
    def step_um(self) -> float:
        """Smallest move, in um."""
        return self._stage.step_um

    @property
    def travel(self) -> Range:
        """The soft limits, as far as the mechanics can reach them."""
        return self._stage.travel

    @property
    def reachable(self) -> Range:
        """Targets that any move may ask for."""
        return self._stage.reachable

    @property
    def position_um(self) -> float:
        """Position counted from the steps actually sent, in um."""
        return self._stage.position_um

    @property
    def settled_at_s(self) -> float:
        """When the stage is, or was, at rest after its last step, settling included."""
        return self._stage.settled_at_s

    @property
    def slack_um(self) -> float:
        """Upper bound of the gap that a run upwards must take up before the axis follows."""
        return self._stage.slack_um

    @property
    def overshoot_um(self) -> float:
        """How far below its target a move from above goes, to arrive upwards."""
        return self._stage.overshoot_um

    def move_to_um(self, target_um: float) -> None:
        """Move as the guard does."""
        self._count(target_um)
        self._stage.move_to_um(target_um)

    def crawl(self, target_um: float, speed_um_per_s: float) -> list[tuple[float, float]]:
        """Go up to `target_um` slower than the motor's own speed, which a motor board can do.

        In runs of 40 ms or a step, whichever is more. Returns times in s and positions on the way.
        """
        self._count(target_um)
        path = [(self._clock.now_s(), self.position_um)]
        start_s, start_um = path[0]
        run_um = max(self.step_um, _RUN_S * speed_um_per_s)
        while self.position_um < target_um - self.step_um / 2:
            path.append((self._clock.now_s(), self.position_um))
            self._stage.move_to_um(min(self.position_um + run_um, target_um))
            path.append((self._clock.now_s(), self.position_um))
            self._clock.wait_until_s(start_s + (self.position_um - start_um) / speed_um_per_s)
        return path

    def stop(self) -> None:
        """Stop as the guard does."""
        self._stage.stop()

    def _count(self, target_um: float) -> None:
        if abs(target_um - self.position_um) < self.step_um / 2:
            return
        if self.moves == 0 and self._asked.answered:
            self.told_um = target_um
        self.moves += 1

    def __enter__(self) -> "WatchedStage":
        self._stage.__enter__()
        return self

    def __exit__(self, *error: object) -> None:
        self._stage.__exit__(*error)


@dataclass(frozen=True, slots=True)
class Rig:
    """A desk, and what some methods need beside it. `desk.stage` is `stage`.

    `numerical_aperture` is what is printed on the objective.
    """

    desk: Desk
    stage: WatchedStage
    camera: Camera
    clock: SchedulingClock
    observer: Observer
    numerical_aperture: float

    def engage(self) -> None:
        """Take up the gap of the gears: before that, places seen do not compare."""
        stage = self.stage
        if stage.slack_um > 0:
            stage.move_to_um(stage.reachable.clip(stage.position_um - stage.step_um))

    @property
    def span(self) -> Range:
        """Where the focus is sought: as far to either side as a sweep of ours looks."""
        here_um, reach_um = self.stage.position_um, self.desk.settings.sweep_reach_um
        reachable = self.stage.reachable
        return Range(reachable.clip(here_um - reach_um), reachable.clip(here_um + reach_um))


FocusMethod = Callable[[Rig], Attempt]
