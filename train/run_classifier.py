"""A Keras network, looked at as a device looks at its .tflite."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from edge_af.abstention import fit_abstention
from edge_af.card import UNSEALED, Abstention, ModelCard
from edge_af.classifier import Classifier, calibrated, input_transform, novelty
from edge_af.temperature import fit_temperature
from train.run_folder import HeldOut

_NEVER = Abstention(min_content=0.0, max_entropy_nats=100.0, max_novelty=1e9)


class RunClassifier(Classifier):
    """The network of a training run, with its draft card.

    What conversion adds to a card, temperature and abstention, is fitted to the held-out tiles as
    conversion does it: to the first half of them.
    """

    def __init__(self, draft: dict[str, Any], network: Any, held_out: HeldOut) -> None:
        self._head = None
        self._keras = network
        card = ModelCard.model_validate(
            {
                **draft,
                "temperature": 1.0,
                "abstention": _NEVER,
                "metrics": {},
                "tool_versions": {},
                "sha256": UNSEALED,
            }
        )
        self.scale = card.scale
        self._transform = input_transform(card)
        outer = self.scale.range
        kept = held_out.full & (np.abs(held_out.defocus_um) <= max(-outer.low_um, outer.high_um))
        classes = [self.scale.index_of(float(value)) for value in held_out.defocus_um[kept]]
        logits = self._logits(held_out.features)
        temperature = fit_temperature(logits[kept], np.eye(len(card.labels))[classes])
        card = card.model_copy(update={"temperature": temperature})
        limits = fit_abstention(
            calibrated(logits, card),
            novelty(card, held_out.features),
            held_out.seen,
            held_out.full,
        )
        self.card = card.model_copy(update={"abstention": limits})

    def answer(self, features: NDArray[np.uint8]) -> NDArray[np.float64]:
        """Return calibrated class probabilities, float64 (n, k), in output order."""
        return calibrated(self._logits(features), self.card)

    def _logits(self, features: NDArray[np.uint8]) -> NDArray[np.float32]:
        given = features.astype(np.float32)
        return np.asarray(self._keras.predict(given, batch_size=64, verbose=0))
