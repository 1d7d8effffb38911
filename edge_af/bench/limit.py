"""How much arithmetic a network is, and how much of it this machine can do in a second."""

import time
from pathlib import Path

import numpy as np

from edge_af.bench.engines import engine

CEILING_MODEL = Path(__file__).with_name("int8_ceiling.tflite")
"""One int8 convolution, 1 x 1, from 256 to 256 channels over 32 x 32 places: as much arithmetic for
as little memory as a network has."""

_CEILING_MACS = 32 * 32 * 256 * 256
_RUNS = 60
_LIST_OPS = "_get_ops_details"


def macs(path: Path) -> int | None:
    """Return the multiplications of one pass: convolutions and dense layers.

    None where the runtime does not list a network's operations: only LiteRT does, and by a name
    that it may change.
    """
    try:
        from ai_edge_litert.interpreter import Interpreter, OpResolverType
    except ImportError:
        return None
    interpreter = Interpreter(
        model_path=str(path),
        # Otherwise all that is delegated to XNNPACK is one operation.
        experimental_op_resolver_type=OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES,
    )
    interpreter.allocate_tensors()
    if not hasattr(interpreter, _LIST_OPS):
        return None
    shapes = {one["index"]: one["shape"] for one in interpreter.get_tensor_details()}
    total = 0
    for operation in getattr(interpreter, _LIST_OPS)():
        kind = operation["op_name"]
        if kind not in ("CONV_2D", "DEPTHWISE_CONV_2D", "FULLY_CONNECTED"):
            continue
        weights = shapes[operation["inputs"][1]]
        outputs = int(np.prod(shapes[operation["outputs"][0]]))
        # Weights are out, height, width, in; 1, height, width, out; out, in.
        reach = weights[1:3] if kind == "DEPTHWISE_CONV_2D" else weights[1:]
        total += outputs * int(np.prod(reach))
    return total


def ceiling_macs_per_s(runtime: str, threads: int) -> float:
    """Return how many int8 multiplications a second a runtime does on what suits it best."""
    run = engine(CEILING_MODEL, runtime, threads)
    times_s = []
    for _ in range(_RUNS):
        start_s = time.perf_counter()
        run()
        times_s.append(time.perf_counter() - start_s)
    return _CEILING_MACS / min(times_s)
