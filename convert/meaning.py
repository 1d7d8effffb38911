"""What each output of a user's network means: its label, and its interval of defocus."""

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np

from convert.names import class_number, defocus_um
from edge_af.errors import UserError
from edge_af.scale import PAPER41_LABELS, DefocusScale, ScaleError

FOLDERS = "folders"
"""What `--labels` is given for the names of the class folders in --data."""

_HOW = (
    "--labels folders takes the class folders of --data in the order that Keras gives them "
    "(alphabetical: class -1, class -10, ...), --labels FILE a list in the order of the outputs, "
    "--scale paper41 the paper's classes in ascending order"
)


@dataclass(frozen=True)
class Meaning:
    """Labels and bins, in the order of the outputs."""

    labels: tuple[str, ...]
    scale: DefocusScale


def meaning_of(
    classes: int, labels: Sequence[str] | None, scale: str | None, source: str = "the labels"
) -> Meaning:
    """Return what `classes` outputs mean. `labels` are in their order, `scale` is `--scale`.

    Labels alone do where they are the paper's classes or state a defocus, the middle of their bin.
    A scale alone is in ascending order. With both, numbered labels take the scale's bins by rank.
    Raises UserError for neither, for a count that differs, and for names that mean nothing.
    """
    if labels is None and scale is None:
        raise UserError(f"what do the {classes} classes mean? {_HOW}")
    if labels is not None and len(labels) != len(set(labels)):
        double = min(label for label in labels if labels.count(label) > 1)
        raise UserError(f"{source} have {double!r} more than once")
    if labels is not None and len(labels) != classes:
        raise UserError(
            f"the network has {classes} outputs, but {source} are {len(labels)} "
            f"({labels[0]} ... {labels[-1]}): give the labels of all classes that it was trained on"
        )
    bins = None if scale is None else _read_scale(scale, classes)
    try:
        if labels is None:
            assert bins is not None
            names = PAPER41_LABELS if scale == "paper41" else _named(bins)
            return Meaning(names, bins)
        return Meaning(tuple(labels), _scale_of(labels, bins))
    except ScaleError as error:
        raise UserError(f"the labels make no scale: {error}") from error


def read_labels(given: str, data: Path) -> list[str]:
    """Return the labels that `--labels` asks for, in the order of the outputs.

    Of a JSON file: a list, or names and indices as in Keras's `class_indices`, either way round.
    Raises UserError if there are none.
    """
    if given == FOLDERS:
        names = sorted(each.name for each in data.iterdir() if each.is_dir()) if data else []
        if not names:
            raise UserError(f"{data} has no class folders to take labels from: give --labels FILE")
        return names
    path = Path(given)
    try:
        text = path.read_text(encoding="utf-8-sig")
    except FileNotFoundError as error:
        raise UserError(f"{path}: no such file. {_HOW}") from error
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"{path} cannot be read as a list of labels: {error}") from error
    if text.lstrip()[:1] not in ("[", "{"):
        return [line.strip() for line in text.splitlines() if line.strip()]
    return _from_json(path, text)


def in_ascending_order(meaning: Meaning) -> Meaning:
    """Return the meaning of outputs that go from the lowest defocus to the highest."""
    order = np.argsort(meaning.scale.centres_um)
    bins = meaning.scale.bins_um
    return Meaning(
        tuple(meaning.labels[index] for index in order),
        DefocusScale(tuple(bins[index] for index in order)),
    )


def table(meaning: Meaning) -> str:
    """Return the meaning of each output, a line each, for a reader."""
    width = max(len(label) for label in meaning.labels)
    return "\n".join(
        f"  {index:4}  {label:{width}}  {low:+9.4f} ... {high:+9.4f} um"
        for index, (label, (low, high)) in enumerate(
            zip(meaning.labels, meaning.scale.bins_um, strict=True)
        )
    )


def _from_json(path: Path, text: str) -> list[str]:
    try:
        document = json.loads(text)
    except ValueError as error:
        raise UserError(f"{path} is not JSON: {error}") from error
    if isinstance(document, dict):
        if all(isinstance(value, int) for value in document.values()):
            document = {str(index): name for name, index in document.items()}
        try:
            document = [document[str(index)] for index in range(len(document))]
        except KeyError as error:
            raise UserError(
                f"{path} names no label for output {error}: it must have one for each index from 0"
            ) from error
    if not document or not all(isinstance(label, str) for label in document):
        raise UserError(f"{path} must be a list of names, or names with their indices")
    return list(document)


