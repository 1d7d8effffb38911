"""Recorded focal stacks: finding the slices of each field, and where they lie in z.

A file's z is read from its name in one of these forms; what is left of the name, behind the
sub-folder's if there is one, is the field.

- `tile_iy000_zoff-16.4345um.png`: um, anywhere in the name
- `Seg11_defocus-450.jpg`, `s1_l2/defocus450.jpg`: nm, at the end
- `tile_iy000_-10.226.tiff`: um, at the end after an underscore, without padding (`_0001` is a
  running number, not a z)

A CSV with columns `file` and `z_um` overrules names; `field` and `um_per_px` are optional.
"""

import csv
import math
import re
from bisect import bisect_left
from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from functools import lru_cache
from itertools import chain, pairwise
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from hw.images import SUFFIXES, ImageError, read_header, read_rgb
from hw.ome import read_ome

_NUMBER = r"(?P<z>[+-]?(?:0|[1-9]\d*)(?:\.\d+)?(?:e[+-]?\d+)?)"
_NAMES = (  # and how many of their units make 1 um
    (re.compile(rf"zoff{_NUMBER}um", re.IGNORECASE), 1.0),
    (re.compile(rf"defocus{_NUMBER}$", re.IGNORECASE), 1e3),
    (re.compile(rf"(?:^|_){_NUMBER}$", re.IGNORECASE), 1.0),
)
_UNDERSTOOD = (
    "name them like x_-10.226.tiff (um), x_zoff-16.4345um.png or x_defocus-450.jpg (nm), "
    "or add a CSV with columns file,z_um; give an OME-TIFF by its own path"
)


@dataclass(frozen=True, slots=True)
class Slice:
    """One recorded frame: where it lies, and the file and page that hold it."""

    z_um: float
    path: Path
    page: int = 0

    def pixels(self) -> NDArray[np.uint8]:
        """Return the frame, H x W x 3, uint8, RGB, read-only; raises ImageError if damaged."""
        return _pixels(self.path, self.page)


@lru_cache(maxsize=16)  # 110 MB of 1920 x 1200 frames, over all stacks
def _pixels(path: Path, page: int) -> NDArray[np.uint8]:
    return read_rgb(path, page)


@dataclass(frozen=True, slots=True)
class Stack:
    """The slices of one field, by rising z; at least two, no two at the same z.

    `um_per_px` is None where the files do not say. Raises ImageError if the slices are not so.
    """

    field: str
    slices: tuple[Slice, ...]
    um_per_px: float | None = None

    def __post_init__(self) -> None:
        if len(self.slices) < 2:
            files = ", ".join(str(one.path) for one in self.slices)
            raise ImageError(
                f"field {self.field!r} has {len(self.slices)} slice(s), but a stack needs 2: "
                f"record more, or leave it out ({files})"
            )
        for one in self.slices:
            if not math.isfinite(one.z_um):
                raise ImageError(f"{one.path} has z {one.z_um} um: it must be a finite number")
        for below, above in pairwise(self.slices):
            if below.z_um == above.z_um:
                raise ImageError(
                    f"field {self.field!r} has two slices at z {above.z_um} um, {below.path} "
                    f"page {below.page} and {above.path} page {above.page}: leave one out"
                )
            if below.z_um > above.z_um:
                raise ImageError(f"the slices of field {self.field!r} must be sorted by z")
        if self.um_per_px is not None and not 0 < self.um_per_px < math.inf:
            raise ImageError(f"um_per_px must be positive and finite, got {self.um_per_px} um/px")

    def nearest(self, z_um: float) -> int:
        """Return the index of the slice nearest to `z_um`, the lower of two as near."""
        above = bisect_left(self.slices, z_um, key=lambda one: one.z_um)
        if above == 0:
            return 0
        if above == len(self.slices):
            return above - 1
        middle_um = (self.slices[above - 1].z_um + self.slices[above].z_um) / 2
        return above - 1 if z_um <= middle_um else above


@dataclass(frozen=True, slots=True)
class _Entry:
    """One recorded frame as found, with its field."""

    field: str
    slice: Slice
    um_per_px: float | None = None


def read_stacks(path: Path | str, um_per_px: float | None = None) -> list[Stack]:
    """Find the focal stacks in a folder (and its sub-folders), a CSV or an OME-TIFF, by field.

    A CSV in the folder overrules file names; images whose name states no z are passed over. A
    file's first page counts. um per px is the argument, or else the CSV's, or else the OME or
    TIFF metadata's. Pixels are not read yet. Raises ImageError for anything that is missing,
    unreadable or inconsistent.
    """
    path = Path(path)
    if path.is_dir():
        tables = sorted(path.glob("*.csv"))
        if len(tables) > 1:
            raise ImageError(f"{path} holds {len(tables)} CSV files: give one of them as the path")
        stacks = _group(_read_csv(tables[0]) if tables else _read_names(path))
    elif not path.exists():
        raise ImageError(f"focal stack {path} does not exist: check the path")
    elif path.suffix.lower() == ".csv":
        stacks = _group(_read_csv(path))
    elif path.suffix.lower() in (".tif", ".tiff"):
        stacks = [
            _stack(
                image.name, [Slice(p.z_um, p.path, p.page) for p in image.planes], image.um_per_px
            )
            for image in read_ome(path)
        ]
    else:
        raise ImageError(f"{path} is no focal stack: give a folder, a .csv or an OME-TIFF")
    return stacks if um_per_px is None else [replace(s, um_per_px=um_per_px) for s in stacks]


