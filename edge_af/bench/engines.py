"""The runtimes that can run a .tflite, each as the shortest loop around it that there is."""

import importlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from edge_af.errors import ModelError, UserError

Engine = Callable[[], object]
"""Runs the network once on an input of zeros, which stays in place."""


def engine(path: Path, runtime: str, threads: int) -> Engine:
    """Return a network ready to run. Raises UserError if the runtime is not there or refuses it."""
    if runtime not in RUNTIMES:
        raise UserError(f"--runtime {runtime}: no such runtime; there are {', '.join(RUNTIMES)}")
    module, make = RUNTIMES[runtime]
    try:
        library = importlib.import_module(module)
    except ImportError as error:
        raise UserError(f"--runtime {runtime}: it is not installed ({error})") from error
    try:
        return make(library, path, threads)
    except (ValueError, RuntimeError) as error:
        reason = (str(error).strip() or "no reason given").splitlines()[0]
        raise ModelError(f"{path}: {runtime} refuses the model ({reason})") from error


def fastest_installed() -> str:
    """Return the first runtime that is installed, which is the one that edge-af itself takes."""
    for name in ("litert", "tflite-runtime"):
        try:
            importlib.import_module(RUNTIMES[name][0])
        except ImportError:
            continue
        return name
    raise UserError("no runtime for .tflite models; install one: pip install ai-edge-litert")


def _tflite(library: Any, path: Path, threads: int) -> Engine:
    interpreter = library.Interpreter(model_path=str(path), num_threads=threads)
    interpreter.allocate_tensors()
    for tensor in interpreter.get_input_details():
        interpreter.set_tensor(tensor["index"], np.zeros(tensor["shape"], tensor["dtype"]))
    run: Engine = interpreter.invoke
    run()  # the first is slow, and some faults show only then
    return run


def _openvino(library: Any, path: Path, threads: int) -> Engine:
    core = library.Core()
    settings = {"INFERENCE_NUM_THREADS": threads, "PERFORMANCE_HINT": "LATENCY"}
    request = core.compile_model(str(path), "CPU", settings).create_infer_request()
    run: Engine = request.infer
    run()
    return run


def _onnx(library: Any, path: Path, threads: int) -> Engine:
    """Run the .onnx of the same name, for ONNX Runtime reads no .tflite."""
    converted = path.with_suffix(".onnx")
    if not converted.exists():
        raise UserError(f"--runtime onnxruntime needs {converted} beside the model")
    options = library.SessionOptions()
    options.intra_op_num_threads = threads
    session = library.InferenceSession(str(converted), options, providers=["CPUExecutionProvider"])
    kinds = {"tensor(int8)": np.int8, "tensor(uint8)": np.uint8, "tensor(float)": np.float32}
    inputs = {
        one.name: np.zeros(
            [size if isinstance(size, int) else 1 for size in one.shape], kinds[one.type]
        )
        for one in session.get_inputs()
    }

    def run() -> object:
        return session.run(None, inputs)

    run()
    return run


RUNTIMES: dict[str, tuple[str, Callable[[Any, Path, int], Engine]]] = {
    "litert": ("ai_edge_litert.interpreter", _tflite),
    "tflite-runtime": ("tflite_runtime.interpreter", _tflite),
    "openvino": ("openvino", _openvino),
    "onnxruntime": ("onnxruntime", _onnx),
}
