"""Pictures of data sets and of what models make of them, as PNG."""

import io
import math
from collections.abc import Sequence
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator
from numpy.typing import NDArray

from train.metrics import Answers, confusion, reliability

mpl.use("Agg")

_BLUE, _ORANGE, _GREY = "#2f6db3", "#d9822b", "#9aa0a6"
_DPI = 110
_ERROR_BINS = 26


def png(figure: Figure) -> bytes:
    """Return a figure as the bytes of a PNG."""
    file = io.BytesIO()
    figure.savefig(file, format="png", dpi=_DPI)
    return file.getvalue()


def class_histogram(labels: Sequence[str], counts: Sequence[int]) -> Figure:
    """Draw how many tiles each class has, in the order of defocus."""
    figure, axes = _axes(9, 3)
    axes.bar(range(len(labels)), counts, color=_BLUE)
    _name_classes(axes, labels)
    axes.set_ylabel("tiles")
    axes.set_title(f"{sum(counts):,} tiles by class")
    return figure


def sample_sheet(tiles: Sequence[NDArray[np.uint8]], titles: Sequence[str]) -> Figure:
    """Draw tiles with a title each."""
    columns = min(8, max(1, len(tiles)))
    rows = math.ceil(len(tiles) / columns)
    figure = Figure(figsize=(1.5 * columns, 1.85 * max(rows, 1)), layout="constrained")
    for place, (tile, title) in enumerate(zip(tiles, titles, strict=True), 1):
        axes = figure.add_subplot(rows, columns, place)
        axes.imshow(tile)
        axes.set_title(title, fontsize=7)
        axes.axis("off")
    return figure


def history_chart(history: Sequence[dict[str, float]], best_epoch: int) -> Figure:
    """Draw loss and accuracy against epoch, those of training and of validation."""
    figure = Figure(figsize=(9, 3), layout="constrained")
    epochs = range(1, len(history) + 1)
    for place, (name, title) in enumerate((("loss", "loss"), ("accuracy", "top-1")), 1):
        axes = figure.add_subplot(1, 2, place)
        for key, colour, label in (
            (name, _GREY, "training"),
            (f"val_{name}", _BLUE, "validation"),
        ):
            values = [entry.get(key, math.nan) for entry in history]
            axes.plot(epochs, values, color=colour, label=label, marker=".")
        axes.axvline(best_epoch, color=_ORANGE, linewidth=1, label="best")
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        axes.set_xlabel("epoch")
        axes.set_ylabel(title)
        axes.legend(fontsize=8)
    return figure


def class_accuracy(table: Sequence[dict[str, Any]]) -> Figure:
    """Draw top-1 and within one class for each true class; `table` as `metrics.per_class`."""
    figure, axes = _axes(9, 3)
    places = np.arange(len(table))
    for key, colour, label in (
        ("within_1", _GREY, "within one class"),
        ("top1", _BLUE, "top-1"),
    ):
        axes.bar(places, [row[key] or 0.0 for row in table], color=colour, label=label)
    _name_classes(axes, [row["label"] for row in table])
    axes.set_ylim(0, 1)
    axes.set_ylabel("share")
    axes.legend(fontsize=8, loc="lower right")
    return figure


def error_chart(answers: Answers) -> Figure:
    """Draw the error against the true defocus: each answer, and median and p95 of its size."""
    figure, axes = _axes(9, 3.2)
    error_um = np.abs(answers.error_um)
    axes.scatter(answers.truth_um, error_um, s=3, color=_GREY, alpha=0.4, linewidths=0)
    low, high = float(answers.truth_um.min()), float(answers.truth_um.max())
    edges = np.linspace(low, high + 1e-9, _ERROR_BINS)
    place = np.digitize(answers.truth_um, edges) - 1
    bins = np.unique(place)
    middles = (edges[bins] + np.diff(edges, append=high)[bins] / 2).tolist()
    for share, colour, label in ((50, _BLUE, "median"), (95, _ORANGE, "95th percentile")):
        values = [np.percentile(error_um[place == one], share) for one in bins]
        axes.plot(middles, values, color=colour, label=label)
    axes.set_yscale("symlog", linthresh=0.1)
    axes.set_ylim(0, None)
    axes.set_xlabel("true defocus, um")
    axes.set_ylabel("error, um")
    axes.legend(fontsize=8)
    return figure


def confusion_chart(answers: Answers, labels: Sequence[str]) -> Figure:
    """Draw what was said of each class, both along the line of defocus."""
    figure, axes = _axes(5.2, 4.6)
    shares = confusion(answers, len(labels))
    image = axes.imshow(np.sqrt(shares), origin="lower", cmap="Blues", vmin=0, vmax=1)
    bar = figure.colorbar(image, ticks=np.sqrt([0, 0.05, 0.25, 0.5, 1]))
    bar.ax.set_yticklabels(["0", "5 %", "25 %", "50 %", "100 %"])
    ticks = range(0, len(labels), 5)
    axes.set_xticks(ticks, [_short(labels[tick]) for tick in ticks])
    axes.set_yticks(ticks, [_short(labels[tick]) for tick in ticks])
    axes.set_xlabel("said class")
    axes.set_ylabel("true class")
    return figure


def reliability_chart(answers: Answers) -> Figure:
    """Draw how often answers of a confidence were right."""
    figure, axes = _axes(4.6, 4.2)
    bins = reliability(answers)
    axes.plot([0, 1], [0, 1], color=_GREY, linewidth=1, label="as it should be")
    axes.plot([one[0] for one in bins], [one[1] for one in bins], color=_BLUE, marker="o")
    for confidence, right, count in bins:
        axes.annotate(
            str(count), (confidence, right), fontsize=6, xytext=(4, -8), textcoords="offset points"
        )
    axes.set_xlim(0, 1)
    axes.set_ylim(0, 1)
    axes.set_xlabel("confidence in the likeliest class")
    axes.set_ylabel("share that was right")
    axes.legend(fontsize=8)
    return figure


def _axes(width: float, height: float) -> tuple[Figure, Any]:
    figure = Figure(figsize=(width, height), layout="constrained")
    return figure, figure.add_subplot()


def _name_classes(axes: Any, labels: Sequence[str]) -> None:
    axes.set_xticks(range(len(labels)), [_short(label) for label in labels], fontsize=7)
    axes.set_xlabel("class")


def _short(label: str) -> str:
    return label.removeprefix("class ")
