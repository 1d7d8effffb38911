"""A user's own pictures cut into labelled tiles, as `train.render` leaves those that it renders."""

import math
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import Literal

import numpy as np
import tifffile
from numpy.typing import NDArray

from edge_af.errors import ModelError, UserError
from edge_af.routines.collect import focus_at_um
from edge_af.routines.sweep import PROMINENCE, peak_um
from edge_af.sharpness import tenengrad
from edge_af.stack_writer import SUFFIXES as OME_SUFFIXES
from edge_af.tiles import Tile, cut, require_fit
from hw.camera import Frame
from hw.images import ImageError, read_header, read_rgb
from train import standard
from train.files import unless_disk_fails
from train.find import Found, search
from train.manifest import Row, write_rows
from train.render import BEYOND_UM
from train.splits import draw_splits

_ALL = 1_000_000

_IN_FOCUS_UM = 1.0
"""What a tile holds is judged in a slice no further than this from focus."""


@dataclass(frozen=True, slots=True)
class ImportPlan:
    """How to import.

    Of each stack the same `tiles` tiles are taken in every slice. Of the fields or slides the
    shares go to validation and test, at least one each way unless it is 0 or 1; `seed` draws tiles
    and sides. `um_per_px` overrules what the files say; tiles are resampled to `tile_um_per_px`.
    """

    validation_share: float = 0.2
    tiles: int = 24
    seed: int = 1
    um_per_px: float | None = None
    test_share: float = 0.0
    labels: Literal["peak", "stated"] = "peak"
    by: Literal["field", "slide"] = "field"
    tile_px: int = standard.TILE_PX
    tile_um_per_px: float = standard.UM_PER_PX


@dataclass(frozen=True, slots=True)
class Imported:
    """Manifests and their number of tiles, by split; and what is not in them.

    `pictures` were looked at; `left_out` says why some could not be used, one a picture, or a stack
    where a whole one is meant; `beyond` lie further from focus than the classes reach.
    """

    manifests: dict[str, Path]
    tiles: dict[str, int]
    pictures: int
    left_out: tuple[str, ...]
    beyond: int


@dataclass(frozen=True, slots=True)
class _Series:
    """The pictures of one stack, by rising z, and where it is in focus."""

    field: str
    source: str
    slide: str
    pictures: list[Found]
    um_per_px: float
    focus_um: float


def import_stacks(
    sources: Sequence[Path], folder: Path, plan: ImportPlan, progress: Callable[[int, int], None]
) -> Imported:
    """Cut pictures into tiles in `folder`, with a manifest for each split.

    A source is what `train.find` understands. All images of an OME-TIFF count as one field. With
    labels from the peak, z counts from the sharpness peak of each stack, whatever its file calls 0,
    and a stack without a peak is left out; pictures labelled by class alone keep that label.
    `progress` is told the stacks done, and of how many. Raises UserError if nothing is left,
    for too few fields to split, and for pictures of which nobody says how large their pixels are.
    """
    left_out: list[str] = []
    stacks = []
    for number, source in enumerate(sources):
        result = search(source)
        left_out += result.left_out
        stacks += [(number, source, stack) for stack in _stacks(result.found)]
    pictures = sum(len(stack) for _, _, stack in stacks) + len(left_out)
    series = []
    for place, (number, source, stack) in enumerate(stacks):
        progress(place, 2 * len(stacks))
        one = _understood(f"{number:04d}-{_plain(stack[0].field)}", source, stack, plan, left_out)
        if one is not None:
            series.append(one)
    if not series:
        raise UserError(f"there is no stack to import: {'; '.join(left_out[:3]) or 'none given'}")
    group_of = {one.field: one.slide if plan.by == "slide" else one.field for one in series}
    splits = draw_splits(list(group_of.values()), plan.validation_share, plan.test_share, plan.seed)
    folder.mkdir(parents=True, exist_ok=True)
    rows: dict[str, list[Row]] = {}
    beyond = 0
    for place, one in enumerate(series):
        progress(2 * len(stacks) - len(series) + place, 2 * len(stacks))
        split = splits[group_of[one.field]]
        of_split = rows.setdefault(split, [])
        inside = [picture for picture in one.pictures if _on_scale(picture.z_um - one.focus_um)]
        beyond += len(one.pictures) - len(inside)
        of_split += _write_tiles(folder, one, inside, split, len(of_split), plan, left_out)
    manifests = {split: folder / f"{split}-imported.csv" for split in rows if rows[split]}
    for split, manifest in manifests.items():
        write_rows(manifest, rows[split])
    progress(2 * len(stacks), 2 * len(stacks))
    counts = {split: len(rows[split]) for split in manifests}
    return Imported(manifests, counts, pictures, tuple(left_out), beyond)


def _stacks(found: Sequence[Found]) -> Iterator[list[Found]]:
    ordered = sorted(found, key=lambda one: (one.field, one.stack, one.z_um))
    for _, stack in groupby(ordered, key=lambda one: (one.field, one.stack)):
        yield list(stack)


