"""The conversion itself: quantise, calibrate, prove, pack."""

from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from convert.child import run_job
from convert.draw import drawn_evenly
from convert.layers import LayerError, layer_errors, worst
from convert.lite import Lite, macs, operations
from convert.pack import pack
from convert.prepared import Prepared
from convert.preprocess import IN_MODEL, PREPROCESSINGS, Affine
from convert.proof import AGREEMENT, counted, latency, proof
from convert.run_folder import HeldOut
from convert.thresholds import fit_abstention, fit_temperature
from convert.unbias import unbiased
from edge_af.card import UNSEALED, Abstention, ModelCard, PixelInput
from edge_af.classifier import calibrated
from edge_af.cli.models import quiet_runtime
from edge_af.errors import UserError
from edge_af.interpreter import Network
from edge_af.model_file import ModelFile

_NO_ABSTENTION = Abstention(min_content=0.0, max_entropy_nats=100.0, max_novelty=1e9)
_LAYERS_LOOKED_AT_WITH = 4
_MEANS_FROM = 256
"""Pictures of those that fix the ranges; they take turns by class, so the first are even too."""

Report = Callable[[str, int, int], None]


@dataclass(frozen=True)
class Converted:
    """A finished conversion: the packed file, and what it cost.

    Probabilities are those of the tiles that judged, (n, k). `layers` is empty where all is well.
    """

    content: bytes
    card: ModelCard
    figures: dict[str, Any]
    layers: tuple[LayerError, ...]
    truth_um: NDArray[np.float64]
    float_probabilities: NDArray[np.float64]
    int8_probabilities: NDArray[np.float64]

    @property
    def passed(self) -> bool:
        """Whether the mean error rose by no more than was allowed."""
        return bool(self.figures["passed"])


def convert(prepared: Prepared, max_drift_um: float, report: Report) -> Converted:
    """Return the packed int8 model of what was prepared; one that came as a .tflite stays as it is.

    Raises UserError where it cannot be quantised, EdgeAfError where memory runs out.
    """
    folder = prepared.folder
    float_content = (folder / "float.tflite").read_bytes()
    tflite = float_content if prepared.ready else _quantised(prepared, float_content, report)
    draft = _draft(prepared, tflite)
    with quiet_runtime():
        int8 = Network(ModelFile(folder, tflite, draft))
    fitted = _run(int8, prepared.fitting.features, "int8 network, fitting", report)
    card = draft.model_copy(
        update={"temperature": fit_temperature(fitted, draft, prepared.fitting)}
    )
    judging = prepared.judging
    said = calibrated(_run(int8, judging.features, "int8 network, proof", report), card)
    meant = calibrated(_run_float(prepared, float_content, report), card)
    figures: dict[str, Any] = proof(meant, said, card.scale, judging)
    card = card.model_copy(
        update={
            "abstention": fit_abstention(calibrated(fitted, card), card, prepared.fitting),
            "metrics": {name: round(float(value), 4) for name, value in figures.items()},
        }
    )
    content = pack(tflite, card)
    passed = figures["drift_um"] <= max_drift_um
    layers: tuple[LayerError, ...] = ()
    if not passed or figures["agreement"] < AGREEMENT:
        layers = tuple(_layers(prepared, float_content, tflite, card))
    report("timing", 0, 1)
    figures |= {
        "temperature": card.temperature,
        "size_bytes": len(content),
        "float_size_bytes": len(float_content),
        "macs": macs(tflite),
        **latency(float_content, tflite),
        "float_operations": float_operations(tflite),
        "max_drift_um": max_drift_um,
        "passed": passed,
    }
    if layers:
        hurts = worst(list(layers))
        figures["worst_layer"] = asdict(hurts) if hurts else None
    kept = counted(card.scale, judging)
    return Converted(
        content, card, figures, layers, judging.defocus_um[kept], meant[kept], said[kept]
    )


