"""A user's network: brought in from whatever it was saved as, and what is found in it."""

from pathlib import Path
from typing import Any

import numpy as np

from convert.child import run_job
from convert.convert import Report
from convert.lite import Lite, operations
from convert.sources import Kind, Source
from edge_af.errors import UserError


def network_of(source: Source, folder: Path, side_px: int | None, report: Report) -> dict[str, Any]:
    """Return what a model's network is, as `convert.worker.bring_in` does, and leave its files.

    Raises UserError if it takes no square RGB pictures, or does not load.
    """
    if source.kind is Kind.TFLITE:
        network = _of_tflite(source.path, folder)
    else:
        network = run_job(
            "bring_in",
            report,
            legacy=source.kind is Kind.KERAS_2,
            path=str(source.path),
            kind=source.kind.value,
            folder=str(folder),
            side_px=side_px,
        )
    shape = tuple(network["shape"])
    if len(shape) != 3 or shape[0] != shape[1] or shape[2] != 3:
        raise UserError(
            f"{source.path} takes inputs of shape {shape}: square RGB pictures, (side, side, 3), "
            "are needed"
        )
    return network


def scales_itself(network: dict[str, Any]) -> bool:
    """Tell whether a network brings 0..255 itself to what its layers want."""
    scaling = network["scaling"]
    if scaling is None:
        return False
    black, white = np.array(scaling["black"]), np.array(scaling["white"])
    return bool((np.abs(white - black) < 25).all() or (np.abs(black) > 50).all())


def _of_tflite(path: Path, folder: Path) -> dict[str, Any]:
    tflite = path.read_bytes()
    lite = Lite(tflite)
    (folder / "float.tflite").write_bytes(tflite)
    last = [each.kind for each in operations(tflite) if each.kind not in ("DEQUANTIZE", "QUANTIZE")]
    return {
        "shape": lite.input["shape"].tolist()[1:],
        "answer_shape": lite.output["shape"].tolist()[1:],
        "ending": "Softmax" if last[-1:] == ["SOFTMAX"] else "dense",
        "softmax_kept": True,
        "penultimate": None,
        "scaling": None,
        "parameters": 0,
    }


def output_of(
    network: dict[str, Any], path: Path, *, regression: bool, logits: bool, embedding: bool
) -> str:
    """Return what the card is to say of the answers. Raises UserError where that is not clear.

    `regression` and `logits` say what the user says of them; `embedding` that more is wanted.
    """
    shape, ending = network["answer_shape"], network["ending"]
    if len(shape) != 1:
        raise UserError(
            f"{path} answers with shape {tuple(shape)}: one number for each class is needed (does "
            "it lack its head? the device wants a classifier, not a feature extractor)"
        )
    if embedding and network["penultimate"] is None:
        raise UserError(f"{path} does not end in a dense layer: it has no --embedding to give out")
    if regression:
        if shape[0] != 1:
            raise UserError(f"{path} has {shape[0]} outputs: --regression is for one, in um")
        return "um"
    if shape[0] == 1:
        raise UserError(
            f"{path} has one output. If that is the defocus in um, say so with --regression, and "
            "give the range that the device is to reckon with: --scale uniform:-10:10"
        )
    if ending == "Softmax":
        return "probabilities" if network.get("softmax_kept") else "logits"
    if not logits:
        raise UserError(
            f"{path} does not end in a softmax but in {ending}. If its outputs are logits (it was "
            "trained with from_logits=True), say so with --logits; else add the softmax and save "
            "it again"
        )
    return "logits"
