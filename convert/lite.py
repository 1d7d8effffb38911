"""Running and reading .tflite files that have no card yet."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from ai_edge_litert import schema_py_generated as schema
from ai_edge_litert.interpreter import Interpreter, OpResolverType
from numpy.typing import NDArray

from edge_af.cli.models import quiet_runtime
from edge_af.errors import UserError
from edge_af.interpreter import ANSWER

_THREADS = 2


class Lite:
    """A .tflite with one input, and one output or those of a converted network, through LiteRT."""

    def __init__(self, content: bytes, threads: int = _THREADS) -> None:
        """Load it. Raises UserError where the runtime refuses it or it has another form."""
        try:
            with quiet_runtime():
                self._interpreter = Interpreter(model_content=content, num_threads=threads)
                self._interpreter.allocate_tensors()
        except (ValueError, RuntimeError) as error:
            reason = (str(error).strip() or "no reason given").splitlines()[0]
            raise UserError(f"LiteRT refuses the .tflite: {reason}") from error
        inputs, outputs = (
            self._interpreter.get_input_details(),
            self._interpreter.get_output_details(),
        )
        if len(inputs) != 1:
            raise UserError(f"the .tflite has {len(inputs)} inputs, 1 is needed: one picture")
        self.input: dict[str, Any] = inputs[0]
        if len(outputs) > 1:
            outputs = [self._named_answer()]
        self.output: dict[str, Any] = outputs[0]

    def __call__(
        self, inputs: NDArray[np.floating], progress: Callable[[], None] = lambda: None
    ) -> NDArray[np.float32]:
        """Return real answers, float32 (n, k), for real inputs (n, ...)."""
        answers = []
        for each in inputs:
            self._interpreter.set_tensor(self.input["index"], quantised(each[None], self.input))
            self._interpreter.invoke()
            codes = self._interpreter.get_tensor(self.output["index"])[0]
            answers.append(real(codes, self.output))
            progress()
        return np.stack(answers)

    def seconds(self, runs: int) -> list[float]:
        """Return how long each of `runs` runs took, in s, after one that does not count."""
        self._interpreter.invoke()
        took = []
        for _ in range(runs):
            begun = time.perf_counter()
            self._interpreter.invoke()
            took.append(time.perf_counter() - begun)
        return took

    def _named_answer(self) -> dict[str, Any]:
        for name in self._interpreter.get_signature_list():
            outputs = self._interpreter.get_signature_runner(name).get_output_details()
            if ANSWER in outputs:
                return dict(outputs[ANSWER])
        raise UserError("the .tflite has several outputs, none of them named 'answer'")


def quantised(values: NDArray[np.floating], tensor: dict[str, Any]) -> NDArray[Any]:
    """Return real values as what a tensor holds."""
    scale, zero = tensor["quantization"]
    dtype = np.dtype(tensor["dtype"])
    if not scale:
        return values.astype(dtype)
    limits = np.iinfo(dtype)
    codes = np.clip(np.rint(values / scale + zero), limits.min, limits.max)
    return np.asarray(codes, dtype)


def real(codes: NDArray[Any], tensor: dict[str, Any]) -> NDArray[np.float32]:
    """Return the real values of what a tensor holds; one scale, or one for each channel."""
    parameters = tensor["quantization_parameters"]
    scales, zeros = parameters["scales"], parameters["zero_points"]
    if not len(scales):
        return codes.astype(np.float32)
    return np.asarray((codes.astype(np.float32) - zeros) * scales, np.float32)


def all_tensors(content: bytes, inputs: NDArray[np.floating]) -> list[dict[str, NDArray[Any]]]:
    """Return for each input the real value of every tensor that a run leaves, by name."""
    interpreter = Interpreter(
        model_content=content,
        experimental_preserve_all_tensors=True,
        # The delegate keeps what lies between its operations to itself.
        experimental_op_resolver_type=OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES,
    )
    interpreter.allocate_tensors()
    (source,) = interpreter.get_input_details()
    runs = []
    for each in inputs:
        interpreter.set_tensor(source["index"], quantised(each[None], source))
        interpreter.invoke()
        tensors = {}
        for tensor in interpreter.get_tensor_details():
            try:
                tensors[tensor["name"]] = real(interpreter.get_tensor(tensor["index"]), tensor)
            except ValueError:  # never written
                continue
        runs.append(tensors)
    return runs


@dataclass(frozen=True, slots=True)
class Operation:
    """One operation of a .tflite: its kind, its output's name, what it multiplies and adds."""

    kind: str
    inputs: tuple[str, ...]
    output: str
    macs: int
    in_float: bool


_KINDS = {value: name for name, value in vars(schema.BuiltinOperator).items() if name[:1].isupper()}
_FLOAT = (schema.TensorType.FLOAT32, schema.TensorType.FLOAT16)


def operations(content: bytes) -> list[Operation]:
    """Return the operations of a .tflite in the order in which they run.

    Multiply-accumulates are those of convolutions and dense layers, at batch 1.
    """
    model = schema.ModelT.InitFromPackedBuf(content)
    graph = model.subgraphs[0]
    found = []
    for operator in graph.operators:
        code = model.operatorCodes[operator.opcodeIndex]
        kind = _KINDS[max(code.builtinCode, code.deprecatedBuiltinCode)]
        if kind == "CUSTOM":
            kind = code.customCode.decode()
        inputs = [graph.tensors[index] for index in operator.inputs if index >= 0]
        (output, *_) = (graph.tensors[index] for index in operator.outputs)
        found.append(
            Operation(
                kind,
                tuple(tensor.name.decode() for tensor in inputs),
                output.name.decode(),
                _macs(kind, inputs, output),
                output.type in _FLOAT,
            )
        )
    return found


def macs(content: bytes) -> int:
    """Return the multiply-accumulates of one run."""
    return sum(operation.macs for operation in operations(content))


def _macs(kind: str, inputs: list[Any], output: Any) -> int:
    if kind not in ("CONV_2D", "DEPTHWISE_CONV_2D", "FULLY_CONNECTED"):
        return 0
    outputs = int(np.prod(output.shape))
    weights = inputs[1].shape
    # Conv2D's weights are out x h x w x in, depthwise ones 1 x h x w x out, dense ones out x in.
    return outputs * int(np.prod(weights[1:3] if kind == "DEPTHWISE_CONV_2D" else weights[1:]))
