"""MobileNetV2's inverted residual blocks (Sandler et al. 2018) along the rings of a spectrum.

What blur does lies in how the spectrum falls and ripples from ring to ring, so the blocks run
along the rings, and the rings are kept apart to the end. The sectors of a ring are read together
by the first layer, which so can form any angular harmonic: astigmatism and coma show there.

For tiles of 256 px, which hold the blur at the ends of the range, and a smaller one for 128 px. The
blocks of the larger have expansion and convolution in one layer (Gupta and Tan 2020): on so few
rings that trains twice as fast as a depthwise one.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import keras
import numpy as np
from keras import layers
from numpy.typing import NDArray

from edge_af.spectrum import MIDDLE, PER_DEVIATION
from train.architectures.base import Architecture, Shape
from train.looks import Spectrum

SECTORS = 8


@dataclass(frozen=True, slots=True)
class _Size:
    """How large a network is: channels, blocks and what they are, and units of the last layer."""

    channels: int
    blocks: int
    block: Callable[[keras.KerasTensor], keras.KerasTensor]
    units: int


def _inverted(x: keras.KerasTensor) -> keras.KerasTensor:
    """Return a block that expands, looks along the rings channel by channel, and projects."""
    filters = x.shape[-1]
    inner = _normalised(layers.Conv2D(3 * filters, 1, use_bias=False)(x))
    inner = _normalised(layers.DepthwiseConv2D((3, 1), padding="same", use_bias=False)(inner))
    inner = layers.Conv2D(filters, 1, use_bias=False)(inner)
    return layers.Add()([x, layers.BatchNormalization()(inner)])


def _fused(x: keras.KerasTensor) -> keras.KerasTensor:
    """Return a block that expands along the rings, and projects."""
    filters = x.shape[-1]
    inner = _normalised(layers.Conv2D(2 * filters, (3, 1), padding="same", use_bias=False)(x))
    inner = layers.Conv2D(filters, 1, use_bias=False)(inner)
    return layers.Add()([x, layers.BatchNormalization()(inner)])


def _normalised(x: keras.KerasTensor) -> keras.KerasTensor:
    return layers.ReLU(6.0)(layers.BatchNormalization()(x))


def _build(size: _Size, shape: Shape, classes: int, _weights: Path | None) -> keras.Model:
    inputs = keras.Input(shape, name="spectrum")
    x = layers.Rescaling(1 / PER_DEVIATION, -MIDDLE / PER_DEVIATION)(inputs)
    x = layers.ZeroPadding2D(((1, 1), (0, 0)))(x)
    x = _normalised(layers.Conv2D(size.channels, (3, shape[1]), strides=2, use_bias=False)(x))
    for _ in range(size.blocks):
        x = size.block(x)
    x = layers.Flatten()(x)
    x = layers.Dropout(0.2)(x)
    x = _normalised(layers.Dense(size.units, use_bias=False)(x))
    x = layers.Dropout(0.2)(x)
    return keras.Model(inputs, layers.Dense(classes, name="logits")(x), name="spectral-mobilenet")


def _edges(*parts: NDArray[np.number]) -> tuple[float, ...]:
    return tuple(float(edge) for part in parts for edge in part)


# Single rings near the centre, where a large defocus has all its signal; wider ones beyond.
_RINGS_128 = _edges(np.arange(1, 13), np.arange(13, 33, 2), np.linspace(33, 64, 11))
_RINGS_256 = _edges(np.arange(1, 25), np.arange(25, 65, 4), np.linspace(66, 128, 11))


NAME = "spectral-mobilenet"


def _architecture(name: str, rings: tuple[float, ...], size: _Size) -> Architecture:
    return Architecture(name, Spectrum(rings, SECTORS), 512, partial(_build, size))


def of_width(width: float) -> Architecture:
    """Return that for 256 px with `width` times the channels; 1 goes by the bare name."""
    name = NAME if width == 1 else f"{NAME}-{width:g}"
    size = _Size(round(128 * width), 2, _fused, round(384 * width))
    return _architecture(name, _RINGS_256, size)


SMALL = _architecture(f"{NAME}-128", _RINGS_128, _Size(64, 3, _inverted, 256))
