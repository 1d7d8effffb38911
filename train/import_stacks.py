"""Recorded focal stacks cut into labelled tiles, as `train.render` leaves those that it renders."""

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import tifffile
from numpy.typing import NDArray

from edge_af.errors import UserError
from edge_af.routines.collect import focus_at_um
from edge_af.routines.sweep import PROMINENCE, peak_um
from edge_af.sharpness import tenengrad
from edge_af.stack_writer import SUFFIXES
from edge_af.tiles import Tile, cut
from hw.camera import Frame
from hw.stack import Slice, Stack, read_stacks
from train import standard
from train.manifest import Row, write_rows
from train.render import BEYOND_UM

_ALL = 1_000_000


@dataclass(frozen=True, slots=True)
class ImportPlan:
    """How to import.

    Of each field the same `tiles` tiles are taken in every slice. `validation_share` of the fields
    go to validation, at least one each way unless it is 0 or 1; `seed` draws tiles and fields.
    `um_per_px` overrules what the files say.
    """

    validation_share: float = 0.2
    tiles: int = 24
    seed: int = 1
    um_per_px: float | None = None


@dataclass(frozen=True, slots=True)
class Imported:
    """Manifests and their number of tiles, by split, and the stacks left out, with the reason."""

    manifests: dict[str, Path]
    tiles: dict[str, int]
    left_out: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class _Field:
    """One place on a slide, of which no part may be in two splits, and the focus of each stack."""

    name: str
    source: str
    stacks: list[tuple[Stack, float]]


def import_stacks(
    sources: Sequence[Path], folder: Path, plan: ImportPlan, progress: Callable[[int, int], None]
) -> Imported:
    """Cut stacks into tiles in `folder`, with a manifest for each split.

    A source is what `hw.stack.read_stacks` takes, or a folder of OME-TIFFs. All images of an
    OME-TIFF count as one field. A label is the slice's z less that of the stack's sharpness peak,
    whatever its file calls 0; a stack without a peak is left out. `progress` is told the fields
    done, and of how many. Raises UserError if too few fields are left for the split, ImageError for
    stacks that cannot be read, and ModelError for frames too coarse or too small.
    """
    found = [place for source in sources for place in _places(source, plan.um_per_px)]
    fields, left_out = [], []
    for number, (name, source, stacks) in enumerate(found):
        progress(number, 2 * len(found))
        sharp = [
            (stack, focus_um) for stack in stacks if (focus_um := _focus_um(stack)) is not None
        ]
        if len(sharp) < len(stacks):
            left_out.append(f"{source}, {name}: no slice inside is sharper than the others")
        if sharp:
            fields.append(_Field(f"{number:04d}-{name}", source, sharp))
    splits = _splits(len(fields), plan, left_out)
    folder.mkdir(parents=True, exist_ok=True)
    rows: dict[str, list[Row]] = {}
    for number, (field, split) in enumerate(zip(fields, splits, strict=True)):
        progress(2 * len(found) - len(fields) + number, 2 * len(found))
        for stack, focus_um in field.stacks:
            of_split = rows.setdefault(split, [])
            of_split += _write_tiles(folder, field, stack, focus_um, split, len(of_split), plan)
    manifests = {split: folder / f"{split}-imported.csv" for split in rows}
    for split, manifest in manifests.items():
        write_rows(manifest, rows[split])
    progress(2 * len(found), 2 * len(found))
    return Imported(manifests, {split: len(rows[split]) for split in rows}, tuple(left_out))


def _places(source: Path, um_per_px: float | None) -> Iterator[tuple[str, str, list[Stack]]]:
    """Yield a name, the file or folder, and the stacks of each place on a slide."""
    collected = sorted(
        file
        for file in (source.iterdir() if source.is_dir() else ())
        if file.name.lower().endswith(SUFFIXES) and not file.name.startswith(".")
    )
    if collected:
        for file in collected:
            yield from _places(file, um_per_px)
        return
    stacks = read_stacks(source, um_per_px)
    for stack in stacks:
        if stack.um_per_px is None:
            raise UserError(f"{source} does not state its um per px: give it with --um-per-px")
    if source.is_dir() or source.suffix.lower() == ".csv":
        for stack in stacks:
            yield _plain(stack.field), str(source), [stack]
    else:
        yield _plain(source.name.split(".")[0]), str(source), stacks


