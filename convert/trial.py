"""Do labels and preprocessing fit the data? The alternatives are tried before anything is made.

The two mistakes that make a model confidently wrong are a label order other than the network's,
and pixels scaled otherwise than in training. On labelled pictures both show.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from convert.meaning import Meaning
from edge_af.temperature import fit_temperature, softmax

_FAR_NATS = 0.1
_FAR_DEVIATIONS = 4.0

GIVEN = "as given"


@dataclass(frozen=True, slots=True)
class Attempt:
    """How well one preprocessing and one order of the labels fit.

    `nats` is the mean cross-entropy at the best temperature; `apart` and `deviations` by how much
    it is lower than that of what was given, in nats and in standard errors.
    """

    preprocess: str
    order: str
    top1: float
    mae_um: float
    nats: float
    apart: float = 0.0
    deviations: float = 0.0

    @property
    def far_better(self) -> bool:
        """Whether the data speak against what was given."""
        return self.apart > _FAR_NATS and self.deviations > _FAR_DEVIATIONS


def attempts(
    logits: Mapping[str, NDArray[np.floating]],
    given: str,
    meaning: Meaning,
    defocus_um: NDArray[np.float64],
) -> list[Attempt]:
    """Return all attempts, best first.

    `logits` (n, k) are the network's for the same pictures, of defocus (n,), under each
    preprocessing; `given` is the one that counts as given.
    """
    ranked = _scored(logits, meaning, defocus_um)
    reference = next(loss for attempt, loss in ranked if _is(attempt, given))
    judged = []
    for attempt, loss in ranked:
        gain = reference - loss
        spread = float(gain.std() / np.sqrt(len(gain)))
        judged.append(
            Attempt(
                attempt.preprocess,
                attempt.order,
                attempt.top1,
                attempt.mae_um,
                attempt.nats,
                float(gain.mean()),
                float(gain.mean()) / spread if spread > 0 else 0.0,
            )
        )
    return sorted(judged, key=lambda attempt: attempt.nats)


def by_preprocessing(attempted: Iterable[Attempt]) -> list[Attempt]:
    """Return the best attempt of each preprocessing, best first."""
    first: dict[str, Attempt] = {}
    for attempt in sorted(attempted, key=lambda attempt: attempt.nats):
        first.setdefault(attempt.preprocess, attempt)
    return list(first.values())


def no_better_than_chance(attempt: Attempt, classes: int) -> bool:
    """Tell whether even the best attempt says nothing: the network has not learnt these labels."""
    return attempt.nats > 0.98 * float(np.log(classes))


def _scored(
    logits: Mapping[str, NDArray[np.floating]], meaning: Meaning, defocus_um: NDArray[np.float64]
) -> list[tuple[Attempt, NDArray[np.float64]]]:
    scored = []
    for preprocess, outputs in logits.items():
        for order, reordered in _orders(meaning).items():
            classes = np.array([reordered.scale.index_of(float(um)) for um in defocus_um])
            targets = np.eye(len(meaning.labels))[classes]
            probabilities = softmax(outputs, fit_temperature(outputs, targets))
            loss = -np.log(np.maximum((probabilities * targets).sum(axis=1), 1e-12))
            expected_um = reordered.scale.expected_um(probabilities)
            attempt = Attempt(
                preprocess,
                order,
                float((outputs.argmax(axis=1) == classes).mean()),
                float(np.abs(expected_um - defocus_um).mean()),
                float(loss.mean()),
            )
            scored.append((attempt, loss))
    return scored


def _orders(meaning: Meaning) -> dict[str, Meaning]:
    """Return what else the outputs may mean: the given order, and others that differ from it."""
    labels, bins = meaning.labels, meaning.scale.bins_um
    ascending = sorted(range(len(labels)), key=lambda index: bins[index])
    text = sorted(range(len(labels)), key=lambda index: labels[index])
    mirrored = dict(zip(ascending, reversed(ascending), strict=True))
    orders: dict[str, list[int]] = {
        GIVEN: list(range(len(labels))),
        "numeric": ascending,
        "alphabetical": text,
        "signs exchanged": [mirrored[index] for index in range(len(labels))],
    }
    found: dict[str, Meaning] = {}
    for name, order in orders.items():
        reordered = Meaning(
            tuple(labels[index] for index in order),
            type(meaning.scale)(tuple(bins[index] for index in order)),
        )
        if reordered not in found.values():
            found[name] = reordered
    return found


def _is(attempt: Attempt, preprocess: str) -> bool:
    return (attempt.preprocess, attempt.order) == (preprocess, GIVEN)
