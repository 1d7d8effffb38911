"""Ours and the others on the same fields, from the same starts, with the same gears and clock."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from edge_af.bench.classic.brent import brent
from edge_af.bench.classic.hill_climb import hill_climb
from edge_af.bench.classic.jpeg_sweep import jpeg_sweep
from edge_af.bench.classic.mean_of_twenty import mean_of_twenty
from edge_af.bench.classic.rig import Asked, FocusMethod, Rig, WatchedStage
from edge_af.bench.classic.two_frames import two_frame_difference
from edge_af.bench.classic.z_stack import z_stack
from edge_af.bench.fields import Field, FieldClass, Scope, draw_field
from edge_af.bench.pool import spread
from edge_af.classifier import Classifier
from edge_af.model_file import ModelFile
from edge_af.routines.focus import focus
from edge_af.routines.ports import Attempt, Desk, View
from edge_af.routines.track import Tracker
from edge_af.routines.tracked import Deed
from edge_af.settings import FocusSettings, TrackSettings
from hw.errors import HardwareError
from hw.stage import LimitError
from hw.virtual.specimen import Specimen

GOOD_ENOUGH_UM = 0.5
"""Half the depth of field of 20x/0.75, lambda n / NA^2 = 1 um."""

_TOLD_UM = 1.0
"""From this far off on, the side on which the focus lies matters."""

_MOST_LOOKS = 20

_EMPTY_SHARE = 10
"""For so many fields with something in them, one more that is empty."""


def single_shot(rig: Rig) -> Attempt:
    """Focus as `edge-af focus` does: a single shot, and a sweep where that gives no answer."""
    return focus(rig.desk, rig.observer)[1]


def track(rig: Rig) -> Attempt:
    """Let tracking find the focus: look after look until one neither moves nor doubts."""
    settings = TrackSettings()
    tracker = Tracker(settings)
    reason = ""
    for _ in range(_MOST_LOOKS):
        tracked = tracker.look(rig.desk, rig.observer, rig.clock.now_s())
        if tracked.deed is Deed.HELD and not tracked.soon:
            return Attempt(True)
        if tracked.deed is Deed.BLIND:
            return Attempt(False, tracked.reason)
        reason = tracked.reason
        rig.clock.wait_until_s(rig.clock.now_s() + tracked.next_look_s(settings))
    return Attempt(False, reason or f"not at rest after {_MOST_LOOKS} looks")


METHODS: Mapping[str, FocusMethod] = {
    "single_shot": single_shot,
    "track": track,
    "hill_climb": hill_climb,
    "z_stack": z_stack,
    "brent": brent,
    "jpeg_sweep": jpeg_sweep,
    "mean_of_twenty": mean_of_twenty,
    "two_frame_difference": two_frame_difference,
}
OURS = ("single_shot", "track")


@dataclass(frozen=True, slots=True)
class Run:
    """How one method did on one field, by the hidden truth.

    `error_um` is the true defocus at the end. `found` is what the method said. `false_direction`
    says that its first move was to lead away from the focus; None where the start was too near for
    that to matter, and where no answer led it but the way a search always begins. `crashed` means
    that the axis touched a hard stop, `limit_hit` that the guard refused a move.
    """

    method: str
    field: int
    field_class: str
    start_um: float
    backlash_um: float
    drift_um_per_s: float
    found: bool
    error_um: float
    frames: int
    moves: int
    travel_um: float
    time_s: float
    false_direction: bool | None
    limit_hit: bool
    crashed: bool
    reason: str

    @property
    def success(self) -> bool:
        """Whether it ended in focus and said so, or left an empty field alone."""
        if self.field_class == FieldClass.EMPTY:
            return not self.found
        good = self.found and abs(self.error_um) <= GOOD_ENOUGH_UM
        return good and not (self.crashed or self.limit_hit)


def drawn_fields(seed: int, count: int) -> list[Field]:
    """Return `count` fields that hold something, and a tenth as many empty ones after them."""
    full = [draw_field(seed, number) for number in range(count)]
    empty = -(-count // _EMPTY_SHARE)
    return full + [draw_field(seed, count + number, empty=True) for number in range(empty)]


def contest(
    fields: Sequence[Field], methods: Sequence[str], model: Path | None, workers: int
) -> Iterator[list[Run]]:
    """Yield the runs of each field as they are done, in any order; the model ships if None.

    What comes out does not depend on `workers`.
    """
    return spread(_compete, [(field, methods) for field in fields], model, workers)


def _compete(model: ModelFile, task: tuple[Field, Sequence[str]]) -> list[Run]:
    return compete(*task, Classifier(model))


def compete(field: Field, methods: Sequence[str], classifier: Classifier) -> list[Run]:
    """Run methods on a field, each on a microscope of its own that is like the others'."""
    specimen = Scope(field).microscope.scene.specimen
    return [_run(name, field, specimen, classifier) for name in methods]


def _run(name: str, field: Field, specimen: Specimen, classifier: Classifier) -> Run:
    scope, settings = Scope(field, specimen), FocusSettings()
    camera, clock, truth = scope.microscope.camera, scope.clock, scope.truth
    with scope.stage, camera, scope.stage.command(budget_um=10 * settings.travel_budget_um):
        asked = Asked(classifier)
        stage = WatchedStage(scope.stage, clock, asked)
        view = View(camera, stage, clock, settings.frame_timeout_s)
        rig = Rig(
            Desk(view, stage, settings),
            stage,
            camera,
            clock,
            asked,
            scope.microscope.scene.bank.optics.numerical_aperture,
        )
        start_um, defocus_um, start_s = stage.position_um, truth.defocus_um, clock.now_s()
        limit_hit = False
        try:
            attempt = METHODS[name](rig)
        except LimitError as error:
            attempt, limit_hit = Attempt(False, str(error)), True
        except HardwareError as error:
            attempt = Attempt(False, str(error))
        time_s = clock.now_s() - start_s
        clock.wait_until_s(stage.settled_at_s)
    return Run(
        method=name,
        field=field.number,
        field_class=scope.field_class,
        start_um=field.start_um,
        backlash_um=field.backlash_um,
        drift_um_per_s=field.drift_um_per_s,
        found=attempt.found,
        error_um=truth.defocus_um,
        frames=view.frames,
        moves=stage.moves,
        travel_um=scope.stage.travel_um,
        time_s=time_s,
        false_direction=_false_direction(stage, start_um, defocus_um),
        limit_hit=limit_hit,
        crashed=truth.crashes > 0,
        reason=attempt.reason,
    )


def _false_direction(stage: WatchedStage, start_um: float, defocus_um: float) -> bool | None:
    if abs(defocus_um) <= _TOLD_UM or stage.told_um is None:
        return None
    return (stage.told_um - start_um) * defocus_um > 0
