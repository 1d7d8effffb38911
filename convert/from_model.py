"""A user's model and pictures, made ready to be quantised, once labels and preprocessing fit."""

import contextlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from convert.convert import Report
from convert.draw import drawn_evenly
from convert.meaning import FOLDERS, Meaning, in_ascending_order, meaning_of, read_labels
from convert.networks import network_of, output_of, scales_itself
from convert.pictures import (
    Fit,
    Picture,
    find_files,
    read_pictures,
    require_classes,
    side_of,
    understand,
)
from convert.prepared import Prepared
from convert.preprocess import IN_MODEL, PREPROCESSINGS
from convert.run_folder import HeldOut
from convert.settle import settled, tried_on
from convert.sources import Kind, Source, identify
from convert.tools import sha256_of, tool_versions
from edge_af.card import PixelInput
from edge_af.errors import UserError
from edge_af.tiles import content
from hw.images import ImageError, read_header

CALIBRATION = 200
_FITTING = 300
_JUDGING = 500
_MOST_BYTES = 600_000_000
"""Of pictures in memory at a time; fewer are taken where they are large."""


@dataclass(frozen=True)
class Wishes:
    """What the user says of a model; the names are those of the options."""

    data: Path
    labels: str | None = None
    scale: str | None = None
    preprocess: str | None = None
    um_per_px: float | None = None
    magnification: float | None = None
    na: float | None = None
    calibration: int = CALIBRATION
    fit: Fit = Fit.REFUSE
    embedding: bool = False
    logits: bool = False
    regression: bool = False
    allow_float: bool = False
    anyway: bool = False


@dataclass(frozen=True, slots=True)
class Listener:
    """Who is told of progress, what each output means, and what looks wrong."""

    report: Report
    show: Callable[[Meaning], None]
    warn: Callable[[str], None]


def from_model(path: Path, wishes: Wishes, folder: Path, listener: Listener) -> Prepared:
    """Return a user's model with their pictures. `folder` is for files on the way.

    Raises UserError for whatever the user has to put right, before anything is written.
    """
    report = listener.report
    source = identify(path)
    files = find_files(wishes.data)
    objective = _objective(wishes)
    um_per_px = _um_per_px(wishes, files)
    network = network_of(source, folder, side_of(files), report)
    output = output_of(
        network,
        path,
        regression=wishes.regression,
        logits=wishes.logits,
        embedding=wishes.embedding,
    )
    meaning = _meaning(network, wishes, output)
    listener.show(meaning)
    pictures = understand(files, meaning)
    warnings = _checked_classes(pictures, meaning, wishes)
    fitting, judging, unreadable = _read(pictures, network["shape"][0], wishes, report)
    if unreadable:
        warnings.append(
            f"{len(unreadable)} pictures cannot be read and were left out: "
            f"{'; '.join(unreadable[:3])}{'; ...' if len(unreadable) > 3 else ''}"
        )
    given = wishes.preprocess or (IN_MODEL if scales_itself(network) else None)
    tried = tried_on(
        (folder / "float.tflite").read_bytes(), output, meaning, fitting, given, report
    )
    preprocess, doubts = settled(tried, given, len(meaning.labels), anyway=wishes.anyway)
    warnings += doubts
    for warning in warnings:
        listener.warn(warning)
    shown = PREPROCESSINGS[preprocess]
    card: dict[str, Any] = {
        "format": 1,
        "name": path.stem,
        "labels": meaning.labels,
        "bins_um": meaning.scale.bins_um,
        "sign_convention": "defocus = stage - focus",
        "um_per_px": um_per_px,
        "tile_px": network["shape"][0],
        "output": output,
        "objective": objective,
        "training": {
            **_origin(source),
            "preprocess": preprocess,
            "parameters": network["parameters"],
            "data": wishes.data.name,
            "pictures": len(pictures),
            "calibration_pictures": min(wishes.calibration, len(fitting.features)),
            "fitting_pictures": len(fitting.features),
            "judging_pictures": len(judging.features),
            "warnings": warnings,
        },
        "tool_versions": tool_versions(),
    }
    ready = source.kind is Kind.TFLITE
    if ready:
        card["input"] = _input_of_tflite(preprocess)
    return Prepared(
        folder,
        card,
        network,
        shown,
        fitting,
        judging,
        min(wishes.calibration, len(fitting.features)),
        embedding=wishes.embedding,
        allow_float=wishes.allow_float,
        ready=ready,
        attempts=tuple(tried),
        warnings=tuple(warnings),
    )


