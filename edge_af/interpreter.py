"""The one door to the runtime that executes a model."""

import importlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edge_af.card import ModelCard, PixelInput
from edge_af.errors import EdgeAfError, ModelError, UserError
from edge_af.model_file import ModelFile

# By preference: tflite-runtime has had its last release, and is some 15 times slower on int8.
_RUNTIMES = {
    "ai-edge-litert": "ai_edge_litert.interpreter",
    "tflite-runtime": "tflite_runtime.interpreter",
}
_DTYPES = (np.int8, np.uint8, np.float32)

ANSWER, PENULTIMATE = "answer", "penultimate"
"""What a model with two outputs calls them in its signature: their order in the file is anyone's
guess."""


@dataclass(frozen=True, slots=True)
class _Sink:
    """An output tensor: its place, and real = (code - zero) * scale."""

    index: int
    length: int
    scale: np.float32
    zero: np.float32


class Network:
    """A model that is loaded and fits its card. Not safe to call from two threads at once.

    Raises ModelError where the runtime refuses the model, or its input or output is not what the
    card says; UserError for fewer than 1 thread; EdgeAfError where no runtime is installed.
    """

    def __init__(self, model_file: ModelFile, threads: int = 1) -> None:
        if threads < 1:
            raise UserError(f"threads must be at least 1, got {threads}")
        self._runtime, interpreter_class = _find_runtime()
        card = model_file.card
        self._path = model_file.path
        self._feature_shape = card.feature_shape
        with self._refusals_named(model_file.path):
            self._interpreter = interpreter_class(
                model_content=model_file.content, num_threads=threads
            )
            self._interpreter.allocate_tensors()
            source = _only(self._interpreter.get_input_details(), "input")
            _require_fit(source, self._feature_shape, "input")
            self._input_index: int = source["index"]
            self._codes = _input_codes(source, card)
            self._answer, self._penultimate = self._sinks(card)
            # Some faults show only in a run; and the first is slow.
            self(np.zeros((1, *self._feature_shape), dtype=np.uint8))

    @property
    def runtime(self) -> str:
        """Name of the package that runs the model: `ai-edge-litert` or `tflite-runtime`."""
        return self._runtime

    def __call__(self, features: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Return the network's answers, float32 (n, k), for `features`, uint8 (n, *feature_shape).

        What they are, logits or probabilities, is the card's to say. Raises ValueError for
        another shape or type.
        """
        return self._run(features, [self._answer])[0]

    def both(self, features: NDArray[np.uint8]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Return the answers, as a call does, and what feeds the last layer, float32 (n, m).

        Raises ModelError where the model has no such output.
        """
        if self._penultimate is None:
            raise ModelError(
                f"{self._path} has no second output for a head of its own to be fitted on: convert "
                "its training run again with edge-af-convert"
            )
        answers, penultimate = self._run(features, [self._answer, self._penultimate])
        return answers, penultimate

    def _run(self, features: NDArray[np.uint8], sinks: list[_Sink]) -> list[NDArray[np.float32]]:
        if features.dtype != np.uint8 or features.shape[1:] != self._feature_shape:
            raise ValueError(
                f"features must be uint8 of shape (n, *{self._feature_shape}), "
                f"got {features.dtype} of shape {features.shape}"
            )
        codes = [np.empty((len(features), sink.length), dtype=np.float32) for sink in sinks]
        # One tile at a time keeps the activations of a single tile in memory.
        for row, feature in enumerate(features):
            self._interpreter.set_tensor(self._input_index, self._codes.take(feature[np.newaxis]))
            self._interpreter.invoke()
            for sink, rows in zip(sinks, codes, strict=True):
                rows[row] = self._interpreter.get_tensor(sink.index)[0]
        return [(rows - sink.zero) * sink.scale for sink, rows in zip(sinks, codes, strict=True)]

    def _sinks(self, card: ModelCard) -> tuple[_Sink, _Sink | None]:
        """Return where the answer comes out, and, if the card has it, what feeds the last layer."""
        tensors = self._interpreter.get_output_details()
        answers = card.answers
        if card.penultimate is None:
            return _sink(_only(tensors, "output"), answers, "output"), None
        named = _by_signature(self._interpreter)
        if len(tensors) != 2 or set(named) != {ANSWER, PENULTIMATE}:
            raise ModelError(
                f"the network's outputs are {sorted(named)}, its card says {ANSWER!r} and "
                f"{PENULTIMATE!r}: convert it again"
            )
        return (
            _sink(named[ANSWER], answers, ANSWER),
            _sink(named[PENULTIMATE], card.penultimate, PENULTIMATE),
        )

    @contextmanager
    def _refusals_named(self, path: Path) -> Iterator[None]:
        try:
            yield
        except ModelError as error:
            raise ModelError(f"{path}: {error}") from error
        except (ValueError, RuntimeError) as error:
            reason = (str(error).strip() or "no reason given").splitlines()[0]
            raise ModelError(f"{path}: {self._runtime} refuses the model ({reason})") from error


def _find_runtime() -> tuple[str, Any]:
    """Return the package and the Interpreter class of the best runtime installed."""
    for package, module in _RUNTIMES.items():
        try:
            return package, importlib.import_module(module).Interpreter
        except ImportError:
            continue
    raise EdgeAfError("no runtime for .tflite models; install one: pip install ai-edge-litert")


def _only(tensors: list[dict[str, Any]], role: str) -> dict[str, Any]:
    if len(tensors) != 1:
        raise ModelError(f"the network has {len(tensors)} {role}s, 1 is needed")
    return tensors[0]


def _by_signature(interpreter: Any) -> dict[str, dict[str, Any]]:
    """Return the outputs by the names that the model's one signature gives them."""
    signatures = list(interpreter.get_signature_list())
    if len(signatures) != 1:
        return {}
    return dict(interpreter.get_signature_runner(signatures[0]).get_output_details())


def _require_fit(tensor: dict[str, Any], wanted: tuple[int, ...], role: str) -> None:
    if tensor["dtype"] not in _DTYPES:
        kind = np.dtype(tensor["dtype"]).name
        raise ModelError(f"the network's {role} is {kind}; int8, uint8 or float32 is needed")
    shape = tuple(tensor["shape"].tolist())
    if shape != (1, *wanted):
        raise ModelError(f"the network's {role} has shape {shape}, its card says {(1, *wanted)}")


def _sink(tensor: dict[str, Any], length: int, role: str) -> _Sink:
    _require_fit(tensor, (length,), role)
    return _Sink(tensor["index"], length, *_quantisation(tensor, role))


def _quantisation(tensor: dict[str, Any], role: str) -> tuple[np.float32, np.float32]:
    """Return scale and zero point: real = (code - zero point) * scale."""
    if tensor["dtype"] == np.float32:
        return np.float32(1), np.float32(0)
    scales = tensor["quantization_parameters"]["scales"]
    if len(scales) != 1 or not scales[0] > 0:
        raise ModelError(f"the network's {role} is an integer without one scale; convert it again")
    return np.float32(scales[0]), np.float32(tensor["quantization_parameters"]["zero_points"][0])


def _input_codes(tensor: dict[str, Any], card: ModelCard) -> NDArray[Any]:
    """Return what the input tensor holds for each of the 256 values of a feature."""
    reals = np.arange(256, dtype=np.float64)
    if isinstance(card.input, PixelInput):
        reals = reals * card.input.multiply + card.input.add
    scale, zero = _quantisation(tensor, "input")
    dtype = np.dtype(tensor["dtype"])
    codes = reals / scale + zero
    if dtype != np.float32:
        limits = np.iinfo(dtype)
        codes = np.clip(np.rint(codes), limits.min, limits.max)
    return codes.astype(dtype)
