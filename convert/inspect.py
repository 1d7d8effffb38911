"""`edge-af-convert inspect`: what a model is."""

import tempfile
from pathlib import Path
from typing import Any

from convert.convert import float_operations
from convert.from_run import is_run
from convert.lite import Lite, operations
from convert.networks import network_of, scales_itself
from convert.sources import Kind, Source, identify
from edge_af.cli.figures import print_figures, print_json, reader_console
from edge_af.cli.progress import progress
from edge_af.errors import ModelError
from edge_af.model_file import read_model_file


def inspect_command(path: Path, as_json: bool) -> None:
    """Print what the model at `path` is. Raises UserError if it is none."""
    if is_run(path) and (path / "model.keras").exists():
        path = path / "model.keras"
    source = identify(path)
    found = _of_tflite(path) if source.kind is Kind.TFLITE else _of_network(source)
    document = {"file": str(path), "kind": source.kind.value, "saved_by": source.saved_by, **found}
    if as_json:
        print_json(document)
    else:
        print_figures(reader_console(), path.name, document)


def _of_network(source: Source) -> dict[str, Any]:
    with tempfile.TemporaryDirectory() as folder, progress() as report:
        network = network_of(source, Path(folder), None, report)
        tflite = (Path(folder) / "float.tflite").read_bytes()
    return {
        "input": network["shape"],
        "output": network["answer_shape"],
        "ends_in": network["ending"],
        "embedding": network["penultimate"],
        "scales_its_input": scales_itself(network),
        "parameters": network["parameters"],
        **_size(tflite),
    }


def _of_tflite(path: Path) -> dict[str, Any]:
    tflite = path.read_bytes()
    lite = Lite(tflite)
    found = {
        "input": lite.input["shape"].tolist()[1:],
        "input_type": lite.input["dtype"].__name__,
        "input_scale_and_zero": list(map(float, lite.input["quantization"])),
        "output": lite.output["shape"].tolist()[1:],
        "output_type": lite.output["dtype"].__name__,
        "float_operations": float_operations(tflite),
        **_size(tflite),
        "size_bytes": len(tflite),
    }
    try:
        card = read_model_file(path).card
    except ModelError as error:
        return found | {"card": None, "no_card_because": str(error)}
    return found | {"card": card.model_dump(mode="json")}


def _size(tflite: bytes) -> dict[str, int]:
    done = operations(tflite)
    return {"operations": len(done), "macs": sum(each.macs for each in done)}
