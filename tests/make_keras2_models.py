"""Make classifiers as a user of TensorFlow 2.12 has them, in an environment that has that version.

    make_keras2_models.py OUT DATA [--base mobilenet_v2] [--alpha 0.35] [--epochs 5]

DATA has a folder for each class. The architecture and head are the paper's; so are the scaling to
0..1 and the order of the classes, which is the one that Keras gives them. OUT gets model.h5,
model.keras, the folder saved_model, class_indices.json, and said.npz: the files of DATA, and what
the network itself says of them.
"""

import argparse
import json
from pathlib import Path

import numpy as np
import tensorflow as tf


def base_network(name, shape, alpha):
    if name == "mobilenet_v2":
        return tf.keras.applications.MobileNetV2(shape, alpha, include_top=False, weights=None)
    makers = {"resnet50": tf.keras.applications.ResNet50, "vgg16": tf.keras.applications.VGG16}
    return makers[name](include_top=False, weights=None, input_shape=shape)


def network(name, shape, alpha, classes):
    """Return the whole, and its head alone."""
    base = base_network(name, shape, alpha)
    pooled = tf.keras.layers.GlobalAveragePooling2D()(base.output)
    features = tf.keras.Input(pooled.shape[1:])
    layers = []
    for _ in range(2):
        layers += [tf.keras.layers.Dense(256, activation="relu"), tf.keras.layers.Dropout(0.2)]
    layers += [tf.keras.layers.Dense(classes, activation="softmax")]
    x, y = pooled, features
    for layer in layers:
        x, y = layer(x), layer(y)
    return tf.keras.Model(base.input, x), tf.keras.Model(features, y), pooled


def train(model, head, pooled, x, y, epochs):
    """Train the head on the frozen base, which keeps its random weights.

    Its batch normalisation sees the data first: as it begins, next to nothing would come through.
    """
    for layer in model.layers:
        if isinstance(layer, tf.keras.layers.BatchNormalization):
            layer.momentum = 0.0
    for start in range(0, min(len(x), 512), 64):
        model(x[start : start + 64], training=True)
    features = tf.keras.Model(model.input, pooled).predict(x, batch_size=32, verbose=0)
    first = head.layers[1]
    kernel, bias = first.get_weights()
    first.set_weights([kernel / features.std(), bias])
    head.compile(tf.keras.optimizers.Adam(1e-3), "categorical_crossentropy", ["accuracy"])
    head.fit(features, y, batch_size=64, epochs=epochs, verbose=0)
    print("accuracy on what it learned from", head.evaluate(features, y, verbose=0)[1])


def main(given):
    tf.keras.utils.set_random_seed(5)
    tf.config.threading.set_intra_op_parallelism_threads(2)
    generator = tf.keras.preprocessing.image.ImageDataGenerator(rescale=1 / 255)
    options = {"target_size": (given.tile_px, given.tile_px), "shuffle": False, "batch_size": 32}
    learn = generator.flow_from_directory(given.data, **options)
    model, head, pooled = network(
        given.base, (given.tile_px, given.tile_px, 3), given.alpha, learn.num_classes
    )
    pairs = [learn[index] for index in range(len(learn))]
    x, y = (np.concatenate(part) for part in zip(*pairs, strict=True))
    order = np.random.default_rng(5).permutation(len(x))
    if given.epochs:
        train(model, head, pooled, x[order], y[order], given.epochs)
    given.out.mkdir(parents=True, exist_ok=True)
    model.save(given.out / "model.h5")
    model.save(given.out / "model.keras")
    model.save(given.out / "saved_model")
    (given.out / "class_indices.json").write_text(json.dumps(learn.class_indices))
    np.savez(given.out / "said.npz", files=learn.filenames, said=model.predict(x, verbose=0))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("out", type=Path)
    parser.add_argument("data", type=Path)
    parser.add_argument("--base", default="mobilenet_v2")
    parser.add_argument("--alpha", type=float, default=0.35)
    parser.add_argument("--tile-px", type=int, default=96)
    parser.add_argument("--epochs", type=int, default=0)
    main(parser.parse_args())