def _scale_of(labels: Sequence[str], bins: DefocusScale | None) -> DefocusScale:
    stated_um = [defocus_um(label) for label in labels]
    if all(value is not None for value in stated_um):
        centres_um = np.array(stated_um, np.float64)
        return _about(centres_um) if bins is None else _holding(labels, centres_um, bins)
    numbers = [class_number(label) for label in labels]
    unclear = [label for label, number in zip(labels, numbers, strict=True) if number is None]
    if unclear:
        raise UserError(
            f"label {unclear[0]!r} states no defocus: names like 'class -7', '-4.25um' and "
            "'defocus-450' (nm) are understood, all of one kind"
        )
    if bins is None:
        paper = [f"class {number}" for number in numbers]
        if sorted(paper) != sorted(PAPER41_LABELS):
            raise UserError(
                f"the labels are numbers ({labels[0]} ... {labels[-1]}), but not the paper's -20 "
                "to 20: say which defocus they mean with --scale uniform:LOW:HIGH (um) or a file"
            )
        return DefocusScale.from_labels(paper)
    ranks = np.argsort(np.argsort(np.array(numbers, np.int64)))
    ascending = sorted(bins.bins_um)
    return DefocusScale(tuple(ascending[rank] for rank in ranks))


def _about(centres_um: np.ndarray[Any, np.dtype[np.float64]]) -> DefocusScale:
    """Return bins that meet half-way between neighbouring centres."""
    order = np.argsort(centres_um)
    ascending = centres_um[order]
    if len(ascending) < 2 or not (np.diff(ascending) > 0).all():
        raise UserError("at least two labels are needed, and no two may state one defocus")
    inner = (ascending[1:] + ascending[:-1]) / 2
    edges = [2 * ascending[0] - inner[0], *inner, 2 * ascending[-1] - inner[-1]]
    bins = list(pairwise(float(edge) for edge in edges))
    return DefocusScale(tuple(bins[rank] for rank in np.argsort(order)))


def _holding(
    labels: Sequence[str], centres_um: np.ndarray[Any, np.dtype[np.float64]], bins: DefocusScale
) -> DefocusScale:
    """Return for each label the bin that holds its defocus."""
    indices = [bins.index_of(float(value)) for value in centres_um]
    if len(set(indices)) != len(indices):
        double = next(index for index in indices if indices.count(index) > 1)
        both = [label for label, index in zip(labels, indices, strict=True) if index == double]
        low_um, high_um = bins.bins_um[double]
        raise UserError(
            f"labels {both} both lie in the bin {low_um:g} to {high_um:g} um of --scale"
        )
    return DefocusScale(tuple(bins.bins_um[index] for index in indices))


def _read_scale(given: str, classes: int) -> DefocusScale:
    try:
        scale = _scale_given(given, classes)
    except ScaleError as error:
        raise UserError(f"--scale {given}: {error}") from error
    if len(scale.bins_um) != classes:
        raise UserError(
            f"the network has {classes} outputs, --scale {given} has {len(scale.bins_um)} classes"
        )
    return scale


def _scale_given(given: str, classes: int) -> DefocusScale:
    if given == "paper41":
        return DefocusScale.paper41()
    if given.startswith("uniform"):
        try:
            low_um, high_um = (float(part) for part in re.split("[:,]", given)[1:])
        except ValueError as error:
            raise UserError(
                f"--scale {given}: write uniform:LOW:HIGH in um, such as uniform:-10:10; the "
                "number of classes is the network's"
            ) from error
        return DefocusScale.uniform(classes, low_um, high_um)
    path = Path(given)
    try:
        edges = json.loads(path.read_text())
    except OSError as error:
        raise UserError(
            f"--scale {given}: neither paper41, nor uniform:LOW:HIGH, nor a file that can be read "
            f"({error.strerror})"
        ) from error
    except ValueError as error:
        raise UserError(f"--scale {given} is not JSON: {error}") from error
    try:
        if all(isinstance(edge, int | float) for edge in edges):
            return DefocusScale(tuple(pairwise(float(edge) for edge in edges)))
        return DefocusScale(tuple((float(low), float(high)) for low, high in edges))
    except (TypeError, ValueError) as error:
        if isinstance(error, ScaleError):
            raise
        raise UserError(
            f"--scale {given} must be a JSON list of the edges in um, ascending, or of [low, high] "
            "for each output"
        ) from error


def _named(scale: DefocusScale) -> tuple[str, ...]:
    return tuple(f"{centre:+.4g}um" for centre in scale.centres_um)
