"""Judge a packed model as the device would use it: same transform, runtime and abstention."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import count, groupby
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from edge_af.classifier import Classifier, entropy_nats, novelty
from edge_af.scale import DefocusScale
from edge_af.tiles import Tile, content
from hw.virtual.specimen import CONTENT_FLOOR
from train.manifest import Row
from train.reading import read_tiles
from train.render import RenderPlan, render_field

BEYOND_UM = 1.0
"""A wrong sign counts as a false direction only this far out of focus: nearer it does no harm."""

DEPTH_OF_FIELD_UM = 0.8
"""Of a 20x/0.75 objective."""

TILES_PER_SPECIMEN = 8
"""Few, so that many specimens are seen."""


@dataclass(frozen=True, slots=True)
class Labelled:
    """A tile to judge by: pixels, true defocus, and the true content in focus (NaN if unknown)."""

    pixels: NDArray[np.uint8]
    defocus_um: float
    content: float


@dataclass(frozen=True)
class Verdicts:
    """What a model said of n tiles: probabilities (n, k), and whether it gave an answer (n,)."""

    truth_um: NDArray[np.float64]
    content: NDArray[np.float64]
    probabilities: NDArray[np.float64]
    answered: NDArray[np.bool_]


def rendered(optics: str, tiles: int, seed: int) -> Iterator[Labelled]:
    """Yield `tiles` tiles of test specimens within the scale; `optics` as in RenderPlan."""
    plan = RenderPlan("test", optics, seed)
    left = tiles
    for field in count():
        inside = [
            Labelled(tile.pixels, tile.defocus_um, tile.content)
            for tile in render_field(plan, field)
            if abs(tile.defocus_um) <= plan.range_um
        ]
        rng = np.random.default_rng([seed, field])
        for index in rng.permutation(len(inside))[: min(TILES_PER_SPECIMEN, left)]:
            yield inside[index]
            left -= 1
        if left == 0:
            return


def from_manifest(manifest: Path, rows: Sequence[Row]) -> Iterator[Labelled]:
    """Yield the tiles that a manifest lists."""
    for _, group in groupby(rows, key=lambda row: row.file):
        of_file = list(group)
        for row, pixels in zip(of_file, read_tiles(manifest.parent, of_file), strict=True):
            yield Labelled(pixels, row.z_um, row.content)


def judge(
    classifier: Classifier, tiles: Iterator[Labelled], progress: Callable[[int], None]
) -> Verdicts:
    """Return what the model says of each tile, by the rules of `Classifier.look`."""
    card, limits = classifier.card, classifier.card.abstention
    truth_um, contents, probabilities, answered = [], [], [], []
    for number, labelled in enumerate(tiles, 1):
        seen = content(labelled.pixels)
        features = classifier.features([Tile(labelled.pixels, (0, 0), seen)])
        answer = classifier.answer(features)
        truth_um.append(labelled.defocus_um)
        contents.append(labelled.content)
        probabilities.append(answer[0])
        answered.append(
            seen >= limits.min_content
            and novelty(card, features)[0] <= limits.max_novelty
            and entropy_nats(answer)[0] <= limits.max_entropy_nats
        )
        progress(number)
    return Verdicts(
        np.array(truth_um), np.array(contents), np.array(probabilities), np.array(answered)
    )


def metrics(verdicts: Verdicts, scale: DefocusScale) -> dict[str, float]:
    """Return the figures of a model; shares are fractions.

    Tiles known to hold nothing are left out. Errors are those of the expected value, over the
    tiles that got an answer; `abstained` is the share that got none.
    """
    full = ~(verdicts.content < CONTENT_FLOOR)
    chosen = full & verdicts.answered
    truth_um = verdicts.truth_um[chosen]
    probabilities = verdicts.probabilities[chosen]
    if not len(truth_um):
        return {"n": int(full.sum()), "abstained": 1.0}
    said_um = scale.expected_um(probabilities)
    error_um = np.abs(said_um - truth_um)
    rank = np.argsort(np.argsort(scale.centres_um))
    true_class = np.array([scale.index_of(float(value)) for value in truth_um])
    apart = np.abs(rank[probabilities.argmax(axis=1)] - rank[true_class])
    far = np.abs(truth_um) > BEYOND_UM
    wrong_side = far & (np.sign(said_um) != np.sign(truth_um))
    return {
        "n": int(full.sum()),
        "answered": int(chosen.sum()),
        "top1": float((apart == 0).mean()),
        "within_1": float((apart <= 1).mean()),
        "mae_um": float(error_um.mean()),
        "median_abs_error_um": float(np.median(error_um)),
        "p95_abs_error_um": float(np.percentile(error_um, 95)),
        "within_dof": float((error_um <= DEPTH_OF_FIELD_UM / 2).mean()),
        "false_direction": float(wrong_side.sum() / max(far.sum(), 1)),
        "abstained": float(1 - chosen.sum() / max(full.sum(), 1)),
    }