def _plain(name: str) -> str:
    return re.sub(r"[^A-Za-z0-9_-]+", "-", name).strip("-")[:60]


def _understood(
    name: str, source: Path, stack: list[Found], plan: ImportPlan, left_out: list[str]
) -> _Series | None:
    """Return a stack with its focus; None, and the reason in `left_out`, if it cannot be used."""
    peak = plan.labels == "peak" and not any(one.by_class for one in stack)
    readable, curve, pitch_um = [], {}, 0.0
    for one in stack:
        try:
            # Every picture is read: one that is damaged must be known now.
            pixels = read_rgb(one.path, one.page)
            um_per_px = plan.um_per_px or one.um_per_px or read_header(one.path).um_per_px
            if um_per_px is None:
                raise UserError(
                    f"{one.path} does not state its um per px: give it with --um-per-px"
                )
            pitch_um = pitch_um or um_per_px
            model = plan.tile_um_per_px, plan.tile_px
            require_fit(um_per_px, (pixels.shape[0], pixels.shape[1]), model)
        except ImageError as error:
            left_out.append(str(error))
            continue
        except ModelError as error:
            left_out.append(f"{one.path}: {error}")
            continue
        readable.append(one)
        if peak:
            curve[one.z_um] = tenengrad(pixels)
    if not readable:
        return None
    focus_um = _focus_um(curve) if peak else 0.0
    if focus_um is None:
        left_out.append(
            f"{source}, {name}: no slice inside is sharper than the others; if its z counts from "
            "focus, import it with --labels stated"
        )
        return None
    return _Series(name, _source_of(source, stack[0]), stack[0].slide, readable, pitch_um, focus_um)


def _source_of(source: Path, one: Found) -> str:
    """Return the file that holds a whole stack, or where its pictures were found."""
    return str(one.path if one.path.name.lower().endswith(OME_SUFFIXES) else source)


def _focus_um(curve: dict[float, float]) -> float | None:
    """Return the z of the sharpness peak; None if there is none inside the stack."""
    if len(curve) < 3:
        return None
    top_um = peak_um(curve)
    if top_um in (min(curve), max(curve)):
        return None
    if curve[top_um] <= (1 + PROMINENCE) * float(np.median(list(curve.values()))):
        return None
    return focus_at_um(curve)


def _on_scale(defocus_um: float) -> bool:
    ends = standard.SCALE.range
    return ends.low_um - BEYOND_UM <= defocus_um <= ends.high_um + BEYOND_UM


def _write_tiles(
    folder: Path,
    series: _Series,
    pictures: Sequence[Found],
    split: str,
    number: int,
    plan: ImportPlan,
    left_out: list[str],
) -> list[Row]:
    """Write the tiles of a stack into one TIFF, picture after picture, and return their rows."""
    if not pictures:
        return []
    sharpest = min(pictures, key=lambda one: abs(one.z_um - series.focus_um))
    known = abs(sharpest.z_um - series.focus_um) <= _IN_FOCUS_UM
    in_focus = _cut(series, sharpest, plan)
    rng = np.random.default_rng([plan.seed, number])
    drawn = rng.permutation(len(in_focus))[: plan.tiles].tolist()
    # What a tile holds is judged in focus: far from it a small thing cannot be seen.
    contents = {
        in_focus[one].corner_px: in_focus[one].content if known else math.nan
        for one in sorted(drawn)
    }
    path = folder / f"{split}-imported-{number:07d}-{series.field}.tif"
    tiles: list[NDArray[np.uint8]] = []
    labels: list[tuple[int, float, float]] = []
    for place, picture in enumerate(pictures):
        by_corner = {tile.corner_px: tile.pixels for tile in _cut(series, picture, plan)}
        if not contents.keys() <= by_corner.keys():
            left_out.append(f"{picture.path}: it is smaller than the other pictures of its stack")
            continue
        for corner_px, held in contents.items():
            tiles.append(by_corner[corner_px])
            labels.append((place, picture.z_um - series.focus_um, held))
    with unless_disk_fails(path) as part:
        tifffile.imwrite(part, np.stack(tiles), photometric="rgb")
    return [
        Row(
            file=path.name,
            page=page,
            z_um=round(defocus_um, 4),
            field=series.field,
            split=split,
            um_per_px=plan.tile_um_per_px,
            source=f"stack:{series.source}",
            content=round(held, 5),
            frame=f"{number}.{place}",
        )
        for page, (place, defocus_um, held) in enumerate(labels)
    ]


def _cut(series: _Series, picture: Found, plan: ImportPlan) -> list[Tile]:
    """Return all tiles of a picture, as the device cuts them."""
    frame = Frame(read_rgb(picture.path, picture.page), 0.0, 0.0, series.um_per_px)
    return cut(frame, plan.tile_um_per_px, plan.tile_px, _ALL)
