"""How good answers are, against the truth. Shares are fractions, errors in um."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edge_af.scale import DefocusScale
from hw.virtual.specimen import CONTENT_FLOOR

BEYOND_UM = 1.0
"""A wrong sign counts as a false direction only this far out of focus: nearer it does no harm."""

DEPTH_OF_FIELD_UM = 0.8
"""Of a 20x/0.75 objective."""

CONFIDENCE_BINS = 15


@dataclass(frozen=True)
class Verdicts:
    """What a model said of n tiles or frames: probabilities (n, k), and whether it answered (n,).

    `content` is what each holds, NaN where that is not known. `said_um` are places finer than
    classes; without them, what was said is the mean of the probabilities.
    """

    truth_um: NDArray[np.float64]
    content: NDArray[np.float64]
    probabilities: NDArray[np.float64]
    answered: NDArray[np.bool_]
    said_um: NDArray[np.float64] | None = None

    @property
    def full(self) -> NDArray[np.bool_]:
        """Which are not known to hold nothing."""
        return np.asarray(~(self.content < CONTENT_FLOOR))


@dataclass(frozen=True)
class Answers:
    """Those verdicts that count, decoded: n answers of tiles that hold something.

    Classes are ranks along the line of defocus, from the lowest; `confidence` is the probability
    of the likeliest.
    """

    truth_um: NDArray[np.float64]
    said_um: NDArray[np.float64]
    true_rank: NDArray[np.intp]
    said_rank: NDArray[np.intp]
    confidence: NDArray[np.float64]

    @property
    def error_um(self) -> NDArray[np.float64]:
        """What was said less the truth."""
        return np.asarray(self.said_um - self.truth_um)

    @property
    def wrong_side(self) -> NDArray[np.bool_]:
        """Which are far out of focus and were said to be on the other side."""
        far = np.abs(self.truth_um) > BEYOND_UM
        return np.asarray(far & (np.sign(self.said_um) != np.sign(self.truth_um)))


def answers_of(verdicts: Verdicts, scale: DefocusScale) -> Answers:
    """Return the answers that count."""
    chosen = verdicts.full & verdicts.answered
    truth_um, probabilities = verdicts.truth_um[chosen], verdicts.probabilities[chosen]
    rank = np.argsort(np.argsort(scale.centres_um))
    said_um = verdicts.said_um
    true_class = np.array([scale.index_of(float(value)) for value in truth_um], np.intp)
    return Answers(
        truth_um,
        scale.expected_um(probabilities) if said_um is None else said_um[chosen],
        rank[true_class],
        rank[probabilities.argmax(axis=1)],
        probabilities.max(axis=1),
    )


def metrics(verdicts: Verdicts, scale: DefocusScale) -> dict[str, float]:
    """Return the figures of a model.

    Those known to hold nothing are left out. Errors are over those that got an answer;
    `abstained` is the share that got none.
    """
    answers = answers_of(verdicts, scale)
    n, answered = int(verdicts.full.sum()), len(answers.truth_um)
    if not answered:
        return {"n": n, "abstained": 1.0}
    error_um = np.abs(answers.error_um)
    apart = np.abs(answers.said_rank - answers.true_rank)
    far = int((np.abs(answers.truth_um) > BEYOND_UM).sum())
    return {
        "n": n,
        "answered": answered,
        "top1": float((apart == 0).mean()),
        "within_1": float((apart <= 1).mean()),
        "mae_um": float(error_um.mean()),
        "median_abs_error_um": float(np.median(error_um)),
        "p95_abs_error_um": float(np.percentile(error_um, 95)),
        "within_dof": float((error_um <= DEPTH_OF_FIELD_UM / 2).mean()),
        "false_direction": float(answers.wrong_side.sum() / max(far, 1)),
        "abstained": float(1 - answered / max(n, 1)),
        "calibration_error": calibration_error(answers),
    }


def reliability(answers: Answers) -> list[tuple[float, float, int]]:
    """Return mean confidence, share that was right, and count, for each bin of confidence.

    CONFIDENCE_BINS bins of equal width from 0 to 1; those without answers are left out.
    """
    right = answers.said_rank == answers.true_rank
    place = np.minimum((answers.confidence * CONFIDENCE_BINS).astype(int), CONFIDENCE_BINS - 1)
    return [
        (
            float(answers.confidence[place == number].mean()),
            float(right[place == number].mean()),
            int((place == number).sum()),
        )
        for number in np.unique(place)
    ]


def calibration_error(answers: Answers) -> float:
    """Return the expected calibration error of the likeliest class (Guo et al. 2017)."""
    total = max(len(answers.truth_um), 1)
    return (
        sum(count * abs(confidence - right) for confidence, right, count in reliability(answers))
        / total
    )


def per_class(
    answers: Answers, labels: tuple[str, ...], scale: DefocusScale
) -> list[dict[str, Any]]:
    """Return the figures of each true class, in the order of defocus; None where it has no tile."""
    table: list[dict[str, Any]] = []
    for rank, index in enumerate(np.argsort(scale.centres_um)):
        of_class = answers.true_rank == rank
        apart = np.abs(answers.said_rank[of_class] - rank)
        error_um = np.abs(answers.error_um[of_class])
        some = bool(of_class.any())
        table.append(
            {
                "label": labels[index],
                "centre_um": float(scale.centres_um[index]),
                "n": int(of_class.sum()),
                "top1": float((apart == 0).mean()) if some else None,
                "within_1": float((apart <= 1).mean()) if some else None,
                "mae_um": float(error_um.mean()) if some else None,
                "bias_um": float(answers.error_um[of_class].mean()) if some else None,
            }
        )
    return table


def confusion(answers: Answers, classes: int) -> NDArray[np.float64]:
    """Return what was said (columns) of each true class (rows), k x k, as shares of the row."""
    counts = np.zeros((classes, classes))
    np.add.at(counts, (answers.true_rank, answers.said_rank), 1)
    return np.asarray(counts / np.maximum(counts.sum(axis=1, keepdims=True), 1))
