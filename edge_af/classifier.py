"""From tiles to one distribution over defocus, or to none, with the reason."""

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray

from edge_af.card import ModelCard, PixelInput
from edge_af.head import Head
from edge_af.interpreter import Network
from edge_af.model_file import ModelFile
from edge_af.place import Place, place_of
from edge_af.spectrum import MIDDLE, PER_DEVIATION, PolarSpectrum
from edge_af.temperature import softmax
from edge_af.tiles import Tile, cut
from hw.camera import Frame

MOST_TILES = 12
"""More tiles of one frame add little: their errors go together."""

INDEPENDENT_TILES = 4.0
"""All tiles of a frame together count as at most this many independent witnesses: on rendered
fields four to six gave the lowest negative log-likelihood."""

_TILE_DOUBT = 0.05

_LEADING = 0.5
_SOUND_SHARE = 0.5
"""Of the tiles with at least half the content of the fullest, half must be familiar and certain:
where most of a frame means nothing to the model, what it makes of the rest is not to be trusted."""

_LITTLE = 0.02
"""Content below which a tile may well hold too little to be read. That the model is not certain
of such a tile speaks against no other."""

_DISAGREEMENT_UM = 1.0
"""Median distance of the tiles' answers from their median, beyond which a frame makes no sense: a
specimen tilts by up to 1 um, and nine in ten validation frames stay within 0.6 um."""


class Abstained(StrEnum):
    """Why a frame got no answer."""

    EMPTY = "empty"
    UNFAMILIAR = "unfamiliar"
    UNCERTAIN = "uncertain"


@dataclass(frozen=True, slots=True)
class Witness:
    """A tile that was looked at, for whoever wants to see why; `corner_px` as `tiles.Tile` has it.

    `confidence` is the probability of its likeliest class.
    """

    corner_px: tuple[int, int]
    confidence: float
    used: bool


@dataclass(frozen=True, slots=True)
class Sight:
    """What one frame says. `distribution` is float64 (k,) in output order, None if abstained.

    `place` is the defocus that all tiles together give, finer than the classes. None if abstained.
    """

    distribution: NDArray[np.float64] | None
    abstained: Abstained | None
    tiles_used: int
    witnesses: tuple[Witness, ...] = ()
    place: Place | None = None


class Classifier:
    """A model ready to look at frames, by its own head or by one fitted to the instrument.

    `card` is that of the model with the head that is in use.
    """

    def __init__(
        self,
        model: ModelFile,
        threads: int = 1,
        head: Head | None = None,
        zero_um: float = 0.0,
    ) -> None:
        """Load the network. `zero_um` is what it reads where this instrument is in focus.

        Raises ModelError if it is not what its card says, or `head` belongs to another model.
        """
        self.card: ModelCard = model.card if head is None else head.card_with(model)
        self._head = head
        self.scale = model.card.scale.with_zero_at(zero_um)
        self.network = Network(model, threads)
        self._transform = input_transform(model.card)

    def look(self, frame: Frame) -> Sight:
        """Return what `frame` says of its defocus. Raises ModelError if it does not fit."""
        return self.see(cut(frame, self.card.um_per_px, self.card.tile_px, MOST_TILES))

    def see(self, tiles: list[Tile]) -> Sight:
        """Return what tiles of one frame, at the model's pixel size, say of its defocus."""
        card, limits = self.card, self.card.abstention
        tiles = [tile for tile in tiles if tile.content >= limits.min_content]
        if not tiles:
            return Sight(None, Abstained.EMPTY, 0)
        contents = np.array([tile.content for tile in tiles])
        leading = contents >= _LEADING * contents.max()
        features = self.features(tiles)
        familiar = novelty(card, features) <= limits.max_novelty
        if familiar[leading].mean() < _SOUND_SHARE:
            return Sight(None, Abstained.UNFAMILIAR, 0)
        answers = self.answer(features)
        certain = familiar & (entropy_nats(answers) <= limits.max_entropy_nats)
        witnesses = tuple(
            Witness(tile.corner_px, float(answer.max()), bool(used))
            for tile, answer, used in zip(tiles, answers, certain, strict=True)
        )
        telling = certain[leading & (contents >= _LITTLE)]
        if not certain.any() or (telling.size and telling.mean() < _SOUND_SHARE):
            return Sight(None, Abstained.UNCERTAIN, 0, witnesses)
        answers = answers[certain]
        if not agree(self.scale.expected_um(answers)):
            return Sight(None, Abstained.UNFAMILIAR, len(answers), witnesses)
        place = place_of(self.scale, answers)
        return Sight(fuse(answers), None, len(answers), witnesses, place)

    def features(self, tiles: list[Tile]) -> NDArray[np.uint8]:
        """Return the network's input for each tile, uint8 (n, ...)."""
        return np.stack([self._transform(tile.pixels) for tile in tiles])

    def answer(self, features: NDArray[np.uint8]) -> NDArray[np.float64]:
        """Return calibrated class probabilities, float64 (n, k), in output order."""
        if self._head is None:
            return calibrated(self.network(features), self.card)
        _, penultimate = self.network.both(features)
        return calibrated(self._head.logits(penultimate), self.card)


