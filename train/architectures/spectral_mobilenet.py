"""MobileNetV2's inverted residual blocks (Sandler et al. 2018) along the rings of a spectrum.

What blur does lies in how the spectrum falls and ripples from ring to ring, so the blocks run
along the rings, and the rings are kept apart to the end. The sectors of a ring are read together
by the first layer, which so can form any angular harmonic: astigmatism and coma show there.
"""

from pathlib import Path

import keras
import numpy as np
from keras import layers

from edge_af.spectrum import MIDDLE, PER_DEVIATION
from train.architectures.base import Architecture, Shape
from train.looks import Spectrum

RING_EDGES = (
    # Single rings near the centre, where a large defocus has all its signal; wider ones beyond.
    *(float(edge) for edge in range(1, 13)),
    *(float(edge) for edge in range(13, 33, 2)),
    *(float(edge) for edge in np.linspace(33, 64, 11)),
)
SECTORS = 8


def _block(x: keras.KerasTensor, expansion: int = 3) -> keras.KerasTensor:
    filters = x.shape[-1]
    inner = layers.Conv2D(expansion * filters, 1, use_bias=False)(x)
    inner = layers.ReLU(6.0)(layers.BatchNormalization()(inner))
    inner = layers.DepthwiseConv2D((3, 1), padding="same", use_bias=False)(inner)
    inner = layers.ReLU(6.0)(layers.BatchNormalization()(inner))
    inner = layers.Conv2D(filters, 1, use_bias=False)(inner)
    return layers.Add()([x, layers.BatchNormalization()(inner)])


def _build(shape: Shape, classes: int, _weights: Path | None) -> keras.Model:
    inputs = keras.Input(shape, name="spectrum")
    x = layers.Rescaling(1 / PER_DEVIATION, -MIDDLE / PER_DEVIATION)(inputs)
    x = layers.ZeroPadding2D(((1, 1), (0, 0)))(x)
    x = layers.Conv2D(64, (3, shape[1]), strides=2, use_bias=False)(x)
    x = layers.ReLU(6.0)(layers.BatchNormalization()(x))
    for _ in range(3):
        x = _block(x)
    x = layers.Flatten()(x)
    x = layers.Dropout(0.2)(x)
    x = layers.Dense(256, use_bias=False)(x)
    x = layers.ReLU(6.0)(layers.BatchNormalization()(x))
    x = layers.Dropout(0.2)(x)
    return keras.Model(inputs, layers.Dense(classes, name="logits")(x), name="spectral-mobilenet")


ARCHITECTURE = Architecture("spectral-mobilenet", Spectrum(RING_EDGES, SECTORS), 512, _build)
