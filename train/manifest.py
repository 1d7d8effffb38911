"""The manifest: one line a labelled tile, whatever it came from."""

import csv
import math
from collections.abc import Iterable
from dataclasses import asdict, dataclass, fields
from pathlib import Path

from edge_af.errors import UserError
from train.files import unless_disk_fails


@dataclass(frozen=True, slots=True)
class Row:
    """One labelled picture.

    `z_um` is its defocus. `page` is its place in a multi-page TIFF, 0 in other files. `content`
    is the standard deviation of the in-focus green transmission where it is known, NaN where not.
    `frame` is the number of the frame within its field that a tile was cut from, empty if it is not
    known: the tiles of one frame are judged together.
    """

    file: str
    page: int
    z_um: float
    field: str
    split: str
    um_per_px: float
    source: str
    content: float = math.nan
    frame: str = ""


_OPTIONAL = ("content", "page", "frame")
_NUMBERS = {"page": int, "z_um": float, "um_per_px": float, "content": float}


def write_rows(path: Path, rows: Iterable[Row]) -> None:
    """Write a manifest, whole or not at all."""
    with unless_disk_fails(path) as part, part.open("w", newline="") as file:
        writer = csv.DictWriter(file, [field.name for field in fields(Row)])
        writer.writeheader()
        writer.writerows(asdict(row) for row in rows)


def read_rows(path: Path, split: str | None = None) -> list[Row]:
    """Read a manifest, or those of its rows that are of one split.

    Raises UserError that names the file and line of a fault.
    """
    try:
        with path.open(newline="") as file:
            lines = enumerate(csv.DictReader(file), 2)
            rows = [_row(path, number, line) for number, line in lines]
    except OSError as error:
        raise UserError(f"cannot read manifest {path}: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise UserError(f"{path} is not a manifest: it is not text") from error
    if not rows:
        raise UserError(f"{path} lists no tiles: render some first")
    if split is not None:
        rows = [row for row in rows if row.split == split]
        if not rows:
            raise UserError(f"{path} lists no tiles of the split {split!r}: check its column split")
    return rows


def _row(path: Path, number: int, line: dict[str, str | None]) -> Row:
    values: dict[str, object] = {}
    for field in fields(Row):
        text = line.get(field.name)
        if text is None and field.name not in _OPTIONAL:
            raise UserError(f"{path}, line {number}: column {field.name} is missing")
        if text is None:
            continue
        kind = _NUMBERS.get(field.name, str)
        try:
            values[field.name] = kind(text)
        except ValueError as error:
            raise UserError(
                f"{path}, line {number}: {field.name} must be a number, got {text!r}"
            ) from error
    values.setdefault("page", 0)
    row = Row(**values)  # type: ignore[arg-type]
    if not math.isfinite(row.z_um) or not row.um_per_px > 0:
        raise UserError(
            f"{path}, line {number}: z_um must be finite and um_per_px positive, "
            f"got {row.z_um} um and {row.um_per_px} um/px"
        )
    return row
