"""`edge-af-train render` and `import`: data sets."""

import os
import sys
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from edge_af.cli.options import UmPerPx, within
from edge_af.cli.progress import progress
from edge_af.errors import UserError
from train import standard
from train.cli.options import By, Labels, Seed, Tiles

_CORES = os.cpu_count() or 1
_LISTED = 20


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
        callback=within(32, 1024, "px"), help="Side of a tile; 224 is the paper's, 256 ours."
    ),
]
Workers = Annotated[int, typer.Option(min=1, max=256, help="Processes that render.")]


def render(
    folder: Annotated[Path, typer.Argument(help="Where to put the tiles and their manifest.")],
    tiles: Tiles = 10_000,
    split: Split = Split.TRAIN,
    optics: Optics = Optics.MIXED,
    tile_px: TilePx = standard.TILE_PX,
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
    from train.show import draw_data
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
    draw_data(manifest)
    print(manifest)


def import_(
    folder: Annotated[Path, typer.Argument(help="Where to put the tiles and their manifests.")],
    sources: Annotated[
        list[Path],
        typer.Argument(
            metavar="SOURCE...",
            help="OME-TIFFs; a CSV of file,z_um; or folders of pictures with z in their names "
            "(Seg11_defocus-450.jpg, s1_l2/defocus450.jpg: nm; x_zoff-16.4um.png: um) or in a "
            "folder for each class (class -7).",
        ),
    ],
    labels: Annotated[
        Labels,
        typer.Option(
            help="peak: z counts from where each stack is sharpest; stated: from the files' own "
            "0. Pictures in class folders without z in their names keep the middle of the class.",
        ),
    ] = Labels.PEAK,
    validation_share: Annotated[
        float,
        typer.Option(callback=within(0, 1), help="Share of the fields that are not learned from."),
    ] = 0.2,
    test_share: Annotated[
        float, typer.Option(callback=within(0, 1), help="Share kept to judge by at the end.")
    ] = 0.0,
    by: Annotated[
        By,
        typer.Option(
            help="What stays on one side: a field, or a slide (s1 of s1_l2; the column slide of a "
            "CSV; else all of one source)."
        ),
    ] = By.FIELD,
    tiles: Annotated[
        int, typer.Option(min=1, max=10_000, help="How many tiles of each slice.")
    ] = 24,
    um_per_px: UmPerPx = None,
    tile_px: TilePx = standard.TILE_PX,
    tile_um_per_px: Annotated[
        float,
        typer.Option(
            callback=within(0.005, 20, "um/px"), help="Pixel size that tiles are resampled to."
        ),
    ] = 0.35,
    seed: Seed = 1,
) -> None:
    """Cut your own pictures into labelled tiles to train on, split by field or slide.

    What cannot be used is left out and counted, and listed in FOLDER/left-out.txt. Beside each
    manifest go two pictures: how many tiles each class has, and what some look like.
    """
    from edge_af.files import write_atomically
    from train.import_stacks import ImportPlan, import_stacks
    from train.show import draw_data

    if validation_share + test_share > 1:
        raise UserError(
            f"--validation-share {validation_share:g} and --test-share {test_share:g} are more "
            "than 1 together"
        )
    with progress() as report:
        imported = import_stacks(
            sources,
            folder,
            ImportPlan(
                validation_share=validation_share,
                test_share=test_share,
                tiles=tiles,
                seed=seed,
                um_per_px=um_per_px,
                labels=labels.value,
                by=by.value,
                tile_px=tile_px,
                tile_um_per_px=tile_um_per_px,
            ),
            lambda done, total: report("importing", done, total),
        )
    for reason in imported.left_out[:_LISTED]:
        _say(f"left out: {reason}")
    if imported.left_out:
        listed = folder / "left-out.txt"
        write_atomically(listed, "".join(f"{one}\n" for one in imported.left_out).encode())
        _say(f"left out {len(imported.left_out)} of {imported.pictures}, listed in {listed}")
    if imported.beyond:
        _say(f"passed over {imported.beyond} pictures further from focus than the classes reach")
    for manifest in imported.manifests.values():
        draw_data(manifest)
        print(manifest)


def _say(text: str) -> None:
    print(f"edge-af-train: {text}", file=sys.stderr)