def _quantised(prepared: Prepared, float_content: bytes, report: Report) -> bytes:
    fitting, shown = prepared.fitting, prepared.shown
    scale = prepared.scale
    classes = np.array([scale.index_of(float(value)) for value in fitting.defocus_um])
    chosen = drawn_evenly(classes, prepared.calibration)
    np.save(prepared.folder / "calibration.npy", fitting.features[chosen])
    run_job(
        "quantise",
        report,
        folder=str(prepared.folder),
        multiply=shown.multiply[0] if shown.alike else 1.0,
        add=shown.add[0] if shown.alike else 0.0,
        prefix=None if shown.alike else asdict(shown),
        embedding=prepared.embedding,
        allow_float=prepared.allow_float,
    )
    tflite = (prepared.folder / "int8.tflite").read_bytes()
    floats = float_operations(tflite)
    if floats and not prepared.allow_float:
        raise UserError(
            f"{', '.join(floats)} would stay in float: replace them, or allow it with --allow-float"
        )
    pictures = fitting.features[chosen[:_MEANS_FROM]]
    taken = _taken(prepared, _draft(prepared, tflite), pictures)
    return unbiased(float_content, tflite, *taken, report)


def _draft(prepared: Prepared, tflite: bytes) -> ModelCard:
    """Return the card so far. A pixel's code is its value less 128: the card says what that means.

    TFLite's zero point is whole, so that the range may be off by up to half a grey level.
    """
    card = dict(prepared.card)
    if "input" not in card:
        scale, zero = Lite(tflite).input["quantization"]
        card["input"] = PixelInput(kind="pixels", multiply=scale, add=(-128 - zero) * scale)
    return ModelCard.model_validate(
        {
            **card,
            "temperature": 1.0,
            "abstention": _NO_ABSTENTION,
            "metrics": {},
            "penultimate": prepared.network["penultimate"] if prepared.embedding else None,
            "sha256": UNSEALED,
        }
    )


def _run(
    network: Network, features: NDArray[np.uint8], what: str, report: Report
) -> NDArray[np.float32]:
    rows = []
    for number in range(len(features)):
        report(what, number, len(features))
        rows.append(network(features[number : number + 1])[0])
    return np.stack(rows)


def _run_float(prepared: Prepared, content: bytes, report: Report) -> NDArray[np.float32]:
    network, features = Lite(content), prepared.judging.features
    rows = []
    for number, feature in enumerate(features):
        report("float network, proof", number, len(features))
        rows.append(network(_shown(prepared.shown, feature[None]))[0])
    return np.stack(rows)


def _shown(affine: Affine, features: NDArray[np.uint8]) -> NDArray[np.float32]:
    if affine == PREPROCESSINGS[IN_MODEL]:  # features of any number of channels
        return features.astype(np.float32)
    return affine(features)


def _layers(
    prepared: Prepared, float_content: bytes, tflite: bytes, card: ModelCard
) -> list[LayerError]:
    few: HeldOut = prepared.judging
    features = few.features[:: max(1, len(few.features) // _LAYERS_LOOKED_AT_WITH)]
    features = features[:_LAYERS_LOOKED_AT_WITH]
    return layer_errors(float_content, tflite, *_taken(prepared, card, features))


def _taken(
    prepared: Prepared, card: ModelCard, features: NDArray[np.uint8]
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Return features as the float network takes them, and as the int8 one does."""
    taken = features.astype(np.float32)
    if isinstance(card.input, PixelInput):
        taken = taken * np.float32(card.input.multiply) + np.float32(card.input.add)
    return _shown(prepared.shown, features), taken


def float_operations(tflite: bytes) -> list[str]:
    """Return the kinds of operation that compute in float."""
    converting = ("DEQUANTIZE", "QUANTIZE")
    return sorted(
        {each.kind for each in operations(tflite) if each.in_float and each.kind not in converting}
    )
