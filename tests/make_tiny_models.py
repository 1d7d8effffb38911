"""Write small untrained models, and what Keras says they compute, into the folder given.

The last layer of `two_outputs` has as many inputs as outputs: shapes cannot tell the two apart.

A process of its own: TensorFlow warns, and is large. Each network has float features as input.
"""

import sys
from pathlib import Path

import keras
import numpy as np
import tensorflow as tf

CLASSES = 41
PIXELS = (32, 32, 3)
POLAR = (8, 6, 9)


def main(folder: Path) -> None:
    rng = np.random.default_rng(5)
    pixels, polar = features(rng, PIXELS), features(rng, POLAR)
    write(folder, "pixels_int8", network(PIXELS), pixels, pixels / 127.5 - 1, int8=True)
    write(folder, "pixels_float", network(PIXELS), pixels, pixels / 127.5 - 1, int8=False)
    # The first two features span 0..255, which makes the scale 1 and the zero point -128.
    polar[:2] = np.array([0, 255], dtype=np.uint8)[:, None, None, None]
    softmax = network(POLAR, divide=127.5, activation="softmax")
    write(folder, "polar_int8", softmax, polar, polar.astype(float), int8=True)
    both = with_penultimate(network(PIXELS, filters=CLASSES))
    write(folder, "two_outputs", both, pixels, pixels / 127.5 - 1, int8=True)


def features(rng, shape):
    # Each channel has a level of its own, so that the outputs differ from tile to tile.
    levels = rng.uniform(0, 255, (64, 1, 1, shape[-1]))
    return (levels + rng.normal(0, 30, (64, *shape))).clip(0, 255).astype(np.uint8)


def network(shape, divide=1.0, activation=None, filters=16):
    keras.utils.set_random_seed(7)
    spread = keras.initializers.RandomNormal(stddev=4)  # or int8 probabilities are mostly 0.02
    # The converter leaves out a bias that is 0.
    bias = keras.initializers.RandomNormal(stddev=0.05)
    conv = {"padding": "same", "activation": "relu", "bias_initializer": bias}
    dense = {"kernel_initializer": spread, "bias_initializer": bias}
    layers = [
        keras.Input(shape),
        keras.layers.Rescaling(1 / divide),
        keras.layers.Conv2D(8, 3, strides=2, **conv),
        keras.layers.Conv2D(filters, 3, **conv),
        keras.layers.GlobalAveragePooling2D(),
        keras.layers.Dense(CLASSES, activation=activation, **dense),
    ]
    return keras.Sequential(layers)


def with_penultimate(model):
    outputs = {"answer": model.outputs[0], "penultimate": model.layers[-1].input}
    return keras.Model(model.inputs, outputs)


def write(folder, name, model, shown, inputs, *, int8):
    inputs = inputs.astype(np.float32)
    converter = tf.lite.TFLiteConverter.from_keras_model(model)
    if int8:
        converter.optimizations = [tf.lite.Optimize.DEFAULT]
        converter.representative_dataset = lambda: ([row[None]] for row in inputs)
        converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS_INT8]
        converter.inference_input_type = tf.int8
        converter.inference_output_type = tf.int8
    outputs = model(inputs)
    named = outputs if isinstance(outputs, dict) else {"outputs": outputs}
    said = {role: value.numpy() for role, value in named.items()}
    np.savez(folder / f"{name}.npz", features=shown, **said)
    (folder / f"{name}.tflite").write_bytes(converter.convert())


if __name__ == "__main__":
    main(Path(sys.argv[1]))
