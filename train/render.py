"""Render labelled tiles with the virtual microscope: one specimen, one file, one line a tile."""

from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from dataclasses import dataclass, replace
from itertools import count
from multiprocessing import get_context
from pathlib import Path

import numpy as np
import tifffile
from numpy.typing import NDArray

from hw.virtual.imaging import transmission
from hw.virtual.optics import Optics, OtfBank
from hw.virtual.picture import draw_picture
from hw.virtual.procedural import draw_specimen
from hw.virtual.sensor import Sensor
from train import instruments, standard
from train.assorted import draw_assorted
from train.files import unless_disk_fails
from train.manifest import Row, read_rows, write_rows
from train.textures import Texture, digest_of

SPLITS = {"train": 1, "validation": 2, "test": 3}
"""Each split draws its specimens from a seed sequence of its own: none is ever on both sides."""

KIND_SHARE = {"tissue": 0.55, "smear": 0.27, "sparse": 0.14, "empty": 0.04}
LEARNED_SHARE = {"tissue": 0.38, "smear": 0.18, "assorted": 0.30, "sparse": 0.10, "empty": 0.04}
"""What training and validation are made of; tests hold only what a microscope is likely to see."""

FIELD_PX = {
    "tissue": 512,
    "smear": 512,
    "assorted": 512,
    "picture": 512,
    "sparse": 256,
    "empty": 256,
}
"""Side of the rendered field, about: it holds whole tiles. Sparse ones are small, so that their
tiles are not all empty."""

LEARNED_PLANES_OF_SPARSE = 4
"""Training and validation see a sparse field at so many times the planes, for its fewer tiles."""

FRAME_PX = 640
"""Width of the frame that vignetting is stated for."""

THICKEST_UM = 4.0
"""A picture is laid over a relief of up to this: as thick as a section gets."""

BEYOND_UM = 0.75
"""Tiles are rendered this far past the scale's ends, so that the end classes see both sides."""


@dataclass(frozen=True, slots=True)
class RenderPlan:
    """What to render. `optics` is reference, randomised or mixed (half of each).

    Specimens are procedural, or parts of `textures` where there are any; if `flat`, as thin as
    none is, all of it at one depth.
    """

    split: str
    optics: str
    seed: int
    tile_px: int = standard.TILE_PX
    textures: tuple[Texture, ...] = ()
    range_um: float = 12.5
    planes: int = 2
    flat: bool = False

    @property
    def name(self) -> str:
        """What its files are called."""
        size = "" if self.tile_px == standard.TILE_PX else f"-{self.tile_px}px"
        pictures = f"-{digest_of(self.textures)}" if self.textures else ""
        return f"{self.split}-{self.optics}{size}{pictures}-{self.seed}"

    def slide(self, field: int) -> Texture | None:
        """Return the picture that a field is a part of, if it is one."""
        return self.textures[field % len(self.textures)] if self.textures else None


@dataclass(frozen=True, slots=True)
class Tile:
    """One labelled tile: tile_px x tile_px x 3 uint8, its defocus, and what it holds in focus.

    `plane` counts the frames of a field.
    """

    pixels: NDArray[np.uint8]
    defocus_um: float
    content: float
    plane: int


