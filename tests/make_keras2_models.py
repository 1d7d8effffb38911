"""Make classifiers as a user of TensorFlow 2.12 has them, in an environment that has that version.

    make_keras2_models.py OUT DATA [--base mobilenet_v2] [--alpha 0.35] [--epochs 0]

DATA has a folder for each class. The architecture and head are the paper's, trained for so many
epochs on pixels from 0 to 1; the order of the classes is the one that Keras gives them. OUT gets
model.h5, model.keras, the folder saved_model, and class_indices.json.
"""

import argparse
import json
from pathlib import Path

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
    return tf.keras.Model(base.input, x)


def main(given):
    tf.keras.utils.set_random_seed(5)
    generator = tf.keras.preprocessing.image.ImageDataGenerator(rescale=1 / 255)
    side = given.tile_px, given.tile_px
    learn = generator.flow_from_directory(given.data, target_size=side, seed=5)
    model = network(given.base, (*side, 3), given.alpha, learn.num_classes)
    if given.epochs:
        for layer in model.layers:
            if isinstance(layer, tf.keras.layers.BatchNormalization):
                layer.momentum = 0.9  # 0.999 is for far more steps than these
        pace = tf.keras.optimizers.schedules.CosineDecay(2e-3, given.epochs * len(learn))
        model.compile(tf.keras.optimizers.Adam(pace), "categorical_crossentropy", ["accuracy"])
        model.fit(learn, epochs=given.epochs, verbose=2)
    given.out.mkdir(parents=True, exist_ok=True)
    model.save(given.out / "model.h5")
    model.save(given.out / "model.keras")
    model.save(given.out / "saved_model")
    (given.out / "class_indices.json").write_text(json.dumps(learn.class_indices))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("out", type=Path)
    parser.add_argument("data", type=Path)
    parser.add_argument("--base", default="mobilenet_v2")
    parser.add_argument("--alpha", type=float, default=0.35)
    parser.add_argument("--tile-px", type=int, default=96)
    parser.add_argument("--epochs", type=int, default=0)
    main(parser.parse_args())
