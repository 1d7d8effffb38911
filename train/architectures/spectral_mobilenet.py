"""MobileNetV2's inverted residual blocks (Sandler et al. 2018) along the rings of a spectrum.

What blur does lies in how the spectrum falls and ripples from ring to ring, so the blocks run
along the rings, and the rings are kept apart to the end. The sectors of a ring are read together
by the first layer, which so can form any angular harmonic: astigmatism and coma show there.
"""

import keras
from keras import layers

from edge_af.spectrum import MIDDLE, PER_DEVIATION


def _block(x: keras.KerasTensor, expansion: int = 3) -> keras.KerasTensor:
    filters = x.shape[-1]
    inner = layers.Conv2D(expansion * filters, 1, use_bias=False)(x)
    inner = layers.ReLU(6.0)(layers.BatchNormalization()(inner))
    inner = layers.DepthwiseConv2D((3, 1), padding="same", use_bias=False)(inner)
    inner = layers.ReLU(6.0)(layers.BatchNormalization()(inner))
    inner = layers.Conv2D(filters, 1, use_bias=False)(inner)
    return layers.Add()([x, layers.BatchNormalization()(inner)])


def build(shape: tuple[int, int, int], classes: int) -> keras.Model:
    """Return the network: `shape` rings x sectors x channels, 0 to 255, to `classes` logits."""
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
