"""A Keras network to a full-integer .tflite."""

import contextlib
import io
import os
import warnings
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edge_af.errors import UserError
from edge_af.interpreter import ANSWER, PENULTIMATE

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")


def load_network(path: Path) -> Any:
    """Return a Keras 3 model. Raises UserError if it is not one."""
    import keras

    try:
        return keras.models.load_model(path, compile=False)
    except (OSError, ValueError, TypeError, KeyError) as error:
        reason = str(error).strip().splitlines()[0]
        raise UserError(f"{path} is not a Keras model that loads here: {reason}") from error


def with_penultimate(network: Any) -> tuple[Any, int | None]:
    """Return the network with what feeds its last layer as a second output, and its length.

    On those numbers the device can fit a head of its own. The outputs are named for the runtime,
    which puts them in any order. A network that does not end in a dense layer on a vector comes
    back as it was, and None.
    """
    import keras

    last = network.layers[-1]
    if not isinstance(last, keras.layers.Dense) or len(last.input.shape) != 2:
        return network, None
    outputs = {ANSWER: network.outputs[0], PENULTIMATE: last.input}
    return keras.Model(network.inputs, outputs), int(last.input.shape[1])


def run_float(network: Any, features: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Return the float network's outputs (n, k) for uint8 features."""
    return np.asarray(network.predict(features.astype(np.float32), batch_size=256, verbose=0))


def quantise(network: Any, calibration: NDArray[np.uint8]) -> bytes:
    """Return the int8 .tflite of a Keras network: per channel, int8 in and out, no float left.

    Ranges come from `calibration`, uint8 features (n, ...). Their values from 0 to 255 make the
    input's scale 1 and its zero point -128, so that a feature becomes an input by one subtraction.
    """
    import tensorflow as tf

    converter = tf.lite.TFLiteConverter.from_keras_model(network)
    converter.optimizations = [tf.lite.Optimize.DEFAULT]
    converter.representative_dataset = lambda: (
        [features[None].astype(np.float32)] for features in calibration
    )
    converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS_INT8]
    converter.inference_input_type = tf.int8
    converter.inference_output_type = tf.int8
    # It reports to standard output, which is the command's own, and warns of what it was told.
    with contextlib.redirect_stdout(io.StringIO()), warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        return bytes(converter.convert())


def drawn_evenly(classes: NDArray[np.intp], count: int, seed: int = 0) -> NDArray[np.intp]:
    """Return the indices of `count` tiles, as evenly over `classes` (n,) as there are tiles."""
    rng = np.random.default_rng(seed)
    queues = [
        list(rng.permutation(np.flatnonzero(classes == label))) for label in np.unique(classes)
    ]
    chosen: list[int] = []
    while len(chosen) < min(count, len(classes)):
        for queue in queues:
            if queue:
                chosen.append(int(queue.pop()))
    return np.array(chosen[:count])


def tool_versions() -> dict[str, str]:
    """Return the versions of what made the model."""
    import ai_edge_litert
    import keras
    import tensorflow as tf

    return {
        "tensorflow": tf.__version__,
        "keras": keras.__version__,
        "ai-edge-litert": ai_edge_litert.__version__,
    }
