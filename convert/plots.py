"""The plots of the report, as SVG."""

import io
from itertools import pairwise

import numpy as np
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure

from convert.convert import Converted
from convert.layers import LayerError


def error_by_class(done: Converted) -> str:
    """Mean error in um of the tiles of each class, float and int8."""
    scale = done.card.scale
    order = np.argsort(scale.centres_um)
    classes = np.array([scale.index_of(float(value)) for value in done.truth_um])
    figure = Figure((8, 3), layout="constrained")
    axes = figure.subplots()
    for name, probabilities, style in (
        ("float", done.float_probabilities, "o-"),
        ("int8", done.int8_probabilities, "x--"),
    ):
        error_um = np.abs(scale.expected_um(probabilities) - done.truth_um)
        means = [
            error_um[classes == index].mean() if (classes == index).any() else np.nan
            for index in order
        ]
        axes.plot(scale.centres_um[order], means, style, label=name, markersize=4)
    axes.set(xlabel="defocus, um", ylabel="mean error, um")
    axes.legend()
    return _svg(figure)


def float_against_int8(done: Converted) -> str:
    """The expected defocus of each tile, float across, int8 up."""
    scale = done.card.scale
    figure = Figure((4, 4), layout="constrained")
    axes = figure.subplots()
    span = scale.range
    axes.plot([span.low_um, span.high_um], [span.low_um, span.high_um], color="0.8")
    axes.plot(
        scale.expected_um(done.float_probabilities),
        scale.expected_um(done.int8_probabilities),
        ".",
        markersize=3,
    )
    axes.set(xlabel="float network, um", ylabel="int8 network, um")
    return _svg(figure)


def reliability(done: Converted) -> str:
    """How often the int8 network is right against how sure it is: on the line it can be trusted."""
    scale = done.card.scale
    classes = np.array([scale.index_of(float(value)) for value in done.truth_um])
    sure = done.int8_probabilities.max(axis=1)
    right = done.int8_probabilities.argmax(axis=1) == classes
    edges = np.linspace(0, 1, 11)
    figure = Figure((4, 4), layout="constrained")
    axes = figure.subplots()
    axes.plot([0, 1], [0, 1], color="0.8")
    groups = [(sure > low) & (sure <= high) for low, high in pairwise(edges)]
    groups = [group for group in groups if group.any()]
    axes.plot(
        [sure[group].mean() for group in groups], [right[group].mean() for group in groups], "o-"
    )
    axes.set(xlabel="probability of the likeliest class", ylabel="share that is right")
    return _svg(figure)


def errors_by_layer(layers: tuple[LayerError, ...]) -> str:
    """The error of each layer, relative, in the order in which they run."""
    figure = Figure((8, 3), layout="constrained")
    axes = figure.subplots()
    axes.bar(range(len(layers)), [layer.error for layer in layers], color="0.8", label="in all")
    axes.bar(
        range(len(layers)), [max(layer.added, 0) for layer in layers], color="C3", label="added"
    )
    axes.set(xlabel="layer", ylabel="relative error")
    axes.legend()
    return _svg(figure)


def _svg(figure: Figure) -> str:
    # Its own canvas: no display, no state of pyplot.
    FigureCanvasSVG(figure)
    text = io.StringIO()
    figure.savefig(text, format="svg", metadata={"Date": None})
    drawn = text.getvalue()
    return drawn[drawn.index("<svg") :]
