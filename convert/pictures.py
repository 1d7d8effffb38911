"""A user's labelled pictures: found, understood, drawn evenly, read."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from convert.meaning import Meaning
from convert.names import class_number, defocus_at_end_um, defocus_um
from edge_af.errors import UserError
from hw.images import SUFFIXES, ImageError, read_header, read_rgb

_UNREADABLE_SHARE = 0.05
_APART_BINS = 0.5
_APART_SHARE = 0.05
_UNBALANCED = 20


class Fit(StrEnum):
    """What to do with pictures that have another size than the network's input."""

    REFUSE = "refuse"
    RESIZE = "resize"
    CROP = "crop"


@dataclass(frozen=True, slots=True)
class Picture:
    """A picture's file and its defocus: as its name states it, or else the middle of its class."""

    path: Path
    index: int
    defocus_um: float


@dataclass(frozen=True)
class Read:
    """Pictures that were read: pixels uint8 (n, side, side, 3), and what could not be."""

    pixels: NDArray[np.uint8]
    pictures: tuple[Picture, ...]
    unreadable: tuple[str, ...]


def find_files(folder: Path) -> list[Path]:
    """Return the image files in `folder` and below. Raises UserError if there are none."""
    if not folder.is_dir():
        raise UserError(f"--data {folder} is not a folder: give one with labelled pictures")
    files = sorted(
        file
        for file in folder.rglob("*")
        if file.suffix.lower() in SUFFIXES and not file.name.startswith(".")
    )
    if not files:
        raise UserError(f"{folder} holds no pictures ({', '.join(SUFFIXES)})")
    empty = [
        each.name
        for each in sorted(folder.iterdir())
        if each.is_dir() and not any(each in file.parents for file in files)
    ]
    if empty:
        raise UserError(
            f"{folder} has {len(empty)} empty class folder(s): {', '.join(empty[:5])}: add "
            "pictures, or remove them if the network has no such class"
        )
    return files


def side_of(files: Sequence[Path]) -> int | None:
    """Return the side of the first picture that can be read, if it is square, in px."""
    for file in files:
        try:
            header = read_header(file)
        except ImageError:
            continue
        return header.width_px if header.width_px == header.height_px else None
    return None


def understand(files: Sequence[Path], meaning: Meaning) -> list[Picture]:
    """Return the pictures with their classes, from their folders' names, or else their own.

    Pictures beyond the scale are left out. Raises UserError if the two kinds of name contradict
    each other, or neither says anything.
    """
    by_folder = _by_folder(meaning)
    pictures, apart, unclear = [], [], []
    span = meaning.scale.range
    for file in files:
        index = by_folder.get(file.parent.name)
        if index is None and (number := class_number(file.parent.name)) is not None:
            index = by_folder.get(f"class {number}")
        stated_um = defocus_at_end_um(file.stem)
        if stated_um is None:
            stated_um = defocus_um(file.parent.name)
        if index is None and stated_um is None:
            unclear.append(file)
        elif index is None:
            assert stated_um is not None
            if span.low_um <= stated_um <= span.high_um:
                pictures.append(Picture(file, meaning.scale.index_of(stated_um), stated_um))
        else:
            low_um, high_um = meaning.scale.bins_um[index]
            slack_um = _APART_BINS * (high_um - low_um)
            if stated_um is None:
                stated_um = float(meaning.scale.centres_um[index])
            elif not low_um - slack_um <= stated_um <= high_um + slack_um:
                apart.append((file, stated_um, meaning.labels[index]))
            pictures.append(Picture(file, index, stated_um))
    if unclear:
        raise UserError(
            f"{len(unclear)} of {len(files)} pictures state no defocus, such as {unclear[0]}: name "
            "their folders like the labels, or the files like x_defocus-450.png (nm) or "
            "x_-4.25um.png"
        )
    if len(apart) > _APART_SHARE * len(pictures):
        file, um, label = apart[0]
        raise UserError(
            f"{len(apart)} of {len(pictures)} pictures lie in the folder of another class than "
            f"their names say: {file.name} states {um:g} um and is in {label!r}. Is the sign or "
            "the scale another?"
        )
    return pictures


def require_classes(pictures: Sequence[Picture], meaning: Meaning) -> list[str]:
    """Raise UserError if a class has no pictures; return warnings, of very uneven ones."""
    counts = np.bincount(
        [picture.index for picture in pictures], minlength=len(meaning.labels)
    ).tolist()
    missing = [label for label, count in zip(meaning.labels, counts, strict=True) if not count]
    if missing:
        raise UserError(
            f"--data has no pictures of {len(missing)} of the {len(counts)} classes "
            f"({', '.join(missing[:5])}{', ...' if len(missing) > 5 else ''}): ranges and "
            "temperature need some of each; add them, or go on with --anyway"
        )
    if max(counts) > _UNBALANCED * min(counts):
        few, many = int(np.argmin(counts)), int(np.argmax(counts))
        return [
            f"the classes are unbalanced: {counts[few]} pictures of {meaning.labels[few]}, "
            f"{counts[many]} of {meaning.labels[many]}; calibration is drawn evenly as far as "
            "they go"
        ]
    return []


def read_pictures(
    pictures: Sequence[Picture], side_px: int, fit: Fit, progress: Callable[[int], None]
) -> Read:
    """Read pictures as the network is to see them.

    Raises UserError for one of another size if `fit` is REFUSE, and where more than one in twenty
    cannot be read.
    """
    pixels = np.empty((len(pictures), side_px, side_px, 3), np.uint8)
    kept: list[Picture] = []
    unreadable: list[str] = []
    for number, picture in enumerate(pictures, 1):
        progress(number)
        try:
            whole = read_rgb(picture.path)
        except ImageError as error:
            unreadable.append(str(error))
            continue
        pixels[len(kept)] = _fitted(whole, side_px, fit, picture.path)
        kept.append(picture)
    if len(unreadable) > _UNREADABLE_SHARE * len(pictures):
        raise UserError(
            f"{len(unreadable)} of {len(pictures)} pictures cannot be read: "
            f"{'; '.join(unreadable[:3])}{'; ...' if len(unreadable) > 3 else ''}"
        )
    return Read(pixels[: len(kept)], tuple(kept), tuple(unreadable))


def _by_folder(meaning: Meaning) -> dict[str, int]:
    """Return the index of each name that a class folder may have."""
    named = {label: index for index, label in enumerate(meaning.labels)}
    numbered = {
        f"class {number}": index
        for index, label in enumerate(meaning.labels)
        if (number := class_number(label)) is not None
    }
    return numbered | named


def _fitted(pixels: NDArray[np.uint8], side_px: int, fit: Fit, path: Path) -> NDArray[np.uint8]:
    height_px, width_px = pixels.shape[:2]
    if (height_px, width_px) == (side_px, side_px):
        return pixels
    if fit is Fit.RESIZE:
        image = Image.fromarray(pixels).resize((side_px, side_px), Image.Resampling.BILINEAR)
        return np.asarray(image)
    if fit is Fit.CROP and min(height_px, width_px) >= side_px:
        top, left = (height_px - side_px) // 2, (width_px - side_px) // 2
        return pixels[top : top + side_px, left : left + side_px]
    raise UserError(
        f"{path} has {width_px} x {height_px} px, the network takes {side_px} x {side_px}: "
        "--fit crop takes the middle, --fit resize the whole, squeezed, as Keras's target_size "
        "does (the um per px are then larger)"
    )
