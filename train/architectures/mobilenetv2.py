"""MobileNetV2 (Sandler et al. 2018), the network that the paper chose; any width."""

from functools import partial

import keras

from train.architectures.base import Architecture
from train.architectures.paper_head import with_paper_head

NAME = "mobilenetv2"


def of_width(width: float) -> Architecture:
    """Return it with `width` times the channels; 1 goes by the bare name."""
    name = NAME if width == 1 else f"{NAME}-{width:g}"
    return with_paper_head(name, partial(keras.applications.MobileNetV2, alpha=width))
