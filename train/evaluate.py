"""Judge a model as the device would use it: same transform, abstention and fusion of tiles."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import count, groupby, islice
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from edge_af.classifier import MOST_TILES, Classifier, entropy_nats, novelty
from edge_af.errors import UserError
from edge_af.tiles import SAME_PITCH, Tile, content
from train import standard
from train.manifest import Row
from train.metrics import Verdicts
from train.reading import by_file, common_um_per_px, read_tiles
from train.render import RenderPlan, render_field

TILES_PER_SPECIMEN = 8
"""Few, so that many specimens are seen."""

_BATCH = 64


@dataclass(frozen=True, slots=True)
class Labelled:
    """A tile to judge by: pixels, true defocus, and the true content in focus (NaN if unknown)."""

    pixels: NDArray[np.uint8]
    defocus_um: float
    content: float


def rendered(
    optics: str, tiles: int, seed: int, tile_px: int = standard.TILE_PX, *, flat: bool = False
) -> Iterator[Labelled]:
    """Yield `tiles` tiles of test specimens within the scale; the rest as in RenderPlan."""
    plan = RenderPlan("test", optics, seed, tile_px, flat=flat)
    left = tiles
    for field in count():
        inside = _inside(plan, field)
        rng = np.random.default_rng([seed, field])
        for index in rng.permutation(len(inside))[: min(TILES_PER_SPECIMEN, left)]:
            yield inside[index]
            left -= 1
        if left == 0:
            return


def rendered_frames(
    optics: str, frames: int, seed: int, tile_px: int = standard.TILE_PX, *, flat: bool = False
) -> Iterator[list[Labelled]]:
    """Yield all tiles of `frames` frames within the scale, each of another test specimen."""
    plan = RenderPlan("test", optics, seed, tile_px, planes=1, flat=flat)
    whole = (inside for field in count() if (inside := _inside(plan, field)))
    yield from islice(whole, frames)


def _inside(plan: RenderPlan, field: int) -> list[Labelled]:
    return [
        Labelled(tile.pixels, tile.defocus_um, tile.content)
        for tile in render_field(plan, field)
        if abs(tile.defocus_um) <= plan.range_um
    ]


def from_manifest(manifest: Path, rows: Sequence[Row], tile_px: int) -> Iterator[Labelled]:
    """Yield the tiles that a manifest lists; of those larger than `tile_px`, the middle.

    Raises UserError for smaller ones.
    """
    for of_file in by_file(rows):
        for row, pixels in zip(of_file, read_tiles(manifest.parent, of_file), strict=True):
            margin = (len(pixels) - tile_px) // 2
            if margin < 0:
                raise UserError(
                    f"{manifest.parent / row.file} holds tiles of {len(pixels)} px, the model "
                    f"looks at {tile_px} px: render or import them with --tile-px {tile_px}"
                )
            middle = slice(margin, margin + tile_px)
            yield Labelled(pixels[middle, middle], row.z_um, row.content)


def frames_from_manifest(
    manifest: Path, rows: Sequence[Row], tile_px: int
) -> Iterator[list[Labelled]]:
    """Yield the tiles of each frame: those of one field and frame, or else of one field and z."""
    for _, group in groupby(rows, key=_frame_of):
        yield list(from_manifest(manifest, list(group), tile_px))


def frames_in(rows: Sequence[Row]) -> int:
    """Return how many frames `frames_from_manifest` yields."""
    return sum(1 for _ in groupby(rows, key=_frame_of))


def _frame_of(row: Row) -> tuple[str, str | float]:
    return row.field, row.frame or row.z_um


def require_pitch(rows: Sequence[Row], um_per_px: float) -> None:
    """Raise UserError unless a manifest's pixels have the size that a model wants."""
    found = common_um_per_px(rows)
    if abs(found / um_per_px - 1) > SAME_PITCH:
        raise UserError(
            f"the tiles have pixels of {found:g} um, the model wants {um_per_px:g} um: import them "
            f"with --tile-um-per-px {um_per_px:g}"
        )


def judge(
    classifier: Classifier, tiles: Iterator[Labelled], progress: Callable[[int], None]
) -> Verdicts:
    """Return what the model says of each tile, by the rules of `Classifier.look`."""
    card, limits = classifier.card, classifier.card.abstention
    labelled: list[tuple[float, float]] = []
    probabilities, answered = [], []
    while some := list(islice(tiles, _BATCH)):
        seen = [Tile(one.pixels, (0, 0), content(one.pixels)) for one in some]
        features = classifier.features(seen)
        answers = classifier.answer(features)
        labelled += [(one.defocus_um, one.content) for one in some]
        probabilities.append(answers)
        answered.append(
            (np.array([tile.content for tile in seen]) >= limits.min_content)
            & (novelty(card, features) <= limits.max_novelty)
            & (entropy_nats(answers) <= limits.max_entropy_nats)
        )
        progress(len(labelled))
    if not labelled:
        raise UserError("there is no tile to judge by")
    truth = np.array(labelled)
    return Verdicts(
        truth[:, 0], truth[:, 1], np.concatenate(probabilities), np.concatenate(answered)
    )


def judge_frames(
    classifier: Classifier, frames: Iterator[list[Labelled]], progress: Callable[[int], None]
) -> Verdicts:
    """Return what the model says of each frame, its tiles fused as `Classifier.look` does it.

    The truth of a frame is the mean over its tiles, each weighted by what it holds.
    """
    classes = len(classifier.card.labels)
    truth_um, contents, probabilities, places = [], [], [], []
    for number, frame in enumerate(frames, 1):
        tiles = [Tile(one.pixels, (0, 0), content(one.pixels)) for one in frame]
        tiles.sort(key=lambda tile: tile.content, reverse=True)
        sight = classifier.see(tiles[:MOST_TILES])
        holds = np.array([one.content for one in frame])
        known = bool(np.isfinite(holds).all() and holds.sum() > 0)
        z_um = np.array([one.defocus_um for one in frame])
        truth_um.append(float(np.average(z_um, weights=holds if known else None)))
        contents.append(float(holds.max()))
        places.append(sight.place)
        even = np.full(classes, 1 / classes)
        probabilities.append(even if sight.distribution is None else sight.distribution)
        progress(number)
    said_um = [0.0 if place is None else place.defocus_um for place in places]
    answered = np.array([place is not None for place in places])
    return Verdicts(
        np.array(truth_um), np.array(contents), np.array(probabilities), answered, np.array(said_um)
    )
