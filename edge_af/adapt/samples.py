"""Focal stacks of one instrument, as what a head is fitted on."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from edge_af.adapt.fields import Field
from edge_af.classifier import Classifier, calibrated, novelty
from edge_af.errors import UserError
from edge_af.scale import DefocusScale
from edge_af.tiles import SAME_PITCH, Tile, cut, fits_pitch
from hw.camera import Frame
from hw.stack import Slice, Stack

_FEWEST_FIELDS = 2
"""One to fit on and one to judge by."""

_REACH = 0.8
_WIDEST_GAP_UM = 1.5
"""Every stack must cover this share of the model's range without a wider gap: where a head has seen
nothing it would take the nearest defocus that it knows."""

_FEWEST_TILES = 50

_MOST_TILES = 16
"""Of a slice, those with the most in them. More teach a little more, and take longer."""


@dataclass(frozen=True)
class Samples:
    """n tiles of several fields.

    `penultimate` is (n, m); `shipped` what the model's own head says, probabilities (n, k);
    `defocus_um`, `novelty` and `field`, the index of the field, are (n,). `um_per_px` is the pixel
    size at which the tiles were cut.
    """

    penultimate: NDArray[np.float64]
    shipped: NDArray[np.float64]
    defocus_um: NDArray[np.float64]
    novelty: NDArray[np.float64]
    field: NDArray[np.intp]
    um_per_px: float


@dataclass(frozen=True, slots=True)
class _Seen:
    """The tiles of one slice, in the order of Samples' fields."""

    penultimate: NDArray[np.float32]
    shipped: NDArray[np.float64]
    defocus_um: NDArray[np.float64]
    novelty: NDArray[np.float64]


def gather(classifier: Classifier, fields: Sequence[Field], say: Callable[[str], None]) -> Samples:
    """Return the tiles of stacks that say their um per px and, for each slice, its defocus.

    Slices beyond the model's range are left out. `say` is told each step. Raises UserError for
    fields that are too few, too short, too coarse, empty or of different pixel sizes, and
    ModelError for frames that do not fit the model, or a model without a second output.
    """
    card = classifier.card
    if len(fields) < _FEWEST_FIELDS:
        raise UserError(
            f"{len(fields)} field is too few: give stacks of at least {_FEWEST_FIELDS}, better 3, "
            "at different places"
        )
    um_per_px = _common_um_per_px(fields)
    # Pixels too coarse for the model are left as they are: a head can learn what they look like.
    tiles_um_per_px = card.um_per_px if fits_pitch(um_per_px, card.um_per_px) else um_per_px
    seen, field_of = [], []
    for number, field in enumerate(fields):
        slices = [one for stack in field.stacks for one in _covering(field, stack, card.scale)]
        full = 0
        for place, one in enumerate(slices, 1):
            say(f"field {number + 1} of {len(fields)}: slice {place} of {len(slices)}")
            found = _look(classifier, Frame(one.pixels(), 0.0, 0.0, um_per_px), tiles_um_per_px)
            full += len(found)
            if found:
                seen.append(_ask(classifier, found, one.z_um))
                field_of.append(np.full(len(found), number))
        if full < _FEWEST_TILES:
            raise UserError(
                f"{field.name} has {full} tiles with something in them, {_FEWEST_TILES} are "
                "needed: record where there is more specimen"
            )
    return Samples(
        np.concatenate([one.penultimate for one in seen]).astype(np.float64),
        np.concatenate([one.shipped for one in seen]),
        np.concatenate([one.defocus_um for one in seen]),
        np.concatenate([one.novelty for one in seen]),
        np.concatenate(field_of),
        tiles_um_per_px,
    )


def _look(classifier: Classifier, frame: Frame, um_per_px: float) -> list[Tile]:
    """Return the tiles of a frame that hold something."""
    card = classifier.card
    tiles = cut(frame, um_per_px, card.tile_px, _MOST_TILES)
    return [tile for tile in tiles if tile.content >= card.abstention.min_content]


def _ask(classifier: Classifier, tiles: list[Tile], z_um: float) -> _Seen:
    card = classifier.card
    features = classifier.features(tiles)
    outputs, penultimate = classifier.network.both(features)
    return _Seen(
        penultimate,
        calibrated(outputs, card),
        np.full(len(tiles), z_um),
        novelty(card, features),
    )


def _common_um_per_px(fields: Sequence[Field]) -> float:
    """Return the pixel size that all stacks share."""
    known = []
    for field in fields:
        for stack in field.stacks:
            if stack.um_per_px is None:
                raise UserError(f"{field.name} does not state its um per px: give --um-per-px")
            known.append(stack.um_per_px)
    low, high = min(known), max(known)
    if high > (1 + SAME_PITCH) * low:
        raise UserError(
            f"the stacks have pixels of {low:g} um to {high:g} um: a head is fitted to one "
            "instrument, with one objective and one binning"
        )
    return known[0]


def _covering(field: Field, stack: Stack, scale: DefocusScale) -> list[Slice]:
    """Return the slices within the scale's range; raise UserError unless they cover it."""
    outer = scale.range
    inside = [one for one in stack.slices if outer.low_um <= one.z_um <= outer.high_um]
    low_um, high_um = _REACH * outer.low_um, _REACH * outer.high_um
    places_um = [low_um, *(one.z_um for one in inside if low_um < one.z_um < high_um), high_um]
    below_um, above_um = max(pairwise(places_um), key=lambda pair: pair[1] - pair[0])
    if above_um - below_um > _WIDEST_GAP_UM:
        raise UserError(
            f"{field.name} has no slice between {below_um:g} um and {above_um:g} um out of focus: "
            f"record from {low_um:g} um to {high_um:g} um, at most {_WIDEST_GAP_UM:g} um apart"
        )
    return inside
