"""The whole conversion: quantise, calibrate, prove, pack."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from convert.pack import pack
from convert.proof import proof
from convert.quantise import (
    drawn_evenly,
    load_network,
    quantise,
    run_float,
    tool_versions,
    with_penultimate,
)
from convert.run_folder import read_run
from convert.thresholds import fit_abstention, fit_temperature
from edge_af.card import UNSEALED, Abstention, ModelCard
from edge_af.classifier import calibrated
from edge_af.files import write_atomically
from edge_af.interpreter import Network
from edge_af.model_file import ModelFile

_NO_ABSTENTION = Abstention(min_content=0.0, max_entropy_nats=100.0, max_novelty=1e9)


@dataclass(frozen=True)
class Converted:
    """A finished conversion: the packed file, and what it cost."""

    content: bytes
    card: ModelCard
    report: dict[str, float]


def convert(
    run: Path, calibration: int, max_drift_um: float, say: Callable[[str], None]
) -> Converted:
    """Return the packed int8 model of a training run. Raises UserError for a bad run folder.

    `say` is told each step. `report["passed"]` is 1 if the mean error rose by at most
    `max_drift_um`.
    """
    source = read_run(run)
    say("loading the network")
    network = load_network(source.model)
    two_headed, penultimate = with_penultimate(network)
    draft = ModelCard.model_validate(
        {
            **source.card,
            "temperature": 1.0,
            "abstention": _NO_ABSTENTION,
            "metrics": {},
            "penultimate": penultimate,
            "tool_versions": tool_versions(),
            "sha256": UNSEALED,
        }
    )
    # One half fixes ranges, temperature and thresholds, the other judges them.
    fitting, judging = source.held_out.halves()
    say(f"quantising with {calibration} calibration tiles")
    classes = np.array([draft.scale.index_of(float(value)) for value in fitting.defocus_um])
    tflite = quantise(two_headed, fitting.features[drawn_evenly(classes, calibration)])
    say("running float and int8 on the held-out tiles")
    int8 = Network(ModelFile(run, tflite, draft))
    outputs = int8(fitting.features)
    card = draft.model_copy(update={"temperature": fit_temperature(outputs, draft, fitting)})
    report = proof(
        calibrated(run_float(network, judging.features), card),
        calibrated(int8(judging.features), card),
        card.scale,
        judging,
    )
    drift_um = report["mae_int8_um"] - report["mae_float_um"]
    card = card.model_copy(
        update={
            "abstention": fit_abstention(calibrated(outputs, card), card, fitting),
            "metrics": {name: round(value, 4) for name, value in report.items()},
        }
    )
    content = pack(tflite, card)
    report |= {
        "drift_um": drift_um,
        "temperature": card.temperature,
        "size_bytes": len(content),
        "passed": float(drift_um <= max_drift_um),
    }
    return Converted(content, card, report)


def save(converted: Converted, path: Path) -> None:
    """Write the model, whole or not at all. Raises UserError if it cannot be written."""
    write_atomically(path, converted.content)
