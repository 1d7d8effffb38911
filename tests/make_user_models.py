"""Write classifiers as users have them, into the folder given, with weights worked out by hand.

A picture has a grid of blocks; which block has the middle grey says its class. A brighter block is
there to mislead whoever scales pixels otherwise than `unit`. So the networks are as good as
trained on the pictures of `user_pictures.py`, and wrong labels or scaling show. Outputs are in
Keras's order of the class folders.

The second argument says which Keras: `2` is tf_keras, or TensorFlow 2.12's own; `3` the
other. Each in a process of its own.
"""

import os
import shutil
import sys
from pathlib import Path

LEGACY = sys.argv[2] == "2"
os.environ["TF_USE_LEGACY_KERAS"] = "1" if LEGACY else "0"

import numpy as np  # noqa: E402
import tensorflow as tf  # noqa: E402
from user_pictures import BLOCK_PX, CENTRES_UM, GRID, KERAS_ORDER, SIDE_PX  # noqa: E402

if not LEGACY:
    import keras
elif tf.__version__.startswith("2.12"):
    keras = tf.keras
else:
    import tf_keras as keras

SURENESS = 8.0


def body(rescaling=None):
    """From pixels to how much of the middle grey each block has."""
    layers = keras.layers
    inputs = keras.Input((SIDE_PX, SIDE_PX, 3))
    x = inputs if rescaling is None else layers.Rescaling(*rescaling)(inputs)
    tent = layers.Conv2D(3, 1, activation="relu", name="edges")
    peak = layers.Conv2D(1, 1, activation="relu", name="tent")
    x = peak(tent(x))
    x = layers.Flatten()(layers.AveragePooling2D(BLOCK_PX)(x))
    network = keras.Model(inputs, x)
    # 4 * (relu(x - 1/4) - 2 relu(x - 1/2) + relu(x - 3/4)): 1 at 1/2, 0 beyond 1/4 and 3/4.
    tent.set_weights([np.full((1, 1, 3, 3), 1 / 3), -np.array([0.25, 0.5, 0.75])])
    peak.set_weights([4 * np.array([1.0, -2.0, 1.0]).reshape(1, 1, 3, 1), np.zeros(1)])
    return network


def blown():
    """As `body`, but one channel of a layer is so large that int8 leaves nothing of the others."""
    layers = keras.layers
    inputs = keras.Input((SIDE_PX, SIDE_PX, 3))
    large = layers.Conv2D(4, 1, activation="relu", name="large")
    peak = layers.Conv2D(1, 1, activation="relu", name="tent")
    x = layers.Flatten()(layers.AveragePooling2D(BLOCK_PX)(peak(large(inputs))))
    thirds = np.full((1, 1, 3, 4), 1 / 3)
    thirds[..., 3] = 300
    large.set_weights([thirds, -np.array([0.25, 0.5, 0.75, 0])])
    peak.set_weights([4 * np.array([1.0, -2.0, 1.0, 0]).reshape(1, 1, 4, 1), np.zeros(1)])
    return keras.Model(inputs, x)


def with_head(network, *, activation="softmax"):
    dense = keras.layers.Dense(len(KERAS_ORDER), activation=activation, name="classes")
    model = keras.Model(network.inputs, dense(network.outputs[0]))
    kernel = np.zeros((GRID**2, len(KERAS_ORDER)))
    for output, rank in enumerate(KERAS_ORDER):
        kernel[rank, output] = SURENESS
    dense.set_weights([kernel, np.zeros(len(KERAS_ORDER))])
    return model


def with_number(network):
    """One output: the defocus in um."""
    dense = keras.layers.Dense(1, name="um")
    model = keras.Model(network.inputs, dense(network.outputs[0]))
    kernel = np.zeros((GRID**2, 1))
    kernel[: len(CENTRES_UM), 0] = CENTRES_UM
    dense.set_weights([kernel, np.zeros(1)])
    return model


def with_sine(network):
    """An operation that has no int8 form, and next to no effect."""
    layers = keras.layers
    waved = layers.Lambda(lambda x: tf.sin(x))(network.outputs[0])
    added = layers.Add()([network.outputs[0], layers.Rescaling(0.01)(waved)])
    return with_head(keras.Model(network.inputs, added))


def bordered():
    """Random weights that look at the border, for the scalings that are put into the network."""
    keras.utils.set_random_seed(4)
    layers = keras.layers
    inputs = keras.Input((SIDE_PX, SIDE_PX, 3))
    x = layers.Rescaling(1.0)(inputs)
    x = layers.Conv2D(16, 5, padding="same", activation="relu")(x)
    x = layers.Flatten()(layers.AveragePooling2D(7)(x))
    return keras.Model(inputs, layers.Dense(5, activation="softmax")(x))


def keras_2(folder):
    model = with_head(body())
    model.save(folder / "model.h5")
    shutil.copy(folder / "model.h5", folder / "old.keras")  # as TensorFlow 2.12 writes it
    model.save(folder / "saved_model", save_format="tf")
    model.save_weights(folder / "weights.h5")
    with_sine(body()).save(folder / "sine", save_format="tf")
    with_sine(body()).save(folder / "lambda.h5")


def keras_3(folder):
    model = with_head(body())
    model.save(folder / "model.keras")
    model.export(folder / "exported", verbose=False)
    with_head(body((1 / 255,))).save(folder / "rescaling.keras")
    with_head(body(), activation=None).save(folder / "logits.keras")
    with_head(body(), activation="sigmoid").save(folder / "sigmoid.keras")
    with_number(body()).save(folder / "number.keras")
    two = keras.Model(model.inputs, [model.outputs[0], model.outputs[0]])
    two.save(folder / "two_outputs.keras")
    body().save(folder / "headless.keras")
    with_head(blown()).save(folder / "blown.keras")
    bordered().save(folder / "bordered.keras")
    grey = keras.Sequential([keras.Input((8, 8, 1)), keras.layers.Flatten(), keras.layers.Dense(5)])
    grey.save(folder / "grey.keras")
    converter = tf.lite.TFLiteConverter.from_keras_model(model)
    (folder / "float.tflite").write_bytes(converter.convert())


if __name__ == "__main__":
    (keras_2 if LEGACY else keras_3)(Path(sys.argv[1]))
