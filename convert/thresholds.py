"""What the device needs besides the network: a temperature, and when to abstain."""

import numpy as np
from numpy.typing import NDArray

from convert.run_folder import HeldOut
from edge_af.card import Abstention, ModelCard
from edge_af.classifier import entropy_nats, logits_of, novelty
from edge_af.temperature import fit_temperature as fit

ABSTAIN_SHARE = 0.05
"""Share of the held-out tiles, the least certain ones, that get no answer."""

_SURELY_EMPTY_SHARE = 0.1
_STRANGE_SHARE = 0.001


def fit_temperature(outputs: NDArray[np.float32], card: ModelCard, truth: HeldOut) -> float:
    """Return the softmax temperature that fits tiles with something in them best.

    For a network that answers in um it is the variance about its answers, in um^2; not less than
    that of an even spread over the narrowest bin.
    """
    kept = truth.full & _inside(card, truth)
    if card.output == "um":
        narrowest_um = min(high - low for low, high in card.bins_um)
        variance_um2 = float(((outputs[kept, 0] - truth.defocus_um[kept]) ** 2).mean())
        return max(variance_um2, narrowest_um**2 / 12)
    classes = [card.scale.index_of(float(value)) for value in truth.defocus_um[kept]]
    return fit(logits_of(outputs[kept], card), np.eye(len(card.labels))[classes])


def fit_abstention(
    probabilities: NDArray[np.float64], card: ModelCard, truth: HeldOut
) -> Abstention:
    """Return the limits beyond which a tile gets no answer, from held-out tiles."""
    strange = novelty(card, truth.features)
    # Where in doubt, not empty: an empty field costs a sweep then, but no lone cell is passed by.
    empty = truth.seen[~truth.full]
    empty_content = np.quantile(empty, _SURELY_EMPTY_SHARE) if len(empty) else 0.0
    return Abstention(
        min_content=float(min(empty_content, np.quantile(truth.seen[truth.full], 0.005))),
        max_entropy_nats=float(
            np.quantile(entropy_nats(probabilities)[truth.full], 1 - ABSTAIN_SHARE)
        ),
        max_novelty=float(np.quantile(strange[truth.full], 1 - _STRANGE_SHARE)),
    )


def _inside(card: ModelCard, truth: HeldOut) -> NDArray[np.bool_]:
    outer = card.scale.range
    return (truth.defocus_um >= outer.low_um) & (truth.defocus_um <= outer.high_um)
