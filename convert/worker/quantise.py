"""A frozen graph to a full-integer .tflite."""

import json
import re
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from convert.preprocess import Affine
from convert.worker.lite import converter_of
from edge_af.errors import UserError


def quantise(
    say: Callable[[str, int, int], None],
    folder: str,
    multiply: float,
    add: float,
    prefix: dict[str, Any] | None,
    embedding: bool,
    allow_float: bool,
) -> None:
    """Write `int8.tflite` into `folder`, per channel, int8 in and out, from what is there.

    `calibration.npy`, uint8 (n, ...), fixes the ranges; shown is value * multiply + add. The
    input's range is that of 0 to 255: its codes then are the values, less 128.
    """
    where = Path(folder)
    about = json.loads((where / "about.json").read_text())
    graph = tf.compat.v1.GraphDef.FromString((where / "graph.pb").read_bytes())
    pictures = np.load(where / "calibration.npy", mmap_mode="r")

    def shown() -> Iterator[list[NDArray[np.float32]]]:
        for number, picture in enumerate(pictures):
            values = np.array(picture, np.float32)
            if number == 0:
                values.flat[:2] = 0, 255
            say("quantising", number, len(pictures))
            yield [values[None] * np.float32(multiply) + np.float32(add)]

    before = None if prefix is None else Affine(**prefix)
    converter = converter_of(graph, about, embedding=embedding, prefix=before)
    converter.optimizations = [tf.lite.Optimize.DEFAULT]
    converter.representative_dataset = shown
    converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS_INT8]
    if allow_float:
        converter.target_spec.supported_ops.append(tf.lite.OpsSet.TFLITE_BUILTINS)
    converter.inference_input_type = tf.int8
    converter.inference_output_type = tf.int8
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        try:
            content = converter.convert()
        except Exception as error:
            operations = sorted(set(re.findall(r"not yet supported for op: '?(\w+)", str(error))))
            if not operations:
                raise
            raise UserError(
                f"the network has operations that have no int8 form: {', '.join(operations)}. "
                "Replace them, or let them run in float, slower, with --allow-float"
            ) from error
    (where / "int8.tflite").write_bytes(content)
