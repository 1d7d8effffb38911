"""The fit, cross-validated over fields."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from edge_af.adapt.discriminant import discriminant
from edge_af.adapt.fields import Field
from edge_af.adapt.samples import Samples, gather
from edge_af.adapt.verdict import Comparison, figures
from edge_af.card import Abstention, ModelCard
from edge_af.classifier import Classifier, entropy_nats
from edge_af.head import Head, HeadCard
from edge_af.model_file import ModelFile
from edge_af.scale import DefocusScale
from edge_af.temperature import softmax
from edge_af.versions import tool_versions

BANDWIDTH_UM = 1.0
"""Width of the average along z. The wider, the less noise; the narrower, the less it blurs what
changes within a depth of field."""

_TEMPERATURE = 6.0
"""Of the answers. The likeliest on held-out fields, 20 to 40, is that of the few tiles that are far
off; with it the others say so little that a second look rarely confirms the first
(docs/decisions/adapting.md)."""

_ABSTAIN_SHARE = 0.05
_STRANGE_SHARE = 0.001


@dataclass(frozen=True)
class Adapted:
    """A fitted head; how ones that had not seen a field did on it; and on all of them."""

    head: Head
    fields: tuple[Comparison, ...]
    overall: Comparison


def adapt(model: ModelFile, fields: Sequence[Field], say: Callable[[str], None]) -> Adapted:
    """Fit a head to the instrument that recorded `fields`. `say` is told each step.

    The defocus of a slice is its z. Each field in turn is held out of the fit: on what the others
    make of it the limits of abstention are set, and the model's own head is compared. The head
    returned is then fitted on all of them. Raises as `edge_af.adapt.samples.gather` does.
    """
    classifier = Classifier(model)
    card = classifier.card
    samples = gather(classifier, fields, say)
    answers = softmax(_held_out_logits(samples, card.scale, say), _TEMPERATURE)
    tiles = len(samples.field)
    overall = _compared("all", card.scale, samples, answers, np.full(tiles, True))
    compared = tuple(
        _compared(field.name, card.scale, samples, answers, samples.field == number)
        for number, field in enumerate(fields)
    )
    say("fitting on all fields")
    weights = discriminant(samples.penultimate, samples.defocus_um, card.scale, BANDWIDTH_UM)
    head = HeadCard(
        format=1,
        model=card.name,
        model_sha256=card.sha256,
        um_per_px=samples.um_per_px,
        penultimate=len(weights) - 1,
        classes=weights.shape[1],
        temperature=_TEMPERATURE,
        abstention=_abstention(card, samples, answers),
        training={
            "fields": [field.name for field in fields],
            "tiles": tiles,
            "bandwidth_um": BANDWIDTH_UM,
        },
        metrics=overall.metrics(),
        tool_versions=tool_versions(),
    )
    return Adapted(Head(head, weights.astype(np.float32)), compared, overall)


def _held_out_logits(
    samples: Samples, scale: DefocusScale, say: Callable[[str], None]
) -> NDArray[np.float64]:
    """Return logits (n, k) of heads that did not see the tile's field."""
    logits = np.empty((len(samples.field), len(scale.bins_um)))
    numbers = np.unique(samples.field)
    for turn, number in enumerate(numbers, 1):
        say(f"fitting without field {turn} of {len(numbers)}")
        out = samples.field == number
        weights = discriminant(
            samples.penultimate[~out], samples.defocus_um[~out], scale, BANDWIDTH_UM
        )
        logits[out] = samples.penultimate[out] @ weights[:-1] + weights[-1]
    return logits


def _compared(
    name: str,
    scale: DefocusScale,
    samples: Samples,
    answers: NDArray[np.float64],
    where: NDArray[np.bool_],
) -> Comparison:
    truth_um = samples.defocus_um[where]
    return Comparison(
        field=name,
        tiles=len(truth_um),
        before=figures(scale, samples.shipped[where], truth_um),
        after=figures(scale, answers[where], truth_um),
    )


def _abstention(card: ModelCard, samples: Samples, answers: NDArray[np.float64]) -> Abstention:
    """Return limits as conversion sets them, from held-out answers.

    What looks strange beside the training tiles of the model does so on every frame of an
    instrument that is not like theirs: it gets the room that its own stacks ask for.
    """
    strange = float(np.quantile(samples.novelty, 1 - _STRANGE_SHARE))
    return Abstention(
        min_content=card.abstention.min_content,
        max_entropy_nats=float(np.quantile(entropy_nats(answers), 1 - _ABSTAIN_SHARE)),
        max_novelty=max(card.abstention.max_novelty, strange),
    )
