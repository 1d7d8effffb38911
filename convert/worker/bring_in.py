"""Any trained model to one form: a frozen graph, what it takes and answers, a float .tflite.

`graph.pb` holds the network with its weights as constants. Softmax, penultimate layer and scaling
are found in that graph, so that it does not matter which Keras, or what else, wrote it.
"""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import tensorflow as tf
from tensorflow.python.framework.convert_to_constants import convert_variables_to_constants_v2

from convert.worker.graph import answer_of, scaling_of
from convert.worker.lite import converter_of
from edge_af.errors import UserError


def bring_in(
    say: Callable[[str, int, int], None],
    path: str,
    kind: str,
    folder: str,
    side_px: int | None,
) -> dict[str, Any]:
    """Write `graph.pb`, `about.json` and `float.tflite` into `folder`; return the second.

    `side_px` is the side of the pictures, for a network that takes any.
    """
    say("loading the model", 0, 3)
    call, shape, dtype = _loaded(Path(path), kind, Path(folder))
    if len(shape) == 4:
        shape = [1, *(side_px if extent is None else extent for extent in shape[1:3]), shape[3]]
    if None in shape[1:]:
        raise UserError(
            f"{path} takes inputs of any size, {tuple(shape[1:])}: --data must have pictures of "
            "one size to tell which"
        )
    shape = [1, *shape[1:]]
    say("freezing the graph", 1, 3)
    spec = tf.TensorSpec(shape, tf.float32, name="features")
    function = tf.function(lambda features: call(tf.cast(features, dtype)), input_signature=[spec])
    frozen = convert_variables_to_constants_v2(function.get_concrete_function())
    if len(frozen.outputs) != 1:
        raise UserError(
            f"{path} has {len(frozen.outputs)} outputs, 1 is needed: save a model that ends in its "
            "classes alone"
        )
    answer, ending, penultimate = answer_of(frozen.outputs[0])
    scaling = scaling_of(frozen.inputs[0])
    about = {
        "shape": shape[1:],
        "answer_shape": answer.shape.as_list()[1:],
        "ending": ending,
        "penultimate": None if penultimate is None else int(penultimate.shape[1]),
        "scaling": scaling,
        "parameters": _constants(frozen.graph),
        "tensors": {
            "features": frozen.inputs[0].name,
            "answer": answer.name,
            **({} if penultimate is None else {"penultimate": penultimate.name}),
        },
    }
    graph = frozen.graph.as_graph_def()
    (Path(folder) / "about.json").write_text(json.dumps(about))
    (Path(folder) / "graph.pb").write_bytes(graph.SerializeToString())
    say("writing a float .tflite", 2, 3)
    converter = converter_of(graph, about, embedding=False, prefix=None)
    (Path(folder) / "float.tflite").write_bytes(converter.convert())
    return about


def _loaded(path: Path, kind: str, folder: Path) -> tuple[Callable[[Any], Any], list[Any], Any]:
    """Return what calls the network, and the shape and type of its input."""
    if kind == "SavedModel":
        return _signature(path)
    if kind == "Keras 2":
        import tf_keras as keras

        with path.open("rb") as file:
            hdf5 = file.read(1) == b"\x89"
        if hdf5 and path.suffix != ".h5":  # what is inside it goes by its name
            link = folder / "model.h5"
            link.symlink_to(path.resolve())
            path = link
    else:
        import keras

    try:
        model = keras.models.load_model(path, compile=False)
    except (OSError, ValueError, TypeError, KeyError, AttributeError) as error:
        raise UserError(
            f"{path} does not load in Keras {keras.__version__}: {_first_line(error)}. If it has "
            "layers of your own, save it where they are defined with "
            "tf.saved_model.save(model, 'saved_model') and convert that folder"
        ) from error
    if len(model.inputs) != 1:
        raise UserError(f"{path} has {len(model.inputs)} inputs, 1 is needed: one picture")
    return lambda x: model(x, training=False), list(model.inputs[0].shape), model.inputs[0].dtype


def _signature(path: Path) -> tuple[Callable[[Any], Any], list[Any], Any]:
    try:
        loaded = tf.saved_model.load(str(path))
    except (OSError, ValueError) as error:
        raise UserError(f"{path} does not load as a SavedModel: {_first_line(error)}") from error
    signature = loaded.signatures.get("serving_default")
    if signature is None:
        raise UserError(
            f"{path} has no signature 'serving_default': save it with model.export('saved_model') "
            "(Keras 3) or model.save('saved_model') (Keras 2)"
        )
    inputs = signature.structured_input_signature[1]
    if len(inputs) != 1:
        raise UserError(f"{path} has {len(inputs)} inputs, 1 is needed: one picture")
    ((name, spec),) = inputs.items()

    def call(x: Any) -> Any:
        outputs = list(signature(**{name: x}).values())
        return outputs[0] if len(outputs) == 1 else outputs

    call.keep = loaded  # type: ignore[attr-defined]  # or its variables are gone
    return call, spec.shape.as_list(), spec.dtype


def _constants(graph: Any) -> int:
    return sum(
        int(operation.outputs[0].shape.num_elements() or 0)
        for operation in graph.get_operations()
        if operation.type == "Const" and operation.outputs[0].dtype.is_floating
    )


def _first_line(error: Exception) -> str:
    return (str(error).strip() or type(error).__name__).splitlines()[0].rstrip(".")