def _stack(field: str, slices: Iterable[Slice], um_per_px: float | None) -> Stack:
    return Stack(field, tuple(sorted(slices, key=lambda one: one.z_um)), um_per_px)


def _group(entries: Iterable[_Entry]) -> list[Stack]:
    fields: dict[str, list[_Entry]] = defaultdict(list)
    for entry in entries:
        fields[entry.field].append(entry)
    return [_from_entries(field, fields[field]) for field in sorted(fields)]


def _from_entries(field: str, entries: list[_Entry]) -> Stack:
    first = entries[0]
    header = read_header(first.slice.path)
    for entry in entries[1:]:
        other = read_header(entry.slice.path)
        if (other.width_px, other.height_px) != (header.width_px, header.height_px):
            raise ImageError(
                f"field {field!r} mixes frames of different sizes: {first.slice.path} has "
                f"{header.width_px} x {header.height_px} px, {entry.slice.path} has "
                f"{other.width_px} x {other.height_px} px: leave the odd ones out"
            )
        if entry.um_per_px != first.um_per_px:
            raise ImageError(
                f"field {field!r} has two values of um_per_px, {first.um_per_px} and "
                f"{entry.um_per_px}: one field has one"
            )
    um_per_px = header.um_per_px if first.um_per_px is None else first.um_per_px
    return _stack(field, (entry.slice for entry in entries), um_per_px)


def _read_names(folder: Path) -> list[_Entry]:
    images = sorted(
        file
        for file in chain(folder.glob("*"), folder.glob("*/*"))
        if file.suffix.lower() in SUFFIXES and not file.name.startswith(".") and file.is_file()
    )
    if not images:
        raise ImageError(f"{folder} holds no images ({', '.join(SUFFIXES)}): check the path")
    entries = [entry for file in images if (entry := _from_name(folder, file)) is not None]
    if not entries:
        raise ImageError(
            f"none of the {len(images)} images in {folder} states its z in its name "
            f"({images[0].name}): {_UNDERSTOOD}"
        )
    return entries


def _from_name(folder: Path, file: Path) -> _Entry | None:
    stated = z_in_name(file.stem)
    if stated is None:
        return None
    z_um, rest = stated
    parts = (*file.relative_to(folder).parent.parts, *([rest] if rest else []))
    field = "/".join(parts) or folder.resolve().name
    return _Entry(field, Slice(z_um, file))


def z_in_name(stem: str) -> tuple[float, str] | None:
    """Return the z, in um, that a file's name without its suffix states, and the rest of the name.

    None if it states none. The forms are those that this module's docstring lists.
    """
    for pattern, units_per_um in _NAMES:
        if match := pattern.search(stem):
            rest = (stem[: match.start()] + stem[match.end() :]).strip("_- ")
            return float(match["z"]) / units_per_um, rest
    return None


def _read_csv(table: Path) -> list[_Entry]:
    try:
        with table.open(newline="", encoding="utf-8-sig") as lines:
            rows = csv.DictReader(lines, skipinitialspace=True)
            missing = {"file", "z_um"} - set(rows.fieldnames or ())
            if missing:
                raise ImageError(
                    f"{table} lacks the column(s) {', '.join(sorted(missing))}: its first line "
                    "must be file,z_um, and may add field and um_per_px, with commas between"
                )
            entries = list(_from_rows(table, rows))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise ImageError(f"{table} cannot be read as CSV ({error}): save it as UTF-8") from error
    if not entries:
        raise ImageError(f"{table} lists no slices: add a line file,z_um for each")
    return entries


def _from_rows(table: Path, rows: "csv.DictReader[str]") -> Iterator[_Entry]:
    default_field = table.resolve().parent.name
    for row in rows:
        where = f"{table} line {rows.line_num}"
        file = table.parent / (row["file"] or "")
        if not file.is_file():
            raise ImageError(f"{where}: image {file} does not exist: correct the path or the line")
        stated = row.get("um_per_px")
        um_per_px = _number(where, "um_per_px", stated) if stated else None
        z_um = _number(where, "z_um", row["z_um"])
        yield _Entry(row.get("field") or default_field, Slice(z_um, file), um_per_px)


def _number(where: str, column: str, text: str | None) -> float:
    try:
        number = float(text or "")
    except ValueError:
        number = math.nan
    if not math.isfinite(number):
        raise ImageError(f"{where}: {column} must be a finite number, got {text!r}")
    return number
