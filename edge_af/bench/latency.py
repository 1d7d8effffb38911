"""How long this machine takes for one frame: models, threads and runtimes in turn."""

import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from edge_af.belief import Belief
from edge_af.bench.canned import CannedCamera
from edge_af.bench.engines import Engine, engine, fastest_installed
from edge_af.bench.limit import ceiling_macs_per_s, macs
from edge_af.bench.timing import Timing
from edge_af.classifier import MOST_TILES, Classifier, agree, calibrated, entropy_nats, fuse
from edge_af.classifier import novelty as novelty_of
from edge_af.errors import ModelError
from edge_af.model_file import ModelFile, read_model_file
from edge_af.place import place_of
from edge_af.routines.ports import View
from edge_af.tiles import cut
from hw.stage import Range
from hw.virtual.clock import SimulatedClock
from hw.virtual.mechanics import Mechanics
from hw.virtual.stage import VirtualStage

STAGES = ("acquire", "tile", "transform", "invoke", "decode", "decide")
"""Of one look: the frame checked to be fresh; cut into tiles and these ranked; pixels to the
network's input; the network; its outputs to one distribution; that to a belief and a target."""

_BARE_RUNS = 5
"""In each round the interpreter alone runs so often, one right after the other."""

_SLACK_UM = 2.5


@dataclass(frozen=True, slots=True)
class Latency:
    """What one contender needs for one frame.

    `stages` and `total_ms` are of whole looks, `model_ms` of what the model needs by design, its
    input transform and the network, on as many tiles; None for a file without a card, which can
    only be run. `bare_invoke_ms` is the interpreter alone, one tile. `jitter_ms` is the standard
    deviation of the total. `ratio` is that of the bare invoke to the fastest contender's.
    `ceiling_share` is how near it comes to what the machine can do at best.
    """

    model: str
    runtime: str
    threads: int
    load_ms: float
    first_look_ms: float | None
    stages: dict[str, Timing] | None
    total_ms: Timing | None
    model_ms: Timing | None
    bare_invoke_ms: Timing
    jitter_ms: float | None
    ratio: float
    macs: int | None
    ceiling_share: float | None


class Contender:
    """One model in one runtime with so many threads: loaded, and timed round by round."""

    def __init__(self, path: Path, runtime: str, threads: int, tiles: int = MOST_TILES) -> None:
        """Load it. Raises UserError as `engine` does, ModelError if it is no model."""
        self.path, self.runtime, self.threads, self.tiles = path, runtime, threads, tiles
        card_of = _with_card(path) if runtime == fastest_installed() else None
        start_s = time.perf_counter()
        self._bare: Engine = engine(path, runtime, threads)
        self._look: _Look | None = None
        if card_of is not None:
            start_s = time.perf_counter()
            self._look = _Look(Classifier(card_of, threads), tiles)
        self.load_ms = (time.perf_counter() - start_s) * 1e3
        self.first_look_ms: float | None = None
        self._looks_s: list[list[float]] = []
        self._model_s: list[float] = []
        self._bare_s: list[float] = []

    def round(self, *, counts: bool) -> None:
        """Take one look, run the model by itself, and the interpreter; keep the times if asked."""
        if self._look is not None:
            look_s = self._look.whole()
            if self.first_look_ms is None:
                self.first_look_ms = sum(look_s) * 1e3
            model_s = self._look.model()
            if counts:
                self._looks_s.append(look_s)
                self._model_s.append(model_s)
        for _ in range(_BARE_RUNS):
            start_s = time.perf_counter()
            self._bare()
            if counts:
                self._bare_s.append(time.perf_counter() - start_s)

    @property
    def bare_s(self) -> float:
        """The median time of the interpreter alone."""
        return float(np.median(self._bare_s))

    def result(self, fastest_s: float, ceiling: float) -> Latency:
        """Return the figures; `ceiling` in multiplications a second."""
        totals_s = [sum(look_s) for look_s in self._looks_s]
        count = macs(self.path)
        return Latency(
            model=self.path.stem,
            runtime=self.runtime,
            threads=self.threads,
            load_ms=self.load_ms,
            first_look_ms=self.first_look_ms,
            stages=dict(zip(STAGES, map(Timing.of, zip(*self._looks_s, strict=True)), strict=True))
            if totals_s
            else None,
            total_ms=Timing.of(totals_s) if totals_s else None,
            model_ms=Timing.of(self._model_s) if totals_s else None,
            bare_invoke_ms=Timing.of(self._bare_s),
            jitter_ms=float(np.std(totals_s)) * 1e3 if totals_s else None,
            ratio=self.bare_s / fastest_s,
            macs=count,
            ceiling_share=None if count is None else count / self.bare_s / ceiling,
        )

    @property
    def totals_ms(self) -> list[float]:
        """The total of each look, in order."""
        return [sum(look_s) * 1e3 for look_s in self._looks_s]


def _with_card(path: Path) -> ModelFile | None:
    try:
        return read_model_file(path)
    except ModelError as error:
        if "without a model card" in str(error):
            return None
        raise


class _Look:
    """One look after another, as a single shot takes them, timed stage by stage.

    Every tile is taken all the way, none refused: the most that a frame costs.
    """

    def __init__(self, classifier: Classifier, tiles: int) -> None:
        self._classifier = classifier
        self._tiles = tiles
        clock = SimulatedClock()
        camera = CannedCamera(classifier.card, clock)
        self._view = View(camera, VirtualStage(Mechanics(), clock), clock, timeout_s=1.0)
        card = classifier.card
        self._cut = cut(self._view.frame(), card.um_per_px, card.tile_px, tiles)

    def whole(self) -> list[float]:
        classifier, card = self._classifier, self._classifier.card
        marks_s = [time.perf_counter()]
        frame = self._view.frame()
        marks_s.append(time.perf_counter())
        tiles = cut(frame, card.um_per_px, card.tile_px, self._tiles)
        marks_s.append(time.perf_counter())
        features = classifier.features(tiles)
        marks_s.append(time.perf_counter())
        outputs = classifier.network(features)
        marks_s.append(time.perf_counter())
        novelty_of(card, features)
        answers = calibrated(outputs, card)
        entropy_nats(answers)
        agree(classifier.scale.expected_um(answers))
        fuse(answers)
        place = place_of(classifier.scale, answers)
        marks_s.append(time.perf_counter())
        ends = classifier.scale.range
        belief = Belief(Range(-2 * ends.high_um, -2 * ends.low_um))
        belief.look(0.0, classifier.scale, place, _SLACK_UM)
        belief.within(belief.best_um, 0.4)
        marks_s.append(time.perf_counter())
        return np.diff(marks_s).tolist()

    def model(self) -> float:
        start_s = time.perf_counter()
        self._classifier.network(self._classifier.features(self._cut))
        return time.perf_counter() - start_s


def measured(contenders: Sequence[Contender], steps: Iterable[object], warm_up: int) -> None:
    """Let all contenders have their turn in each of `steps`, the first `warm_up` not counted.

    A B A B, so that what slows the machine down for a while slows all of them.
    """
    for number, _ in enumerate(steps):
        for contender in contenders:
            contender.round(counts=number >= warm_up)


def results(contenders: Sequence[Contender]) -> list[Latency]:
    """Return the figures of contenders that were measured."""
    fastest_s = min(one.bare_s for one in contenders)
    ceilings = {
        threads: ceiling_macs_per_s(fastest_installed(), threads)
        for threads in {one.threads for one in contenders}
    }
    return [one.result(fastest_s, ceilings[one.threads]) for one in contenders]
