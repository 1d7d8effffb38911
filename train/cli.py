"""The command `edge-af-train`."""

import json
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from edge_af.cli.options import UmPerPx, within
from edge_af.cli.run import run
from edge_af.errors import UserError

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

_CORES = os.cpu_count() or 1

app = typer.Typer(
    help="Render data sets, train networks, judge models.",
    no_args_is_help=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    epilog="Example: edge-af-train render data --split train --optics mixed --tiles 120000",
)


class Optics(StrEnum):
    """Which instruments tiles are rendered for."""

    REFERENCE = "reference"
    RANDOMISED = "randomised"
    MIXED = "mixed"


class Split(StrEnum):
    """Which specimens tiles are rendered of: no specimen is in two splits."""

    TRAIN = "train"
    VALIDATION = "validation"
    TEST = "test"


Workers = Annotated[int, typer.Option(min=1, max=256, help="Processes that render.")]
Seed = Annotated[int, typer.Option(min=0, help="The same seed gives the same specimens.")]
Tiles = Annotated[int, typer.Option(min=1, max=10_000_000, help="How many tiles.")]


@app.command(
    epilog="Example: edge-af-train render data --split validation --optics mixed --tiles 8000"
)
def render(
    folder: Annotated[Path, typer.Argument(help="Where to put the tiles and their manifest.")],
    tiles: Tiles = 10_000,
    split: Split = Split.TRAIN,
    optics: Optics = Optics.MIXED,
    seed: Seed = 1,
    workers: Workers = _CORES,
) -> None:
    """Render labelled tiles with the virtual microscope. Interrupted, it goes on where it was."""
    from train.render import RenderPlan
    from train.render import render as render_tiles

    with _progress() as report:
        manifest = render_tiles(
            RenderPlan(split.value, optics.value, seed),
            tiles,
            folder,
            workers,
            lambda done: report("rendering", done, tiles),
        )
    print(manifest)


@app.command(
    name="import",
    epilog="Example: edge-af-train import data stacks/*.ome.tif --validation-share 0.2",
)
def import_(
    folder: Annotated[Path, typer.Argument(help="Where to put the tiles and their manifests.")],
    stacks: Annotated[
        list[Path],
        typer.Argument(metavar="STACK...", help="OME-TIFFs, or folders of them or of slices."),
    ],
    validation_share: Annotated[
        float,
        typer.Option(callback=within(0, 1), help="Share of the fields that are not learned from."),
    ] = 0.2,
    tiles: Annotated[
        int, typer.Option(min=1, max=10_000, help="How many tiles of each slice.")
    ] = 24,
    um_per_px: UmPerPx = None,
    seed: Seed = 1,
) -> None:
    """Cut focal stacks into labelled tiles to train on, split by field."""
    from train.import_stacks import ImportPlan, import_stacks

    with _progress() as report:
        imported = import_stacks(
            stacks,
            folder,
            ImportPlan(validation_share, tiles, seed, um_per_px),
            lambda done, total: report("importing", done, total),
        )
    for reason in imported.left_out:
        print(f"edge-af-train: left out: {reason}", file=sys.stderr)
    for manifest in imported.manifests.values():
        print(manifest)


@app.command(
    epilog="Example: edge-af-train fit runs/first "
    "--data data/train-mixed-1.csv --validation data/validation-mixed-1.csv"
)
def fit(
    folder: Annotated[Path, typer.Argument(help="Run folder to write.")],
    data: Annotated[Path, typer.Option(metavar="MANIFEST", help="Tiles to learn from.")],
    validation: Annotated[Path, typer.Option(metavar="MANIFEST", help="Tiles to watch.")],
    architecture: Annotated[
        str, typer.Option("--arch", help="Name of the network.")
    ] = "spectral-mobilenet",
    epochs: Annotated[int, typer.Option(min=1, max=10_000)] = 12,
    seed: Seed = 1,
) -> None:
    """Train a network. Ctrl-C ends it; the best so far stays in the run folder."""
    from train.fit import FitSettings
    from train.fit import fit as fit_network

    with _progress() as report:
        best = fit_network(
            FitSettings(architecture=architecture, epochs=epochs, seed=seed),
            data,
            validation,
            folder,
            report,
        )
    print(best)


@app.command(
    epilog="Example: edge-af-train evaluate edge_af/models/spectral-mobilenet.tflite --randomised"
)
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
    with _progress() as report:
        verdicts = judge(classifier, source, lambda done: report("judging", done, tiles))
    figures = metrics(verdicts, classifier.scale)
    print(json.dumps(figures) if as_json else _table(figures))


def _table(figures: dict[str, float]) -> str:
    return "\n".join(f"{name:24} {value:10.4g}" for name, value in figures.items())


@contextmanager
def _progress() -> Iterator[Callable[[str, int, int], None]]:
    """Yield what reports progress on standard error: what is done, how far, of how much.

    A terminal shows a bar; a log gets a line for each thing that is new.
    """
    if not sys.stderr.isatty():
        yield _say_what_is_new()
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TimeRemainingColumn

    columns = "{task.description}", BarColumn(), MofNCompleteColumn(), TimeRemainingColumn()
    with Progress(*columns, console=Console(stderr=True)) as progress:
        task = progress.add_task("")
        yield lambda what, done, total: progress.update(
            task, description=what, completed=done, total=total
        )


def _say_what_is_new() -> Callable[[str, int, int], None]:
    said = ""

    def report(what: str, done: int, total: int) -> None:
        nonlocal said
        if what != said:
            said = what
            print(f"{what} ({done} of {total})", file=sys.stderr)

    return report


def main() -> int:
    """Run the command line."""
    return run(app, "edge-af-train")
