"""Defocus in micrometres, and the classes that a model cuts it into.

The sign convention, here and nowhere else: defocus_um = stage position - focus position. Positive
defocus means that the stage must move in the negative direction.
"""

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from typing import Literal, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

from edge_af.errors import UserError
from hw.stage import Range

SignConvention = Literal["defocus = stage - focus"]

# The classes of Markosyan's classifier: class 0 and 20 equal bins a side.
_PAPER_SIDE = 20
_PAPER_CENTRE_UM = 0.35
_PAPER_END_UM = 12.5
PAPER41_LABELS = tuple(f"class {number}" for number in range(-_PAPER_SIDE, _PAPER_SIDE + 1))

# Edges computed by different routes differ in their last bits; a real gap is far wider.
_EDGE_TOLERANCE = 1e-6


class ScaleError(UserError, ValueError):
    """Bins, labels or a defocus that make no scale."""


@dataclass(frozen=True)
class DefocusScale:
    """The bin of each class, as (low_um, high_um) of defocus, in the model's output order.

    At least two bins, in any order, that cover one interval without gap or overlap.
    Raises ScaleError otherwise.
    """

    bins_um: tuple[tuple[float, float], ...]

    def __post_init__(self) -> None:
        if len(self.bins_um) < 2:
            raise ScaleError(f"a scale needs at least 2 bins, got {len(self.bins_um)}")
        for index, (low_um, high_um) in enumerate(self.bins_um):
            if not (math.isfinite(low_um) and math.isfinite(high_um) and low_um < high_um):
                raise ScaleError(
                    f"bin {index} must run from a lower to a higher finite defocus, "
                    f"got {low_um} um to {high_um} um"
                )
        for left, right in pairwise(sorted(self.bins_um)):
            narrower_um = min(left[1] - left[0], right[1] - right[0])
            if abs(right[0] - left[1]) > _EDGE_TOLERANCE * narrower_um:
                fault = "overlap" if right[0] < left[1] else "leave a gap"
                raise ScaleError(
                    f"bins {left[0]} to {left[1]} um and {right[0]} to {right[1]} um {fault}"
                )

    @classmethod
    def paper41(cls) -> Self:
        """Return the 41 classes of the paper in ascending order: index 0 is class -20."""
        return cls.from_labels(PAPER41_LABELS)

    @classmethod
    def from_labels(cls, labels: Sequence[str]) -> Self:
        """Return the scale of the paper's `class N` labels, N from -20 to 20, in their order.

        Keras lists class folders alphabetically (`class -1`, `class -10`, `class -11`, ...), so the
        order must come from the training run. Raises ScaleError for any other name, and where a
        class between the outermost two is missing or double.
        """
        return cls(tuple(_paper_bin_um(label) for label in labels))

    @classmethod
    def uniform(cls, count: int, low_um: float, high_um: float) -> Self:
        """Return `count` ascending bins of one width from `low_um` to `high_um`."""
        width_um = (high_um - low_um) / max(count, 1)
        edges_um = [low_um + width_um * place for place in range(count)] + [high_um]
        return cls(tuple(pairwise(edges_um)))

    def with_zero_at(self, zero_um: float) -> Self:
        """Return the scale of one who counts defocus from `zero_um` of this one."""
        return type(self)(tuple((low - zero_um, high - zero_um) for low, high in self.bins_um))

    @cached_property
    def range(self) -> Range:
        """The interval of defocus that the bins cover, in um."""
        return Range(min(low for low, _ in self.bins_um), max(high for _, high in self.bins_um))

    @cached_property
    def centres_um(self) -> NDArray[np.float64]:
        """The middle of each bin, float64 (k,), in um, read-only."""
        centres_um: NDArray[np.float64] = np.asarray(self.bins_um, dtype=np.float64).mean(axis=1)
        centres_um.flags.writeable = False
        return centres_um

    @cached_property
    def ascending(self) -> NDArray[np.intp]:
        """The order that sorts the bins by defocus, (k,)."""
        return np.argsort(self.centres_um)

    @cached_property
    def widths_um(self) -> NDArray[np.float64]:
        """The width of each bin, float64 (k,), in um."""
        return np.asarray(np.diff(self.bins_um, axis=1)[:, 0], np.float64)

    def index_of(self, defocus_um: float) -> int:
        """Return the index of the bin that holds `defocus_um`.

        An edge belongs to the bin nearer to zero, so that a defocus and its negative get mirrored
        classes. Beyond the range it is the end bin. Raises ScaleError for NaN.
        """
        if math.isnan(defocus_um):
            raise ScaleError("a defocus of NaN um has no class")
        side: Literal["left", "right"] = "left" if defocus_um > 0 else "right"
        place = int(np.searchsorted(self._inner_edges_um, defocus_um, side=side))
        return int(self.ascending[place])

    def expected_um(self, probabilities: ArrayLike) -> NDArray[np.float64]:
        """Return the mean defocus, float64 (n,), in um, under `probabilities` (n, k).

        Rows are in output order and sum to 1. Raises ScaleError where k is not the bin count.
        """
        weights = np.asarray(probabilities, dtype=np.float64)
        if weights.ndim != 2 or weights.shape[1] != len(self.bins_um):
            raise ScaleError(
                f"probabilities must have the shape (n, {len(self.bins_um)}), got {weights.shape}"
            )
        expected_um: NDArray[np.float64] = weights @ self.centres_um
        return expected_um

    @cached_property
    def _inner_edges_um(self) -> NDArray[np.float64]:
        return np.array([low_um for low_um, _ in sorted(self.bins_um)[1:]], dtype=np.float64)


def _paper_bin_um(label: str) -> tuple[float, float]:
    match = re.fullmatch(r"class (0|-?[1-9][0-9]?)", label)
    if match is None or abs(int(match[1])) > _PAPER_SIDE:
        raise ScaleError(f"label {label!r} is not 'class N' with N from -20 to 20")
    number = int(match[1])
    if number == 0:
        return (-_PAPER_CENTRE_UM, _PAPER_CENTRE_UM)
    width_um = (_PAPER_END_UM - _PAPER_CENTRE_UM) / _PAPER_SIDE
    near_um = _PAPER_CENTRE_UM + width_um * (abs(number) - 1)
    far_um = _PAPER_CENTRE_UM + width_um * abs(number)
    return (near_um, far_um) if number > 0 else (-far_um, -near_um)
