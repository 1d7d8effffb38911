"""`edge-af-train render` and `import`: data sets."""

import os
import sys
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from edge_af.cli.options import UmPerPx, within
from edge_af.cli.progress import progress
from train.cli.options import Seed, Tiles

_CORES = os.cpu_count() or 1


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


TilePx = Annotated[
    int,
    typer.Option(
        callback=within(32, 1024, "px"), help="Side of a tile; 224 is the paper's, 128 ours."
    ),
]
Workers = Annotated[int, typer.Option(min=1, max=256, help="Processes that render.")]


def render(
    folder: Annotated[Path, typer.Argument(help="Where to put the tiles and their manifest.")],
    tiles: Tiles = 10_000,
    split: Split = Split.TRAIN,
    optics: Optics = Optics.MIXED,
    tile_px: TilePx = 128,
    texture: Annotated[
        list[Path] | None,
        typer.Option(
            metavar="FILE",
            help="A picture in focus (SVS, OME-TIFF, PNG, ...) to take specimens from in place of "
            "drawn ones; give it again for each. A slide belongs to one split only.",
        ),
    ] = None,
    texture_um_per_px: Annotated[
        float | None,
        typer.Option(
            callback=within(0.005, 20, "um/px"),
            help="Pixel size of the pictures, where they do not state it.",
        ),
    ] = None,
    seed: Seed = 1,
    workers: Workers = _CORES,
) -> None:
    """Render labelled tiles with the virtual microscope. Interrupted, it goes on where it was.

    Beside the manifest go two pictures: how many tiles each class has, and what some look like.
    """
    from train.render import RenderPlan
    from train.render import render as render_tiles
    from train.textures import read_texture

    textures = tuple(read_texture(path, texture_um_per_px) for path in texture or ())

    with progress() as report:
        manifest = render_tiles(
            RenderPlan(split.value, optics.value, seed, tile_px, textures),
            tiles,
            folder,
            workers,
            lambda done: report("rendering", done, tiles),
        )
    print(manifest)


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

    with progress() as report:
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
