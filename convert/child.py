"""Run a job of `convert.worker` in a process of its own."""

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable
from typing import Any

from edge_af.errors import EdgeAfError, UserError

_KILLED = -9  # what the kernel does to the largest process when memory runs out
_SIGNS_OF_NO_MEMORY = (
    "bad_alloc",
    "failed to map segment",
    "MemoryError",
    "Cannot allocate memory",
    "OOM when allocating",
)


def run_job(
    job: str, report: Callable[[str, int, int], None], *, legacy: bool = False, **arguments: Any
) -> Any:
    """Return what the job returns. `legacy` gives it the Keras of TensorFlow before 2.16.

    Raises the job's own UserError; EdgeAfError where it ran out of memory, or failed.
    """
    environment = os.environ | {"TF_CPP_MIN_LOG_LEVEL": "2", "KERAS_BACKEND": "tensorflow"}
    environment["TF_USE_LEGACY_KERAS"] = "1" if legacy else "0"
    command = [sys.executable, "-m", "convert.worker", job, json.dumps(arguments)]
    with (
        tempfile.TemporaryFile("w+", errors="replace") as said,
        subprocess.Popen(
            command, env=environment, stdout=subprocess.PIPE, stderr=said, text=True
        ) as process,
    ):
        assert process.stdout is not None
        try:
            for line in process.stdout:
                told = json.loads(line)
                if "say" in told:
                    report(*told["say"])
                elif "error" in told:
                    raise UserError(told["error"])
                else:
                    return told["done"]
        except BaseException:
            process.kill()
            raise
        process.wait()
        said.seek(0)
        raise _failure(job, process.returncode, said.read())


def _failure(job: str, code: int, said: str) -> EdgeAfError:
    if code == _KILLED or any(sign in said for sign in _SIGNS_OF_NO_MEMORY):
        return EdgeAfError(
            "out of memory: close other programs, take fewer pictures with --calibration, or "
            "convert on a larger machine. Nothing was written"
        )
    lines = [line for line in said.splitlines() if line.strip()]
    reason = lines[-1] if lines else "it said nothing"
    return EdgeAfError(f"{job.replace('_', ' ')} failed ({code}): {reason}")
