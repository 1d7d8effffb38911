"""How long this machine takes for one frame."""

import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from edge_af.classifier import MOST_TILES, Classifier, calibrated, fuse
from edge_af.shipped import read_model
from edge_af.tiles import cut
from hw.camera import Frame

FRAME_PX = (480, 640)
"""Height and width of the frame looked at, or the model's tile if that is larger."""


@dataclass(frozen=True, slots=True)
class Timing:
    """How long something took, in ms."""

    median: float
    p95: float
    p99: float
    max: float

    @classmethod
    def of(cls, samples_s: Sequence[float]) -> "Timing":
        """Summarise one or more durations in s; percentiles are interpolated linearly."""
        median, p95, p99, largest = np.percentile(samples_s, [50, 95, 99, 100]) * 1e3
        return cls(float(median), float(p95), float(p99), float(largest))


@dataclass(frozen=True, slots=True)
class Latency:
    """What looking at one frame costs.

    `preprocess_ms` is from pixels to the network's input, `invoke_ms` the network on all tiles,
    `decode_ms` from its outputs to one distribution, `total_ms` all three. `resident_mb` is what
    the process then held in memory, 10^6 bytes; None where there is no /proc.
    """

    runtime: str
    frame_px: tuple[int, int]
    tiles: int
    runs: int
    preprocess_ms: Timing
    invoke_ms: Timing
    invoke_tile_ms: Timing
    decode_ms: Timing
    total_ms: Timing
    resident_mb: float | None


def load(path: Path | None, threads: int) -> tuple[Classifier, float]:
    """Return a model ready to look, the one that ships if `path` is None, and the ms it took.

    From the file to the end of a first inference; the import of the runtime counts if it is the
    first. Raises ModelError.
    """
    start_s = time.perf_counter()
    classifier = Classifier(read_model(path), threads)
    return classifier, (time.perf_counter() - start_s) * 1e3


def look_latency(classifier: Classifier, steps: Iterable[object], warm_up: int) -> Latency:
    """Time one look for each of `steps`, the first `warm_up` of them left out of the figures.

    Every tile is taken all the way, none refused: the most that a frame costs. What is in the
    picture makes no difference then, so it is noise, at the model's own pixel size.
    """
    card = classifier.card
    height_px, width_px = (max(extent, card.tile_px) for extent in FRAME_PX)
    rng = np.random.default_rng(0)
    pixels = rng.integers(0, 256, (height_px, width_px, 3), np.uint8)
    frame = Frame(pixels, 0.0, 0.0, card.um_per_px)
    stages: list[tuple[float, float, float]] = []
    invokes_s: list[float] = []
    tiles = 0
    for number, _ in enumerate(steps):
        start_s = time.perf_counter()
        features = classifier.features(cut(frame, card.um_per_px, card.tile_px, MOST_TILES))
        marks_s = [time.perf_counter()]
        outputs = []
        for tile in range(len(features)):
            outputs.append(classifier.network(features[tile : tile + 1]))
            marks_s.append(time.perf_counter())
        fuse(calibrated(np.concatenate(outputs), card))
        end_s = time.perf_counter()
        if number >= warm_up:
            stages.append((marks_s[0] - start_s, marks_s[-1] - marks_s[0], end_s - marks_s[-1]))
            invokes_s.extend(np.diff(marks_s))
        tiles = len(features)
    preprocess_s, invoke_s, decode_s = zip(*stages, strict=True)
    return Latency(
        runtime=classifier.network.runtime,
        frame_px=(height_px, width_px),
        tiles=tiles,
        runs=len(stages),
        preprocess_ms=Timing.of(preprocess_s),
        invoke_ms=Timing.of(invoke_s),
        invoke_tile_ms=Timing.of(invokes_s),
        decode_ms=Timing.of(decode_s),
        total_ms=Timing.of([sum(stage) for stage in stages]),
        resident_mb=resident_mb(),
    )


def resident_mb(status: Path = Path("/proc/self/status")) -> float | None:
    """Return the resident memory of this process in 10^6 bytes, None where there is no /proc.

    The kernel counts it in KiB, which it calls kB (proc(5)).
    """
    try:
        lines = status.read_text().splitlines()
    except OSError:
        return None
    sizes = [line.split()[1] for line in lines if line.startswith("VmRSS:")]
    return int(sizes[0]) * 1024 / 1e6 if sizes else None
