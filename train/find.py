"""Labelled pictures, found wherever a user keeps them; what cannot be used is listed.

Understood are OME-TIFFs, a CSV of file,z_um (also field, um_per_px), and folders of pictures, at
any depth, whose names state their z as `hw.stack` reads it, or that lie in a folder of their class
(`class -7`).
"""

import csv
import math
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from edge_af.errors import UserError
from edge_af.scale import ScaleError
from edge_af.stack_writer import SUFFIXES as OME_SUFFIXES
from hw.images import SUFFIXES, ImageError
from hw.ome import read_ome
from hw.stack import z_in_name
from train import standard

_CLASS = re.compile(r"class[ _]?(?P<number>0|-?[1-9]\d*)", re.IGNORECASE)
_SLIDE_AND_PLACE = re.compile(r"(?:^|/)(?P<slide>s\d+)_l\d+", re.IGNORECASE)
"""In the data of Jiang et al. 2018: slide and location."""


@dataclass(frozen=True, slots=True)
class Found:
    """One picture and its label.

    `field` names the place on a slide, `stack` the z series there; `by_class` says that z is only
    the middle of a class.
    """

    path: Path
    page: int
    z_um: float
    field: str
    slide: str
    stack: str
    um_per_px: float | None = None
    by_class: bool = False


@dataclass
class Search:
    """What was found, and each file that cannot be used, with the reason."""

    found: list[Found] = field(default_factory=list)
    left_out: list[str] = field(default_factory=list)


def search(source: Path) -> Search:
    """Look through a file or folder. Raises UserError if there is nothing of the kind."""
    result = Search()
    if source.is_dir():
        _in_folder(source, result)
    elif not source.exists():
        raise UserError(f"{source} does not exist: check the path")
    elif source.suffix.lower() == ".csv":
        _in_csv(source, result)
    elif source.suffix.lower() in (".tif", ".tiff"):
        _in_ome(source, source.parent, result)
    else:
        raise UserError(f"{source} is no focal stack: give a folder, a .csv or an OME-TIFF")
    return result


def _in_folder(folder: Path, result: Search) -> None:
    tables = sorted(folder.glob("*.csv"))
    if len(tables) > 1:
        raise UserError(f"{folder} holds {len(tables)} CSV files: give one of them as the path")
    if tables:
        _in_csv(tables[0], result)
        return
    files = sorted(
        file
        for file in folder.rglob("*")
        if file.suffix.lower() in SUFFIXES and not file.name.startswith(".") and file.is_file()
    )
    if not files:
        raise UserError(f"{folder} holds no images ({', '.join(SUFFIXES)}): check the path")
    for file in files:
        if file.name.lower().endswith(OME_SUFFIXES):
            _in_ome(file, folder, result)
        else:
            _by_name(file, folder, result)


def _by_name(file: Path, folder: Path, result: Search) -> None:
    parts = list(file.relative_to(folder).parent.parts)
    classes = [part for part in parts if _CLASS.fullmatch(part)]
    parts = [part for part in parts if part not in classes]
    stated = z_in_name(file.stem)
    if stated is not None:
        z_um, rest = stated
    elif classes:
        try:
            z_um, rest = _middle_um(classes[-1]), file.stem
        except ScaleError as error:
            result.left_out.append(f"{file}: {error}")
            return
    else:
        result.left_out.append(
            f"{file}: its name states no z, and it lies in no folder of a class (class -7)"
        )
        return
    name = "/".join([*parts, *([rest] if rest else [])]) or folder.resolve().name
    matched = _SLIDE_AND_PLACE.search(name)
    slide = matched["slide"] if matched else str(folder)
    by_class = stated is None
    result.found.append(Found(file, 0, z_um, name, slide, name, by_class=by_class))


def _middle_um(folder_name: str) -> float:
    """Return the middle of the class that a folder is named for."""
    matched = _CLASS.fullmatch(folder_name)
    label = f"class {matched['number']}" if matched else folder_name
    if label not in standard.LABELS:
        raise ScaleError(f"{label!r} is none of the classes from -20 to 20")
    return float(standard.SCALE.centres_um[standard.LABELS.index(label)])


def _in_ome(file: Path, folder: Path, result: Search) -> None:
    try:
        images = read_ome(file)
    except ImageError as error:
        result.left_out.append(str(error))
        return
    name = str(file.relative_to(folder)).split(".")[0]
    for image in images:
        result.found += [
            Found(
                plane.path,
                plane.page,
                plane.z_um,
                name,
                str(folder),
                f"{file}:{image.name}",
                image.um_per_px,
            )
            for plane in image.planes
        ]


def _in_csv(table: Path, result: Search) -> None:
    try:
        with table.open(newline="", encoding="utf-8-sig") as lines:
            rows = csv.DictReader(lines, skipinitialspace=True)
            missing = {"file", "z_um"} - set(rows.fieldnames or ())
            if missing:
                raise UserError(
                    f"{table} lacks the column(s) {', '.join(sorted(missing))}: its first line "
                    "must be file,z_um, and may add field, slide and um_per_px"
                )
            result.found += _rows(table, rows, result)
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise UserError(f"{table} cannot be read as CSV ({error}): save it as UTF-8") from error


def _rows(table: Path, rows: "csv.DictReader[str]", result: Search) -> Iterator[Found]:
    for row in rows:
        where = f"{table}, line {rows.line_num}"
        file = table.parent / (row["file"] or "")
        z_um = _number(row["z_um"])
        um_per_px = _number(row.get("um_per_px"))
        if not file.is_file():
            result.left_out.append(f"{where}: {file} does not exist")
        elif not math.isfinite(z_um):
            result.left_out.append(f"{where}: z_um must be a number, got {row['z_um']!r}")
        else:
            name = row.get("field") or table.resolve().parent.name
            pitch = um_per_px if um_per_px > 0 else None
            yield Found(file, 0, z_um, name, row.get("slide") or str(table), name, pitch)


def _number(text: str | None) -> float:
    try:
        number = float(text or "nan")
    except ValueError:
        return math.nan
    return number if math.isfinite(number) else math.nan
