"""A user's model and pictures, made ready to be quantised, once labels and preprocessing fit."""

import contextlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from convert.child import run_job
from convert.convert import Report
from convert.draw import drawn_evenly
from convert.lite import Lite, operations
from convert.meaning import FOLDERS, Meaning, in_ascending_order, meaning_of, read_labels
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
from convert.sources import Kind, Source, identify
from convert.tools import sha256_of, tool_versions
from convert.trial import Attempt, attempts, by_preprocessing, no_better_than_chance
from edge_af.card import PixelInput
from edge_af.errors import UserError
from edge_af.tiles import content
from hw.images import ImageError, read_header

CALIBRATION = 200
_FITTING = 500
_JUDGING = 1000
_TRIED = 200
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
    output = _output_of(network, wishes, path)
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
    tried = _tried((folder / "float.tflite").read_bytes(), output, meaning, fitting, given, report)
    preprocess, doubts = _settled(tried, given, wishes, network, len(meaning.labels))
    warnings += doubts
    for warning in warnings:
        listener.warn(warning)
    card = {
        "format": 1,
        "name": path.stem,
        "labels": meaning.labels,
        "scale": meaning.scale,
        "bins_um": meaning.scale.bins_um,
        "sign_convention": "defocus = stage - focus",
        "um_per_px": um_per_px,
        "tile_px": network["shape"][0],
        "output": output,
        "objective": objective,
        "training": {
            "source": path.name,
            "source_sha256": sha256_of(path),
            "saved_by": source.saved_by,
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
    shown = PREPROCESSINGS[preprocess]
    ready = source.kind is Kind.TFLITE
    if ready:
        if not shown.alike:
            raise UserError(
                f"--preprocess {preprocess} treats the colours differently, and cannot be put into "
                "a finished .tflite: convert the model that it was made from"
            )
        card["input"] = PixelInput(kind="pixels", multiply=shown.multiply[0], add=shown.add[0])
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


def network_of(source: Source, folder: Path, side_px: int | None, report: Report) -> dict[str, Any]:
    """Return what a model's network is, as `convert.worker.bring_in` does, and leave its files.

    Raises UserError if it takes no square RGB pictures, or does not load.
    """
    if source.kind is Kind.TFLITE:
        network = _of_tflite(source.path, folder)
    else:
        network = run_job(
            "bring_in",
            report,
            legacy=source.kind is Kind.KERAS_2,
            path=str(source.path),
            kind=source.kind.value,
            folder=str(folder),
            side_px=side_px,
        )
    shape = tuple(network["shape"])
    if len(shape) != 3 or shape[0] != shape[1] or shape[2] != 3:
        raise UserError(
            f"{source.path} takes inputs of shape {shape}: square RGB pictures, (side, side, 3), "
            "are needed"
        )
    return network


def scales_itself(network: dict[str, Any]) -> bool:
    """Tell whether a network brings 0..255 itself to what its layers want."""
    scaling = network["scaling"]
    if scaling is None:
        return False
    black, white = np.array(scaling["black"]), np.array(scaling["white"])
    return bool((np.abs(white - black) < 25).all() or (np.abs(black) > 50).all())


def _of_tflite(path: Path, folder: Path) -> dict[str, Any]:
    tflite = path.read_bytes()
    lite = Lite(tflite)
    (folder / "float.tflite").write_bytes(tflite)
    last = [each.kind for each in operations(tflite) if each.kind not in ("DEQUANTIZE", "QUANTIZE")]
    return {
        "shape": lite.input["shape"].tolist()[1:],
        "answer_shape": lite.output["shape"].tolist()[1:],
        "ending": "Softmax" if last[-1:] == ["SOFTMAX"] else "dense",
        "softmax_kept": True,
        "penultimate": None,
        "scaling": None,
        "parameters": 0,
    }


def _output_of(network: dict[str, Any], wishes: Wishes, path: Path) -> str:
    """Return what the card is to say of the answers. Raises UserError where that is not clear."""
    shape, ending = network["answer_shape"], network["ending"]
    if len(shape) != 1:
        raise UserError(
            f"{path} answers with shape {tuple(shape)}: one number for each class is needed (does "
            "it lack its head? the device wants a classifier, not a feature extractor)"
        )
    if wishes.embedding and network["penultimate"] is None:
        raise UserError(f"{path} does not end in a dense layer: it has no --embedding to give out")
    if wishes.regression:
        if shape[0] != 1:
            raise UserError(f"{path} has {shape[0]} outputs: --regression is for one, in um")
        return "um"
    if shape[0] == 1:
        raise UserError(
            f"{path} has one output. If that is the defocus in um, say so with --regression, and "
            "give the range that the device is to reckon with: --scale uniform:-10:10"
        )
    if ending == "Softmax":
        return "probabilities" if network.get("softmax_kept") else "logits"
    if not wishes.logits:
        raise UserError(
            f"{path} does not end in a softmax but in {ending}. If its outputs are logits (it was "
            "trained with from_logits=True), say so with --logits; else add the softmax and save "
            "it again"
        )
    return "logits"


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


def _tried(
    float_content: bytes,
    output: str,
    meaning: Meaning,
    fitting: HeldOut,
    given: str | None,
    report: Report,
) -> list[Attempt]:
    """Return how well each preprocessing and label order fits pictures that are drawn evenly."""
    classes = np.array([meaning.scale.index_of(float(value)) for value in fitting.defocus_um])
    few = drawn_evenly(classes, _TRIED)
    pixels, defocus_um = fitting.features[few], fitting.defocus_um[few]
    network = Lite(float_content)
    logits: dict[str, NDArray[np.floating]] = {}
    for number, (name, affine) in enumerate(PREPROCESSINGS.items()):
        report("trying preprocessings", number, len(PREPROCESSINGS))
        answers: NDArray[np.floating] = network(affine(pixels))
        if output == "um":
            answers = -0.5 * (answers - meaning.scale.centres_um) ** 2
        elif output == "probabilities":
            answers = np.log(np.maximum(answers, 1e-6))
        logits[name] = answers
    return attempts(logits, given or "unit", meaning, defocus_um)


def _settled(
    tried: list[Attempt],
    given: str | None,
    wishes: Wishes,
    network: dict[str, Any],
    classes: int,
) -> tuple[str, list[str]]:
    """Return the preprocessing to go by, and warnings.

    Raises UserError where none is given and none is found in the network, or the data speak
    against preprocessing or labels.
    """
    best = tried[0]
    if given is None:
        said = "; ".join(_told(each) for each in by_preprocessing(tried)[:3])
        raise UserError(
            "how were the pixels scaled in training? Nothing in the network says so: give "
            f"--preprocess {'|'.join(PREPROCESSINGS)}. On {_TRIED} pictures of --data: {said}"
        )
    if no_better_than_chance(best, classes):
        return given, [
            "the network's answers have nothing to do with the labels, whatever the preprocessing "
            f"and order ({_told(best)}): it is untrained, or --data is not of its kind"
        ]
    if not best.far_better:
        return given, []
    ours = next(each for each in tried if (each.preprocess, each.order) == (given, "as given"))
    fault = (
        f"the data speak against what was given ({_told(ours)}): {_told(best)}, lower by "
        f"{best.deviations:.0f} standard errors. {_cure(best, given)}"
    )
    if not wishes.anyway:
        raise UserError(f"{fault}. Nothing was written; --anyway converts as it is")
    return given, [fault]


def _told(attempt: Attempt) -> str:
    order = "" if attempt.order == "as given" else f" with labels {attempt.order}"
    return (
        f"--preprocess {attempt.preprocess}{order}: top-1 {100 * attempt.top1:.0f} %, error "
        f"{attempt.mae_um:.2f} um, {attempt.nats:.2f} nats"
    )


def _cure(best: Attempt, given: str) -> str:
    cures = []
    if best.preprocess != given:
        cures.append(f"give --preprocess {best.preprocess}")
    if best.order == "alphabetical":
        cures.append("give --labels folders: Keras had the classes in alphabetical order")
    elif best.order == "numeric":
        cures.append("give the labels in numeric order (or --scale alone)")
    elif best.order != "as given":
        cures.append("look at the sign of the labels")
    return "; ".join(cures).capitalize() if len(cures) < 2 else "; ".join(cures)


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
