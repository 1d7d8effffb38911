"""What quantisation shifts in the mean, put back: bias correction, layer by layer.

Rounded weights and clipped ranges move the mean output of a channel, and what one layer moves the
next ones add to. Each channel's mean over the calibration pictures is brought back to the float
network's by its int32 bias, in the order in which layers run (Nagel et al. 2019, Data-Free
Quantization through Weight Equalization and Bias Correction, section 4.2, with pictures in place of
batch-norm statistics). Nothing else of the file changes.
"""

from collections import Counter
from collections.abc import Callable
from typing import Any

import numpy as np
from ai_edge_litert import schema_py_generated as schema
from numpy.typing import NDArray

from convert.lite import Lite, macs, operations
from convert.pack import packed
from edge_af.cli.models import quiet_runtime

_MOST_MACS = 2e11
"""What the runs for all layers of one sort may take: some twenty seconds of two cores."""

_FEWEST, _MOST = 4, 32
"""Pictures for layers that have many places in each; one with a single place gets all."""

_SURE = 2.0
"""Standard errors, over pictures, from which a shift of the mean is put back."""

_FLAT = "FULLY_CONNECTED"
_LAYERS = ("CONV_2D", "DEPTHWISE_CONV_2D", _FLAT)

Values = NDArray[np.float32]


class _Network:
    """A .tflite that can be run as far as any of its layers, and whose biases can be changed."""

    def __init__(self, content: bytes) -> None:
        self._model = schema.ModelT.InitFromPackedBuf(content)
        self._graph = self._model.subgraphs[0]
        self._operators, self._outputs = self._graph.operators, self._graph.outputs
        self._signatures = self._model.signatureDefs
        self.operations = operations(content)

    def packed(self) -> bytes:
        """Return the whole of it as a file."""
        return packed(self._model)

    def as_far_as(self, name: str) -> Lite | None:
        """Return what answers with the output of that name; None if nothing has it."""
        found = (n for n, operation in enumerate(self.operations) if operation.output == name)
        number = next(found, None)
        if number is None:
            return None
        self._graph.operators = self._operators[: number + 1]
        self._graph.outputs = self._operators[number].outputs
        self._model.signatureDefs = None
        content = packed(self._model)
        self._graph.operators, self._graph.outputs = self._operators, self._outputs
        self._model.signatureDefs = self._signatures
        with quiet_runtime():
            return Lite(content)

    def biases(self) -> dict[str, Any]:
        """Return for each layer with a bias of its own, by its output, the tensor."""
        found = {}
        for operation, operator in zip(self.operations, self._operators, strict=True):
            if operation.kind in _LAYERS and len(operator.inputs) > 2 and operator.inputs[2] >= 0:
                tensor = self._graph.tensors[operator.inputs[2]]
                constant = self._model.buffers[tensor.buffer].data is not None
                if constant and tensor.type == schema.TensorType.INT32:
                    found[operation.output] = tensor
        # Equal constants, such as no bias at all, may be one in the file.
        uses = Counter(tensor.buffer for tensor in found.values())
        return {name: tensor for name, tensor in found.items() if uses[tensor.buffer] == 1}

    def add(self, bias: Any, values: NDArray[np.float64]) -> None:
        """Add real values to a bias, to the nearest whole step."""
        buffer = self._model.buffers[bias.buffer]
        codes = np.frombuffer(bytes(bytearray(buffer.data)), "<i4")
        steps = np.rint(values / np.asarray(bias.quantization.scale)).astype("<i4")
        buffer.data = np.frombuffer((codes + steps).tobytes(), np.uint8)


def unbiased(
    float_content: bytes,
    int8_content: bytes,
    float_inputs: Values,
    int8_inputs: Values,
    report: Callable[[str, int, int], None],
) -> bytes:
    """Return an int8 .tflite whose layers have the means of their float twins.

    Inputs are the same pictures (n, ...), as each of the two takes them. Layers that the float
    network does not have under the same name stay as they are.
    """
    theirs, ours = _Network(float_content), _Network(int8_content)
    biases = ours.biases()
    flat = {one.output for one in ours.operations if one.kind == _FLAT}
    of_a_sort = Counter(name in flat for name in biases)
    macs_a_run = max(1, macs(int8_content))
    for number, (name, bias) in enumerate(biases.items()):
        report("putting means back", number, len(biases))
        afforded = max(int(_MOST_MACS / macs_a_run / of_a_sort[name in flat]), _FEWEST)
        count = afforded if name in flat else min(afforded, _MOST)
        meant, said = theirs.as_far_as(name), ours.as_far_as(name)
        if meant is None or said is None:
            continue
        chosen = np.linspace(0, len(int8_inputs) - 1, min(count, len(int8_inputs))).astype(int)
        pairs = zip(float_inputs[chosen], int8_inputs[chosen], strict=True)
        shifts = [_shift(meant(a[None])[0], said(b[None])[0], said.output) for a, b in pairs]
        ours.add(bias, _sure_mean(np.stack(shifts)))
    return ours.packed()


def _shift(meant: Values, said: Values, about: dict[str, Any]) -> NDArray[np.float64]:
    """Return by how much a channel is too low, summed, and over how many places, (2, channels).

    Places that either network has at an end of the range say nothing: a ReLU holds them there, or
    the range is too short for them.
    """
    step, zero = about["quantization"]
    limits = np.iinfo(about["dtype"])
    low, high = step * (limits.min - zero + 0.5), step * (limits.max - zero - 0.5)
    free = (meant > low) & (meant < high) & (said > low) & (said < high)
    over = tuple(range(meant.ndim - 1))
    return np.stack([((meant - said) * free).sum(axis=over), free.sum(axis=over)])


def _sure_mean(shifts: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the mean shift of each channel from sums and counts (n, 2, channels); 0 if unsure."""
    sums, counts = shifts[:, 0], shifts[:, 1]
    places = np.maximum(counts.sum(axis=0), 1)
    mean = sums.sum(axis=0) / places
    error = np.sqrt(((sums - mean * counts) ** 2).sum(axis=0)) / places
    return np.where(np.abs(mean) >= _SURE * error, mean, 0.0)
