"""A frozen graph to a TFLite converter."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import tensorflow as tf

from convert.preprocess import Affine
from edge_af.interpreter import ANSWER, PENULTIMATE


def converter_of(
    graph: Any, about: Mapping[str, Any], *, embedding: bool, prefix: Affine | None
) -> Any:
    """Return the converter of a graph, with one output, or two that are named.

    `prefix` is a preprocessing to put before the network, which then takes pixels of 0 to 255.
    """
    wanted = [ANSWER, PENULTIMATE] if embedding else [ANSWER]
    tensors = about["tensors"]

    class Network(tf.Module):  # type: ignore[misc]
        @tf.function(  # type: ignore[untyped-decorator]
            input_signature=[tf.TensorSpec([1, *about["shape"]], name="features")]
        )
        def __call__(self, features: Any) -> dict[str, Any]:
            if prefix is not None:
                features = _before(features, prefix)
            outputs = tf.graph_util.import_graph_def(
                graph,
                input_map={tensors["features"]: features},
                return_elements=[tensors[name] for name in wanted],
                name="",  # the layers keep their names
            )
            return dict(zip(wanted, outputs, strict=True))

    network = Network()
    return tf.lite.TFLiteConverter.from_concrete_functions(
        [network.__call__.get_concrete_function()], network
    )


def _before(pixels: Any, affine: Affine) -> Any:
    """A 1 x 1 convolution: the network's own borders, padded with zeros, stay what they are."""
    kernel = np.diag(np.asarray(affine.multiply, np.float32))[:: -1 if affine.bgr else 1]
    bias = np.asarray(affine.add, np.float32)
    return tf.nn.bias_add(tf.nn.conv2d(pixels, kernel[None, None], 1, "VALID"), bias)
