"""When a tile gets no answer: limits from held-out tiles of which it is known what they hold."""

import numpy as np
from numpy.typing import NDArray

from edge_af.card import Abstention
from edge_af.classifier import entropy_nats

ABSTAIN_SHARE = 0.05
"""Share of the held-out tiles, the least certain ones, that get no answer."""

_SURELY_EMPTY_SHARE = 0.1
_SURELY_FULL_SHARE = 0.005
_STRANGE_SHARE = 0.001


def fit_abstention(
    probabilities: NDArray[np.float64],
    novelty: NDArray[np.float64],
    seen: NDArray[np.float64],
    full: NDArray[np.bool_],
) -> Abstention:
    """Return the limits beyond which a tile gets no answer.

    Of n held-out tiles: the answers (n, k), the novelty and the content score (n,), and whether
    the specimen held anything there (n,).
    """
    # Where in doubt, not empty: an empty field costs a sweep then, but no lone cell is passed by.
    empty_content = np.quantile(seen[~full], _SURELY_EMPTY_SHARE) if (~full).any() else 0.0
    return Abstention(
        min_content=float(min(empty_content, np.quantile(seen[full], _SURELY_FULL_SHARE))),
        max_entropy_nats=float(np.quantile(entropy_nats(probabilities)[full], 1 - ABSTAIN_SHARE)),
        max_novelty=float(np.quantile(novelty[full], 1 - _STRANGE_SHARE)),
    )
