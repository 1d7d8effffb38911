"""What the device needs besides the network: a temperature, and when to abstain."""

import numpy as np
from numpy.typing import NDArray

from convert.run_folder import HeldOut
from edge_af.abstention import fit_abstention as fit_limits
from edge_af.card import Abstention, ModelCard
from edge_af.classifier import logits_of, novelty
from edge_af.temperature import fit_temperature as fit


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
    return fit_limits(probabilities, novelty(card, truth.features), truth.seen, truth.full)


def _inside(card: ModelCard, truth: HeldOut) -> NDArray[np.bool_]:
    outer = card.scale.range
    return (truth.defocus_um >= outer.low_um) & (truth.defocus_um <= outer.high_um)
