"""What was done to the pixels of 0 to 255 before the network saw them in training."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class Affine:
    """value * multiply + add, by channel, RGB or BGR as the network takes them."""

    multiply: tuple[float, float, float]
    add: tuple[float, float, float]
    bgr: bool = False

    def __call__(self, pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Return what the network gets, float32, for `pixels`, uint8 (..., 3) RGB."""
        ordered = pixels[..., ::-1] if self.bgr else pixels
        multiply, add = np.asarray(self.multiply, np.float32), np.asarray(self.add, np.float32)
        return np.asarray(ordered * multiply + add, np.float32)

    @property
    def alike(self) -> bool:
        """Whether it does the same to each channel: then the input's quantisation can do it."""
        return len(set(self.multiply)) == len(set(self.add)) == 1 and not self.bgr


def _even(multiply: float, add: float) -> Affine:
    return Affine((multiply,) * 3, (add,) * 3)


IN_MODEL = "in-model"

PREPROCESSINGS: dict[str, Affine] = {
    "unit": _even(1 / 255, 0.0),
    "signed": _even(1 / 127.5, -1.0),
    # The modes "caffe" and "torch" of keras.applications.imagenet_utils.preprocess_input.
    "imagenet": Affine((1.0,) * 3, (-103.939, -116.779, -123.68), bgr=True),
    "torch": Affine(
        (1 / (255 * 0.229), 1 / (255 * 0.224), 1 / (255 * 0.225)),
        (-0.485 / 0.229, -0.456 / 0.224, -0.406 / 0.225),
    ),
    IN_MODEL: _even(1.0, 0.0),
}
"""By name; `in-model` is for a network that scales its input itself, and takes 0 to 255."""
