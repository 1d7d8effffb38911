"""Make classifiers as a user of TensorFlow 2.12 has them, in an environment that has that version.

    make_keras2_models.py OUT DATA [--base mobilenet_v2] [--alpha 0.35] [--epochs 5]

DATA has a folder for each class. The architecture and head are the paper's; so are the scaling to
0..1 and the order of the classes, which is the one that Keras gives them. OUT gets model.h5,
model.keras, the folder saved_model, class_indices.json, and said.npz: the files of some held-out
pictures, and what the network itself says of them.
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
    base = base_network(name, shape, alpha)
    x = tf.keras.layers.GlobalAveragePooling2D()(base.output)
    for _ in range(2):
        x = tf.keras.layers.Dense(256, activation="relu")(x)
        x = tf.keras.layers.Dropout(0.2)(x)
    x = tf.keras.layers.Dense(classes, activation="softmax")(x)
    model = tf.keras.Model(base.input, x)
    for layer in model.layers:
        if isinstance(layer, tf.keras.layers.BatchNormalization):
            layer.momentum = 0.9  # 0.999 would want ten thousand steps
    return model


def main(given):
    tf.keras.utils.set_random_seed(5)
    tf.config.threading.set_intra_op_parallelism_threads(2)
    generator = tf.keras.preprocessing.image.ImageDataGenerator(
        rescale=1 / 255, validation_split=0.1
    )
    options = {"target_size": (given.tile_px, given.tile_px), "seed": 5, "batch_size": 32}
    learn = generator.flow_from_directory(given.data, subset="training", **options)
    held = generator.flow_from_directory(given.data, subset="validation", shuffle=False, **options)
    model = network(given.base, (given.tile_px, given.tile_px, 3), given.alpha, learn.num_classes)
    steps = max(1, given.epochs * len(learn))
    rate = tf.keras.optimizers.schedules.CosineDecay(given.rate, steps)
    model.compile(tf.keras.optimizers.Adam(rate), "categorical_crossentropy", ["accuracy"])
    if given.epochs:
        pairs = [learn[index] for index in range(len(learn))]
        x, y = (np.concatenate(part) for part in zip(*pairs, strict=True))
        model.fit(x, y, batch_size=64, epochs=given.epochs, validation_data=held, verbose=2)
    given.out.mkdir(parents=True, exist_ok=True)
    model.save(given.out / "model.h5")
    model.save(given.out / "model.keras")
    model.save(given.out / "saved_model")
    (given.out / "class_indices.json").write_text(json.dumps(learn.class_indices))
    np.savez(given.out / "said.npz", files=held.filenames, said=model.predict(held, verbose=0))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("out", type=Path)
    parser.add_argument("data", type=Path)
    parser.add_argument("--base", default="mobilenet_v2")
    parser.add_argument("--alpha", type=float, default=0.35)
    parser.add_argument("--tile-px", type=int, default=96)
    parser.add_argument("--epochs", type=int, default=0)
    parser.add_argument("--rate", type=float, default=1e-3)
    main(parser.parse_args())
