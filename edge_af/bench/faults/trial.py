"""One fault, once: at a random moment of a focus, a move or tracking; and what came of it."""

from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

from edge_af.bench.faults.faulty import FaultyCamera, FaultyStage, SlowObserver, Window
from edge_af.bench.faults.kinds import KINDS, Kind
from edge_af.bench.fields import ROOM_UM, Field, Scope, draw_field
from edge_af.errors import EdgeAfError, ModelError
from edge_af.instrument import Instrument
from edge_af.model_file import ModelFile, read_model_file
from edge_af.routines.ports import Outcome
from edge_af.routines.track import Tracker
from edge_af.routines.tracked import Deed
from edge_af.settings import FocusSettings, TrackSettings
from hw.errors import HardwareError
from hw.stage import Range
from hw.virtual.clock import SimulatedClock
from hw.virtual.stage import VirtualStage

ACTIVITIES = ("focus", "move", "track")

_WRONG_UM = 1.0
"""Further off than a depth of field, "in focus" is wrong."""

_BEYOND_UM = 2.0
"""Hard stops lie so far beyond the soft limits."""

_LASTS_S = 3.0
_LOOKS = 8
_MOVES = 4
_BEFORE_S = {"focus": 1.0, "move": 0.6, "track": 30.0}
"""How long an activity takes, about: the fault comes at a random moment of it."""


@dataclass(frozen=True, slots=True)
class Trial:
    """What came of one injection, by the hidden truth.

    `crashed`: the axis touched a hard stop. `wrongly_trusted`: the guard trusted a count that was
    more than a step off. `wrong_focus`: it said that it was in focus, more than 1 um off.
    `recovered`: once the fault was over a focus ended as one does, without a person.
    """

    fault: str
    activity: str
    crashed: bool
    wrongly_trusted: bool
    wrong_focus: bool
    recovered: bool
    needs_person: bool
    note: str


def trial(name: str, seed: int, number: int, model: ModelFile) -> Trial:
    """Inject a fault of `KINDS` once. The same arguments give the same trial."""
    kind = KINDS[name]
    rng = np.random.default_rng([seed, number, list(KINDS).index(name), 47])
    field = draw_field(seed, int(rng.integers(2**31)))
    activity = ACTIVITIES[number % len(ACTIVITIES)]
    bench = _Bench(kind, field, model)
    with bench.instrument:
        bench.instrument.use_model(model, bench.scope.microscope.frame_px)
        note = bench.run(activity, rng)
        recovered, more = bench.recovers()
    return Trial(
        fault=name,
        activity=activity,
        crashed=bench.scope.truth.crashes > 0,
        wrongly_trusted=bench.wrongly_trusted,
        wrong_focus=bench.wrong_focus,
        recovered=recovered,
        needs_person=kind.needs_person,
        note="; ".join(part for part in (note, more) if part),
    )


class _Bench:
    """A microscope with something that will go wrong."""

    def __init__(self, kind: Kind, field: Field, model: ModelFile) -> None:
        plain = Scope(field)
        here_um = plain.microscope.stage.position_um
        beyond_um = ROOM_UM + _BEYOND_UM + field.backlash_um
        stops = Range(here_um - beyond_um, here_um + beyond_um)
        self._kind, self._model = kind, model

        def wrapped(stage: VirtualStage, clock: SimulatedClock) -> FaultyStage:
            self._window = Window(clock)
            return FaultyStage(stage, self._window, kind.line)

        self.scope = scope = Scope(field, plain.microscope.scene.specimen, stops, wrapped)
        self.instrument = Instrument(
            FaultyCamera(scope.microscope.camera, self._window, kind.exposure),
            scope.stage,
            scope.clock,
            FocusSettings(),
            lambda observer: SlowObserver(observer, self._window, kind.slow_s),
        )
        self.wrongly_trusted = self.wrong_focus = False

    def run(self, activity: str, rng: np.random.Generator) -> str:
        """Do something, with the fault on its way, and return how it ended."""
        clock, begins_s = self.scope.clock, float(rng.uniform(0, _BEFORE_S[activity]))
        ends_s = begins_s + float(rng.uniform(0.1, _LASTS_S))
        if activity == "track":
            with suppress(EdgeAfError, HardwareError):
                self.instrument.focus()
        now_s = clock.now_s()
        self._window.begins_s, self._window.ends_s = now_s + begins_s, now_s + ends_s
        if self._kind.missed_steps:
            clock.at(now_s + begins_s, lambda: self.scope.truth.miss_steps(self._kind.missed_steps))
            clock.at(now_s + ends_s, lambda: self.scope.truth.miss_steps(0.0))
        note = ""
        try:
            match activity:
                case "focus":
                    self._focus()
                case "move":
                    self._move(rng)
                case _:
                    self._track()
        except (EdgeAfError, HardwareError) as error:
            note = f"{type(error).__name__}: {error}"
        self._judge_trust()
        if self._kind.damages_model:
            note = self._reload(rng)
        return note

    def recovers(self) -> tuple[bool, str]:
        """Let the fault pass, and focus; tell whether that works, and if not why."""
        clock = self.scope.clock
        if self._window.ends_s < float("inf"):
            clock.wait_until_s(self._window.ends_s)
        try:
            self._focus()
        except (EdgeAfError, HardwareError) as error:
            return False, f"{type(error).__name__}: {error}"
        finally:
            self._judge_trust()
        return True, ""

    def _focus(self) -> None:
        if self.instrument.focus().outcome is Outcome.FOCUSED:
            self._judge_focus()

    def _move(self, rng: np.random.Generator) -> None:
        here_um = self.scope.stage.position_um
        for offset_um in rng.uniform(-ROOM_UM + 10, ROOM_UM, _MOVES):
            self.instrument.move_to(self.scope.stage.reachable.clip(here_um + float(offset_um)))

    def _track(self) -> None:
        settings = TrackSettings()
        tracker, clock = Tracker(settings), self.scope.clock
        for _ in range(_LOOKS):
            tracked = self.instrument.track(tracker)
            if tracked.deed is Deed.HELD and not tracked.soon and not tracked.reason:
                self._judge_focus()
            clock.wait_until_s(clock.now_s() + tracked.next_look_s(settings))

    def _reload(self, rng: np.random.Generator) -> str:
        """Offer a damaged copy of the model: one bit is another, or its end is missing."""
        content = bytearray(self._model.content)
        if rng.random() < 0.5:
            content[int(rng.integers(len(content)))] ^= 1 << int(rng.integers(8))
        else:
            del content[int(rng.integers(len(content))) :]
        with TemporaryDirectory() as folder:
            path = Path(folder) / "damaged.tflite"
            path.write_bytes(content)
            try:
                self.instrument.use_model(read_model_file(path), self.scope.microscope.frame_px)
            except ModelError:
                return ""
        self.wrong_focus = True  # whatever it says from now on
        return "the damaged model was taken"

    def _judge_focus(self) -> None:
        self.wrong_focus |= abs(self.scope.truth.defocus_um) > _WRONG_UM

    def _judge_trust(self) -> None:
        stage = self.scope.stage
        off_um = abs(stage.position_um - self.scope.truth.motor_um)
        self.wrongly_trusted |= stage.trusted and off_um > 1.5 * stage.step_um
