"""Networks by name. To add one: a file with a `build` function, and its line here."""

from collections.abc import Callable

import keras

from train.architectures import spectral_mobilenet

ARCHITECTURES: dict[str, Callable[[tuple[int, int, int], int], keras.Model]] = {
    "spectral-mobilenet": spectral_mobilenet.build,
}
