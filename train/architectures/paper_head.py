"""The head that Markosyan's classifier put on a network of keras.applications.

The softmax of its last layer is in the loss and in what reads the answer: the network ends in
logits. Pixels are scaled to [0, 1], as there.
"""

from collections.abc import Callable
from pathlib import Path

import keras
from keras import layers

from edge_af.errors import UserError
from train.architectures.base import Architecture, Shape
from train.looks import Pixels

_BATCH = 32

MakeBase = Callable[..., keras.Model]
"""Of keras.applications; called with include_top, weights and input_shape."""


def with_paper_head(name: str, make_base: MakeBase, smallest_px: int = 32) -> Architecture:
    """Return the architecture of a base without its top; it takes tiles from `smallest_px`."""

    def build(shape: Shape, classes: int, weights: Path | None) -> keras.Model:
        if min(shape[:2]) < smallest_px:
            raise UserError(
                f"{name} needs tiles of at least {smallest_px} px, these have {shape[0]} px"
            )
        inputs = keras.Input(shape, name="pixels")
        x = layers.Rescaling(1 / 255)(inputs)
        x = _base(make_base, shape, weights)(x)
        x = layers.GlobalAveragePooling2D()(x)
        for _ in range(2):
            x = layers.Dense(256, activation="relu")(x)
            x = layers.Dropout(0.2)(x)
        return keras.Model(inputs, layers.Dense(classes, name="logits")(x), name=name)

    return Architecture(name, Pixels(), _BATCH, build, takes_weights=True)


def _base(make_base: MakeBase, shape: Shape, weights: Path | None) -> keras.Model:
    base: keras.Model = make_base(include_top=False, weights=None, input_shape=shape)
    if weights is not None:
        try:
            base.load_weights(weights)
        except (OSError, ValueError, KeyError) as error:
            reason = " ".join(str(error).split())[:160]
            raise UserError(
                f"{weights} does not hold weights of this base without its top: {reason}"
            ) from error
    return base