def input_transform(card: ModelCard) -> Callable[[NDArray[np.uint8]], NDArray[np.uint8]]:
    """Return what makes the network's input, uint8, of a tile's pixels."""
    if isinstance(card.input, PixelInput):
        return lambda pixels: pixels
    spec = card.input
    return PolarSpectrum(card.tile_px, spec.ring_edges, spec.sectors, spec.mean, spec.std)


def calibrated(outputs: NDArray[np.float32], card: ModelCard) -> NDArray[np.float64]:
    """Return probabilities (n, k) of network outputs at the card's temperature."""
    return softmax(logits_of(outputs, card), card.temperature)


def logits_of(outputs: NDArray[np.float32], card: ModelCard) -> NDArray[np.floating]:
    """Return network outputs as logits (n, k), whatever the card says they are."""
    if card.output == "logits":
        return outputs
    if card.output == "um":
        # A Gaussian about the one number; at the card's temperature it gets its width.
        return np.asarray(-0.5 * (outputs - card.scale.centres_um) ** 2)
    # An int8 softmax cannot tell 0 from anything below its step.
    return np.asarray(np.log(np.maximum(outputs.astype(np.float64), 1 / 512)))


def entropy_nats(probabilities: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the entropy of each row, in nats."""
    logs = np.log(np.maximum(probabilities, 1e-12))
    return np.asarray(-(probabilities * logs).sum(axis=1))


def novelty(card: ModelCard, features: NDArray[np.uint8]) -> NDArray[np.float64]:
    """Return how far each tile's features (n, ...) lie from those of training, (n,).

    The mean square of their deviations, sectors averaged, in standard deviations of training.
    0 for a model that looks at pixels.
    """
    if isinstance(card.input, PixelInput):
        return np.zeros(len(features))
    deviations = (features.mean(axis=2) - MIDDLE) / PER_DEVIATION
    return np.asarray((deviations**2).mean(axis=(1, 2)))


def agree(expected_um: NDArray[np.float64]) -> bool:
    """Tell whether the tiles of a frame give answers (n,), in um, that one plane could have."""
    apart_um = np.abs(expected_um - _median(expected_um))
    return _median(apart_um) <= _DISAGREEMENT_UM


def _median(values: NDArray[np.float64]) -> float:
    """Return the median of a few values; numpy's own takes longer than all the rest of a look."""
    ordered = sorted(values.tolist())
    count = len(ordered)
    return float(ordered[(count - 1) // 2] + ordered[count // 2]) / 2


def fuse(answers: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return one distribution (k,) from those of several tiles (n, k) of one frame.

    A product of their likelihoods, each softened by an even share, weighted down to at most
    INDEPENDENT_TILES of them: tiles of one frame share their optics and err together.
    """
    softened = (1 - _TILE_DOUBT) * answers + _TILE_DOUBT / answers.shape[1]
    weight = min(1.0, INDEPENDENT_TILES / len(answers))
    log = weight * np.log(softened).sum(axis=0)
    fused = np.exp(log - log.max())
    return np.asarray(fused / fused.sum())
