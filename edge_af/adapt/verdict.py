"""How two heads compare on the same tiles, and whether the new one is worth having."""

from dataclasses import asdict, dataclass

import numpy as np
from numpy.typing import NDArray

from edge_af.scale import DefocusScale

_FAR_UM = 1.0
"""A wrong side counts as wrong only this far out of focus: nearer it does no harm."""

_BETTER = 0.95
_MORE_WRONG_SIDES = 0.005
"""The new head is taken if its median error is at most this share of the old one's, and the share
of wrong sides has not risen by more: two or three fields tell no smaller difference."""


@dataclass(frozen=True, slots=True)
class Figures:
    """How a head did on tiles with something in them: error of the expected value, and sides."""

    median_error_um: float
    mean_error_um: float
    wrong_side: float


@dataclass(frozen=True, slots=True)
class Comparison:
    """The model's own head, `before`, and the new one, `after`, on the same held-out tiles."""

    field: str
    tiles: int
    before: Figures
    after: Figures

    @property
    def better(self) -> bool:
        """Whether the new head is worth having."""
        before, after = self.before, self.after
        return (
            after.median_error_um <= _BETTER * before.median_error_um
            and after.wrong_side <= before.wrong_side + _MORE_WRONG_SIDES
        )

    def metrics(self) -> dict[str, float]:
        """Return the figures of both as a card has them."""
        return {
            f"{when}_{name}": round(value, 4)
            for when, figures in (("before", self.before), ("after", self.after))
            for name, value in asdict(figures).items()
        }


def figures(
    scale: DefocusScale, answers: NDArray[np.float64], truth_um: NDArray[np.float64]
) -> Figures:
    """Judge probabilities (n, k) of tiles whose defocus is `truth_um` (n,)."""
    said_um = scale.expected_um(answers)
    error_um = np.abs(said_um - truth_um)
    far = np.abs(truth_um) > _FAR_UM
    wrong = far & (np.sign(said_um) != np.sign(truth_um))
    return Figures(
        median_error_um=float(np.median(error_um)),
        mean_error_um=float(error_um.mean()),
        wrong_side=float(wrong.sum() / max(far.sum(), 1)),
    )