def render_field(plan: RenderPlan, field: int) -> Iterator[Tile]:
    """Yield the tiles of one specimen at `planes` random defocus values."""
    rng = np.random.default_rng([plan.seed, SPLITS[plan.split], field])
    slide = plan.slide(field)
    if slide is None:
        share = KIND_SHARE if plan.split == "test" else LEARNED_SHARE
        kind = str(rng.choice(list(share), p=list(share.values())))
    else:
        kind = "picture"
    random_optics = plan.optics == "randomised" or (plan.optics == "mixed" and field % 2 == 1)
    optics, sensor = instruments.randomised(rng) if random_optics else instruments.reference()
    optics = optics.in_another_field(rng)
    side_px = plan.tile_px * max(1, round(FIELD_PX[kind] / plan.tile_px))
    shape_px = (side_px, side_px)
    seed = int(rng.integers(2**62))
    if kind == "assorted":
        specimen = draw_assorted(seed, shape_px, optics.um_per_px)
    elif slide is None:
        specimen = draw_specimen(seed, kind, shape_px, optics.um_per_px)
    else:
        thickness_um = float(rng.uniform(0, THICKEST_UM))
        specimen = draw_picture(
            slide.path, slide.um_per_px, seed, shape_px, optics.um_per_px, thickness_um
        )
    if plan.flat:
        specimen = specimen.flattened()
    bank = OtfBank(optics, shape_px)
    often = LEARNED_PLANES_OF_SPARSE if kind == "sparse" and plan.split != "test" else 1
    for plane in range(often * plan.planes):
        reach_um = plan.range_um + BEYOND_UM
        defocus_um = float(rng.uniform(-reach_um, reach_um))
        picture = transmission(specimen, bank, np.array([defocus_um]))
        # The specimen has no edges: shifting it gives other crops of the same field.
        down, right = (int(value) for value in rng.integers(side_px, size=2))
        picture = np.roll(picture, (-down, -right), axis=(1, 2))
        light = sensor.drifted(rng)
        # A small field is a crop of a frame, and darkens less towards its corners.
        light = replace(light, vignetting=light.vignetting * (side_px / FRAME_PX) ** 2)
        camera = Sensor(light, shape_px, int(rng.integers(2**31)))
        pixels = camera.expose(picture)
        for top in range(0, side_px, plan.tile_px):
            for left in range(0, side_px, plan.tile_px):
                area = specimen.area(top + down, left + right, plan.tile_px, plan.tile_px)
                yield Tile(
                    pixels[top : top + plan.tile_px, left : left + plan.tile_px],
                    defocus_um - area.depth_um,
                    area.content,
                    plane,
                )


def _render_file(plan: RenderPlan, field: int, folder: Path) -> list[Row]:
    """Render one specimen into its TIFF, unless an earlier run has; return its manifest rows."""
    path = folder / f"{plan.name}-{field:06d}.tif"
    sidecar = path.with_suffix(".csv")
    if sidecar.exists():
        return read_rows(sidecar)
    slide = plan.slide(field)
    tiles = list(render_field(plan, field))
    rows = [
        Row(
            file=path.name,
            page=page,
            z_um=round(tile.defocus_um, 4),
            # All parts of one slide count as one field: none of it may be on two sides.
            field=path.stem if slide is None else slide.name,
            split=plan.split,
            um_per_px=Optics().um_per_px,
            source=f"virtual:{plan.optics}",
            content=round(tile.content, 5),
            frame=f"{field}.{tile.plane}",
        )
        for page, tile in enumerate(tiles)
    ]
    with unless_disk_fails(path) as part:
        tifffile.imwrite(part, np.stack([tile.pixels for tile in tiles]), photometric="rgb")
    # Written last: its presence says that the pictures are complete.
    write_rows(sidecar, rows)
    return rows


def render(
    plan: RenderPlan, tiles: int, folder: Path, workers: int, progress: Callable[[int], None]
) -> Path:
    """Render `tiles` tiles into `folder`; return the manifest.

    Takes up where an interrupted run left off. `progress` is called with tiles done so far.
    """
    folder.mkdir(parents=True, exist_ok=True)
    rows: list[Row] = []
    with ProcessPoolExecutor(workers, mp_context=get_context("spawn")) as pool:
        # In order, so that which specimens make up the set does not depend on who finished first.
        waiting: deque[Future[list[Row]]] = deque()
        fields = count()
        while len(rows) < tiles:
            while len(waiting) < 2 * workers:
                waiting.append(pool.submit(_render_file, plan, next(fields), folder))
            rows += waiting.popleft().result()
            progress(min(len(rows), tiles))
        for future in waiting:
            future.cancel()
    manifest = folder / f"{plan.name}.csv"
    write_rows(manifest, rows[:tiles])
    return manifest