def _origin(source: Source) -> dict[str, str]:
    return {
        "source": source.path.name,
        "source_sha256": sha256_of(source.path),
        "saved_by": source.saved_by,
    }


def _input_of_tflite(preprocess: str) -> PixelInput:
    affine = PREPROCESSINGS[preprocess]
    if not affine.alike:
        raise UserError(
            f"--preprocess {preprocess} treats the colours differently, and cannot be put into a "
            "finished .tflite: convert the model that it was made from"
        )
    return PixelInput(kind="pixels", multiply=affine.multiply[0], add=affine.add[0])


_REGRESSION_BINS = 41


def _meaning(network: dict[str, Any], wishes: Wishes, output: str) -> Meaning:
    labels = None if wishes.labels is None else read_labels(wishes.labels, wishes.data)
    classes = network["answer_shape"][0]
    source = f"the labels of --labels {wishes.labels}"
    if output == "um":
        if labels is not None or wishes.scale is None:
            raise UserError(
                "a network that answers in um has no --labels: give --scale uniform:LOW:HIGH, the "
                "range of defocus in um that the device is to reckon with"
            )
        classes = 41 if wishes.scale == "paper41" else _REGRESSION_BINS
    if labels is None and wishes.scale is not None and output != "um":
        # Class folders lend their names: the alternatives are tried under them too.
        with contextlib.suppress(UserError):
            names = read_labels(FOLDERS, wishes.data)
            return in_ascending_order(meaning_of(classes, names, wishes.scale))
    return meaning_of(classes, labels, wishes.scale, source)


def _checked_classes(pictures: list[Picture], meaning: Meaning, wishes: Wishes) -> list[str]:
    try:
        return require_classes(pictures, meaning)
    except UserError as error:
        if not wishes.anyway:
            raise
        return [str(error)]


def _read(
    pictures: list[Picture], side_px: int, wishes: Wishes, report: Report
) -> tuple[HeldOut, HeldOut, tuple[str, ...]]:
    """Return pictures to fit with and to judge by, drawn evenly, none in both."""
    most = _MOST_BYTES // (3 * side_px**2)
    fitting = min(max(wishes.calibration, _FITTING), len(pictures) // 2, most // 2)
    if fitting < 1:
        raise UserError(f"{len(pictures)} pictures are too few: half fix ranges, half judge")
    judging = min(_JUDGING, len(pictures) - fitting, most // 2)
    classes = np.array([picture.index for picture in pictures])
    chosen = drawn_evenly(classes, fitting + judging)
    read = read_pictures(
        [pictures[index] for index in chosen],
        side_px,
        wishes.fit,
        lambda done: report("reading pictures", done, len(chosen)),
    )
    rng = np.random.default_rng(1)
    order = rng.permutation(len(read.pictures))
    # Evenly drawn as a whole, and split evenly: calibration wants some of each class.
    first = drawn_evenly(np.array([each.index for each in read.pictures])[order], fitting)
    is_first = np.zeros(len(order), bool)
    is_first[first] = True
    parts = (
        HeldOut(
            features=read.pixels[order[part]],
            defocus_um=np.array([read.pictures[index].defocus_um for index in order[part]]),
            seen=np.array([content(read.pixels[index]) for index in order[part]]),
            full=np.ones(int(part.sum()), bool),
        )
        for part in (is_first, ~is_first)
    )
    fit_part, judge_part = parts
    return fit_part, judge_part, read.unreadable


def _objective(wishes: Wishes) -> dict[str, float] | None:
    if wishes.magnification is None and wishes.na is None:
        return None
    if wishes.magnification is None or wishes.na is None:
        raise UserError("an objective has both: give --magnification and --na, or neither")
    return {"magnification": wishes.magnification, "numerical_aperture": wishes.na}


def _um_per_px(wishes: Wishes, files: list[Path]) -> float:
    if wishes.um_per_px is not None:
        return wishes.um_per_px
    for file in files:
        with contextlib.suppress(ImageError):
            stated = read_header(file).um_per_px
            if stated is not None and wishes.fit is not Fit.RESIZE:
                return stated
            break
    raise UserError(
        "how large is a pixel of the pictures, as the network sees them, on the specimen? Give "
        "--um-per-px (camera pixel / magnification, such as 3.45 um / 20 = 0.1725): the device "
        "brings its frames to it"
    )
