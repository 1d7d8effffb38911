"""Make edge_af/bench/int8_ceiling.tflite: one int8 convolution, as dense as a runtime could wish.

.venv-dev/bin/python scripts/make_int8_ceiling.py
"""

from collections.abc import Iterator
from pathlib import Path

import keras
import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

SIDE_PX, CHANNELS = 32, 256
OUTPUT = Path(__file__).parents[1] / "edge_af" / "bench" / "int8_ceiling.tflite"


def examples() -> Iterator[list[NDArray[np.float32]]]:
    """Yield pictures that set the range of the numbers."""
    rng = np.random.default_rng(1)
    for _ in range(8):
        yield [rng.uniform(-1, 1, (1, SIDE_PX, SIDE_PX, CHANNELS)).astype(np.float32)]


def main() -> None:
    """Write the file."""
    keras.utils.set_random_seed(1)
    inputs = keras.Input((SIDE_PX, SIDE_PX, CHANNELS), batch_size=1)
    model = keras.Model(inputs, keras.layers.Conv2D(CHANNELS, 1)(inputs))
    converter = tf.lite.TFLiteConverter.from_keras_model(model)
    converter.optimizations = [tf.lite.Optimize.DEFAULT]
    converter.representative_dataset = examples
    converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS_INT8]
    converter.inference_input_type = converter.inference_output_type = tf.int8
    OUTPUT.write_bytes(converter.convert())


if __name__ == "__main__":
    main()
