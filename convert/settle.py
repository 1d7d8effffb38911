"""Which preprocessing to go by, and whether the data speak against it or the labels."""

import numpy as np
from numpy.typing import NDArray

from convert.convert import Report
from convert.draw import drawn_evenly
from convert.lite import Lite
from convert.meaning import Meaning
from convert.preprocess import PREPROCESSINGS
from convert.run_folder import HeldOut
from convert.trial import GIVEN, Attempt, attempts, by_preprocessing, no_better_than_chance
from edge_af.errors import UserError

_TRIED = 200
"""Pictures that everything is tried on."""


def tried_on(
    float_content: bytes,
    output: str,
    meaning: Meaning,
    fitting: HeldOut,
    given: str | None,
    report: Report,
) -> list[Attempt]:
    """Return how well each preprocessing and label order fits pictures that are drawn evenly."""
    classes = np.array([meaning.scale.index_of(float(value)) for value in fitting.defocus_um])
    few = drawn_evenly(classes, _TRIED)
    pixels, defocus_um = fitting.features[few], fitting.defocus_um[few]
    network = Lite(float_content)
    logits: dict[str, NDArray[np.floating]] = {}
    for number, (name, affine) in enumerate(PREPROCESSINGS.items()):
        report("trying preprocessings", number, len(PREPROCESSINGS))
        answers: NDArray[np.floating] = network(affine(pixels))
        if output == "um":
            answers = -0.5 * (answers - meaning.scale.centres_um) ** 2
        elif output == "probabilities":
            answers = np.log(np.maximum(answers, 1e-6))
        logits[name] = answers
    return attempts(logits, given or "unit", meaning, defocus_um)


def settled(
    tried: list[Attempt], given: str | None, classes: int, *, anyway: bool
) -> tuple[str, list[str]]:
    """Return the preprocessing to go by, and warnings.

    Raises UserError where none is given and none is found in the network, or the data speak
    against preprocessing or labels.
    """
    best = tried[0]
    if given is None:
        said = "; ".join(_told(each) for each in by_preprocessing(tried)[:3])
        raise UserError(
            "how were the pixels scaled in training? Nothing in the network says so: give "
            f"--preprocess {'|'.join(PREPROCESSINGS)}. On {_TRIED} pictures of --data: {said}"
        )
    if no_better_than_chance(best, classes):
        return given, [
            "the network's answers have nothing to do with the labels, whatever the preprocessing "
            f"and order ({_told(best)}): it is untrained, or --data is not of its kind"
        ]
    if not best.far_better:
        return given, []
    ours = next(each for each in tried if (each.preprocess, each.order) == (given, GIVEN))
    fault = (
        f"the data speak against what was given ({_told(ours)}): {_told(best)}, lower by "
        f"{best.deviations:.0f} standard errors. Cure: {_cure(best, given)}"
    )
    if not anyway:
        raise UserError(f"{fault}. Nothing was written; --anyway converts as it is")
    return given, [fault]


def _told(attempt: Attempt) -> str:
    order = "" if attempt.order == GIVEN else f" with labels {attempt.order}"
    return (
        f"--preprocess {attempt.preprocess}{order}: top-1 {100 * attempt.top1:.0f} %, error "
        f"{attempt.mae_um:.2f} um, {attempt.nats:.2f} nats"
    )


def _cure(best: Attempt, given: str) -> str:
    cures = []
    if best.preprocess != given:
        cures.append(f"give --preprocess {best.preprocess}")
    if best.order == "alphabetical":
        cures.append("give --labels folders, the alphabetical order in which Keras has them")
    elif best.order == "numeric":
        cures.append("give the labels in numeric order (or --scale alone)")
    elif best.order != GIVEN:
        cures.append("look at the sign of the labels")
    return "; ".join(cures)
