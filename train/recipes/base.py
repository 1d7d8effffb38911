"""What every recipe says: how long to learn, how fast, from what, and when to stop."""

from dataclasses import dataclass
from enum import StrEnum


class Optimizer(StrEnum):
    """How a step follows from a gradient."""

    ADAM = "adam"
    ADAMW = "adamw"


class Pace(StrEnum):
    """How the learning rate runs over a stage: as it is, or along a cosine to zero."""

    CONSTANT = "constant"
    COSINE = "cosine"


class Learns(StrEnum):
    """Which layers learn.

    Of a network that started from given weights: all, only the head, or the head and the last
    third of the base. Where there are none to keep, all layers learn whatever is said here.
    """

    ALL = "all"
    HEAD = "head"
    LAST = "last"


class Augmentation(StrEnum):
    """What makes more tiles of those there are."""

    NONE = "none"
    """Nothing: one instrument's aberrations point where they point."""
    EXACT = "exact"
    """Flips and quarter turns: no pixel is made up, so the blur stays what it was. Spectra are
    turned by whole sectors."""
    PAPER = "paper"
    """Horizontal flips, zoom by up to 5 % and turns of up to 25 degrees, interpolated. Spectra are
    turned as in EXACT."""


@dataclass(frozen=True, slots=True)
class Stage:
    """Some epochs of one kind. A cosine warms up from a tenth of the learning rate."""

    epochs: int
    learning_rate: float
    optimizer: Optimizer
    pace: Pace = Pace.CONSTANT
    learns: Learns = Learns.ALL
    weight_decay: float = 0.0


@dataclass(frozen=True, slots=True)
class Recipe:
    """How to train.

    `soft_targets`: a tile's target is spread over the line of classes, and even if it holds
    nothing; otherwise it is 1 for its class. A stage ends early when the validation loss has not
    fallen by `min_delta` for `patience` epochs; each next one starts from the best network so far.
    `rated_batch` is the batch for which the learning rates are stated, None where they hold for
    any; for another they change with the square root of the ratio (Krizhevsky 2014).
    """

    name: str
    stages: tuple[Stage, ...]
    augmentation: Augmentation
    soft_targets: bool
    patience: int | None = None
    min_delta: float = 0.0
    rated_batch: int | None = None