def _plain(name: str) -> str:
    return re.sub(r"[^A-Za-z0-9_-]+", "-", name).strip("-")[:60]


def _focus_um(stack: Stack) -> float | None:
    """Return the z of the sharpness peak; None if there is none inside the stack."""
    curve = {one.z_um: tenengrad(one.pixels()) for one in stack.slices}
    top_um = peak_um(curve)
    if len(curve) < 3 or top_um in (min(curve), max(curve)):
        return None
    if curve[top_um] <= (1 + PROMINENCE) * float(np.median(list(curve.values()))):
        return None
    return focus_at_um(curve)


def _splits(fields: int, plan: ImportPlan, left_out: Sequence[str]) -> list[str]:
    """Return the split of each field, drawn by the plan's seed."""
    if not fields:
        raise UserError(f"there is no stack to import: {'; '.join(left_out) or 'none was given'}")
    held_out = round(plan.validation_share * fields)
    if 0 < plan.validation_share < 1:
        if fields < 2:
            raise UserError(
                "one field cannot be split into training and validation: collect another, or "
                "give --validation-share 0 or 1"
            )
        held_out = min(max(held_out, 1), fields - 1)
    drawn = np.random.default_rng(plan.seed).permutation(fields)[:held_out].tolist()
    return ["validation" if number in drawn else "train" for number in range(fields)]


def _write_tiles(
    folder: Path,
    field: _Field,
    stack: Stack,
    focus_um: float,
    split: str,
    number: int,
    plan: ImportPlan,
) -> list[Row]:
    """Write the tiles of a stack into one TIFF, slice after slice, and return their rows."""
    ends = standard.SCALE.range
    slices = [
        one
        for one in stack.slices
        if ends.low_um - BEYOND_UM <= one.z_um - focus_um <= ends.high_um + BEYOND_UM
    ]
    sharpest = _cut(stack, stack.slices[stack.nearest(focus_um)])
    rng = np.random.default_rng([plan.seed, number])
    drawn = rng.permutation(len(sharpest))[: plan.tiles].tolist()
    # What a tile holds is judged in focus: far from it a small thing cannot be seen.
    contents = {sharpest[one].corner_px: sharpest[one].content for one in sorted(drawn)}
    path = folder / f"{split}-imported-{number:07d}-{field.name}.tif"

    def tiles() -> Iterator[NDArray[np.uint8]]:
        for one in slices:
            by_corner = {tile.corner_px: tile.pixels for tile in _cut(stack, one)}
            for corner_px in contents:
                yield np.ascontiguousarray(by_corner[corner_px])

    side_px = standard.TILE_PX
    tifffile.imwrite(
        path,
        tiles(),
        shape=(len(slices) * len(contents), side_px, side_px, 3),
        dtype=np.uint8,
        photometric="rgb",
    )
    labels = [(one.z_um - focus_um, held) for one in slices for held in contents.values()]
    return [
        Row(
            file=path.name,
            page=page,
            z_um=round(defocus_um, 4),
            field=field.name,
            split=split,
            um_per_px=standard.UM_PER_PX,
            source=f"stack:{field.source}",
            content=round(held, 5),
        )
        for page, (defocus_um, held) in enumerate(labels)
    ]


def _cut(stack: Stack, one: Slice) -> list[Tile]:
    """Return all tiles of a slice, as the device cuts them."""
    assert stack.um_per_px is not None  # seen to on reading
    frame = Frame(one.pixels(), 0.0, 0.0, stack.um_per_px)
    return cut(frame, standard.UM_PER_PX, standard.TILE_PX, _ALL)
