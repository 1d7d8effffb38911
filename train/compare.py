"""Several models on the same tiles, and what each of them costs."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from edge_af.errors import UserError
from edge_af.model_file import read_model_file
from train import costs
from train.evaluate import Labelled, judge
from train.judged import open_model
from train.metrics import metrics
from train.run_folder import BEST

FIGURES = (
    "top1",
    "within_1",
    "mae_um",
    "median_abs_error_um",
    "p95_abs_error_um",
    "false_direction",
    "abstained",
)

Source = Callable[[int], Iterator[Labelled]]
"""Gives the tiles to judge by, at a tile size in px."""


@dataclass(frozen=True, slots=True)
class Contender:
    """A model to compare, and the .tflite of it if there is one."""

    path: Path
    tflite: Path | None


def contender(path: Path) -> Contender:
    """Return a .tflite, or a run folder with the .tflite that was converted into it, if any.

    Raises UserError if a run holds several.
    """
    if path.suffix == ".tflite":
        return Contender(path, path)
    found = sorted(path.glob("*.tflite")) if path.is_dir() else []
    if len(found) > 1:
        raise UserError(f"{path} holds {len(found)} .tflite files: give the one that you mean")
    return Contender(path, found[0] if found else None)


def compared(one: Contender, source: Source, progress: Callable[[int], None]) -> dict[str, Any]:
    """Return a line of the table: figures, costs, and how the model was trained.

    Judged, counted and timed is the .tflite; of a run that was not converted yet the float network
    is judged and counted, and size and latency are None.
    """
    classifier = open_model(one.tflite or one.path)
    card = classifier.card
    figures = metrics(judge(classifier, source(card.tile_px), progress), classifier.scale)
    line: dict[str, Any] = {
        "model": card.name,
        "input": f"{card.input.kind} {card.tile_px} px",
        **{name: figures.get(name) for name in FIGURES},
        "n": figures["n"],
    }
    if one.tflite is None:
        # Only now: Keras takes seconds to load.
        from train import keras_costs
        from train.checkpoint import load_network

        network = load_network(one.path / BEST if one.path.is_dir() else one.path)
        line |= {
            "parameters": keras_costs.parameters(network),
            "macs": keras_costs.macs(network),
            "int8_bytes": None,
            "latency_ms": None,
        }
    else:
        content = read_model_file(one.tflite).content
        line |= {
            "parameters": costs.parameters_of_tflite(content),
            "macs": costs.macs_of_tflite(content),
            "int8_bytes": len(content),
            "latency_ms": costs.latency_ms(classifier),
        }
    told = ("recipe", "epochs", "tiles", "batch", "weights", "from", "average_of")
    return line | {"training": {name: card.training.get(name) for name in told}}


def markdown(lines: list[dict[str, Any]]) -> str:
    """Return the table as Markdown."""
    head = (
        "model | input | top-1 | within 1 | MAE | median | p95 | wrong side | abstained | "
        "parameters | MACs | int8 | latency | trained"
    )
    rows = [f"| {head} |", "|" + " --- |" * len(head.split("|"))]
    for line in lines:
        cells = (
            line["model"],
            line["input"].replace("_", " "),
            *(_share(line[name]) for name in ("top1", "within_1")),
            *(_um(line[name]) for name in ("mae_um", "median_abs_error_um", "p95_abs_error_um")),
            *(_share(line[name]) for name in ("false_direction", "abstained")),
            f"{line['parameters'] / 1e6:.2f} M",
            f"{line['macs'] / 1e6:,.1f} M",
            "" if line["int8_bytes"] is None else f"{line['int8_bytes'] / 1e6:.2f} MB",
            "" if line["latency_ms"] is None else f"{line['latency_ms']:.1f} ms",
            _trained(line["training"]),
        )
        rows.append("| " + " | ".join(cells) + " |")
    return "\n".join(rows)


def _trained(training: dict[str, Any]) -> str:
    if training["tiles"] is None:
        return ""
    recipe = training["recipe"] or ""
    start = training["weights"] or training["from"]
    begun = f"from {start}" if start else "from scratch"
    of = training["average_of"]
    averaged = f", mean of {len(of)} runs" if of else ""
    return f"{recipe} {training['epochs']} x {training['tiles']:,} tiles, {begun}{averaged}".strip()


def _share(value: float | None) -> str:
    return "" if value is None else f"{value:.1%}"


def _um(value: float | None) -> str:
    return "" if value is None else f"{value:.2f} um"
