"""`edge-af-convert verify`: a finished model on labelled pictures, against what its card claims."""

from pathlib import Path
from typing import Any

import numpy as np

from convert.draw import drawn_evenly
from convert.meaning import Meaning
from convert.pictures import Fit, find_files, read_pictures, understand
from convert.proof import figures
from convert.trial import attempts
from edge_af.classifier import Classifier, entropy_nats, logits_of, novelty
from edge_af.cli.figures import print_figures, print_json, reader_console
from edge_af.cli.models import tried_model
from edge_af.cli.progress import progress
from edge_af.errors import UserError
from edge_af.tiles import Tile, content

_MOST = 1000


def verify_command(path: Path, data: Path, fit: Fit, max_drift_um: float, as_json: bool) -> int:
    """Print how the model does on the pictures; return the exit code.

    Raises UserError for a model that is not whole, or pictures that cannot be used.
    """
    classifier = Classifier(tried_model(path))
    card = classifier.card
    meaning = Meaning(card.labels, card.scale)
    pictures = understand(find_files(data), meaning)
    if not pictures:
        raise UserError(f"{data} holds no picture within the model's range of defocus")
    chosen = drawn_evenly(np.array([picture.index for picture in pictures]), _MOST)
    answers, outputs, answered = [], [], []
    with progress() as report:
        read = read_pictures(
            [pictures[index] for index in chosen],
            card.tile_px,
            fit,
            lambda done: report("reading pictures", done, len(chosen)),
        )
        for number, pixels in enumerate(read.pixels):
            report("judging", number, len(read.pixels))
            seen = content(pixels)
            features = classifier.features([Tile(pixels, (0, 0), seen)])
            answer = classifier.answer(features)
            answers.append(answer[0])
            outputs.append(logits_of(classifier.network(features), card)[0])
            limits = card.abstention
            answered.append(
                seen >= limits.min_content
                and novelty(card, features)[0] <= limits.max_novelty
                and entropy_nats(answer)[0] <= limits.max_entropy_nats
            )
    truth_um = np.array([picture.defocus_um for picture in read.pictures])
    found: dict[str, Any] = {
        "images": len(answers),
        **figures(np.stack(answers), card.scale, truth_um),
        "abstained": 1 - float(np.mean(answered)),
        "unreadable": list(read.unreadable),
    }
    best = attempts({"": np.stack(outputs)}, "", meaning, truth_um)[0]
    claimed_um = card.metrics.get("mae_int8_um")
    passed = claimed_um is None or found["mae_um"] - claimed_um <= max_drift_um
    found |= {
        "mae_um_on_card": claimed_um,
        "labels_that_fit_better": best.order if best.far_better else None,
        "passed": passed and not best.far_better,
    }
    if as_json:
        print_json(found)
    else:
        print_figures(reader_console(), f"{path.name} on {data}", found)
    return 0 if found["passed"] else 1
