"""`edge-af-train evaluate`."""

import json
from pathlib import Path
from typing import Annotated

import typer

from edge_af.errors import UserError
from train.cli.options import Seed, Tiles
from train.cli.progress import progress


def evaluate(
    model: Annotated[Path, typer.Argument(help="A .tflite with its card.")],
    reference: Annotated[
        bool, typer.Option("--reference", help="The reference microscope (the default).")
    ] = False,
    randomised: Annotated[
        bool, typer.Option("--randomised", help="Random microscopes near the reference.")
    ] = False,
    data: Annotated[
        Path | None, typer.Option(metavar="MANIFEST", help="Tiles that a manifest lists.")
    ] = None,
    tiles: Tiles = 2000,
    seed: Seed = 1000,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Judge a model by the device's own code, on rendered test specimens or on a manifest."""
    from edge_af.classifier import Classifier
    from edge_af.model_file import read_model_file
    from train.evaluate import from_manifest, judge, metrics, rendered
    from train.manifest import read_rows

    if reference + randomised + (data is not None) > 1:
        raise UserError("--reference, --randomised and --data exclude each other: give one")
    classifier = Classifier(read_model_file(model))
    if data is None:
        source = rendered("randomised" if randomised else "reference", tiles, seed)
    else:
        rows = read_rows(data)[:tiles]
        tiles, source = len(rows), from_manifest(data, rows)
    with progress() as report:
        verdicts = judge(classifier, source, lambda done: report("judging", done, tiles))
    figures = metrics(verdicts, classifier.scale)
    print(json.dumps(figures) if as_json else _table(figures))


def _table(figures: dict[str, float]) -> str:
    return "\n".join(f"{name:24} {value:10.4g}" for name, value in figures.items())
