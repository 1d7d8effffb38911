"""Work spread over processes, each with the model in memory."""

import multiprocessing
import os
import signal
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from pathlib import Path
from typing import TypeVar

from edge_af.cli.models import quiet_runtime
from edge_af.model_file import ModelFile
from edge_af.shipped import read_model

_Task = TypeVar("_Task")
_Result = TypeVar("_Result")

_model: ModelFile


def spread(
    work: Callable[[ModelFile, _Task], _Result],
    tasks: Sequence[_Task],
    model: Path | None,
    workers: int,
) -> Iterator[_Result]:
    """Yield what `work` makes of each task, as it is done, in any order.

    `work` is a function of a module, for it is sent to other processes. `model` is the one that
    ships if None.
    """
    # One thread a worker: libraries that take them all would be in each other's way.
    os.environ["OPENBLAS_NUM_THREADS"] = "1"
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(workers, context, _start_worker, (model,)) as pool:
        waiting = [pool.submit(_call, work, task) for task in tasks]
        try:
            for done in as_completed(waiting):
                yield done.result()
        finally:
            pool.shutdown(wait=False, cancel_futures=True)


def _start_worker(model: Path | None) -> None:
    global _model
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent ends us
    _model = read_model(model)


def _call(work: Callable[[ModelFile, _Task], _Result], task: _Task) -> _Result:
    with quiet_runtime():
        return work(_model, task)
