"""Networks by name. To add one: a file with an ARCHITECTURE, and its line here."""

import math

from edge_af.errors import UserError
from train.architectures import mobilenetv2, resnet50, spectral_mobilenet, vgg16, vgg19
from train.architectures.base import Architecture

ARCHITECTURES = {
    one.name: one
    for one in (
        spectral_mobilenet.of_width(1),
        spectral_mobilenet.SMALL,
        mobilenetv2.of_width(1),
        resnet50.ARCHITECTURE,
        vgg16.ARCHITECTURE,
        vgg19.ARCHITECTURE,
    )
}

_OF_ANY_WIDTH = {
    spectral_mobilenet.NAME: spectral_mobilenet.of_width,
    mobilenetv2.NAME: mobilenetv2.of_width,
}


def architecture(name: str) -> Architecture:
    """Return an architecture; `mobilenetv2-0.35` is one with 0.35 of the channels.

    Raises UserError for a name that there is not.
    """
    if name in ARCHITECTURES:
        return ARCHITECTURES[name]
    base, _, width = name.rpartition("-")
    if base in _OF_ANY_WIDTH and 0.05 <= _number(width) <= 4:
        return _OF_ANY_WIDTH[base](float(width))
    raise UserError(
        f"no architecture {name!r}: choose one of {', '.join(ARCHITECTURES)}, "
        f"or {' or '.join(f'{one}-WIDTH' for one in _OF_ANY_WIDTH)} with a width from 0.05 to 4"
    )


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return math.nan
