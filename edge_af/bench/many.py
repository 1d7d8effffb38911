"""A contest on many fields, spread over the cores of this machine."""

import multiprocessing
import os
import signal
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from pathlib import Path

from edge_af.bench.contest import Run, compete
from edge_af.bench.fields import Field, draw_field
from edge_af.classifier import Classifier
from edge_af.cli.models import quiet_runtime
from edge_af.shipped import read_model

_EMPTY_SHARE = 10
"""For so many fields with something in them, one more that is empty."""

_worker: Classifier


def drawn_fields(seed: int, count: int) -> list[Field]:
    """Return `count` fields that hold something, and a tenth as many empty ones after them."""
    full = [draw_field(seed, number) for number in range(count)]
    empty = -(-count // _EMPTY_SHARE)
    return full + [draw_field(seed, count + number, empty=True) for number in range(empty)]


def contest(
    fields: Sequence[Field], methods: Sequence[str], model: Path | None, workers: int
) -> Iterator[list[Run]]:
    """Yield the runs of each field as they are done, in any order; the model ships if None.

    What comes out does not depend on `workers`.
    """
    # One thread a worker: libraries that take them all would be in each other's way.
    os.environ["OPENBLAS_NUM_THREADS"] = "1"
    with ProcessPoolExecutor(
        workers, multiprocessing.get_context("spawn"), _start_worker, (model,)
    ) as pool:
        waiting = [pool.submit(_on_field, field, methods) for field in fields]
        try:
            for done in as_completed(waiting):
                yield done.result()
        finally:
            pool.shutdown(wait=False, cancel_futures=True)


def _start_worker(model: Path | None) -> None:
    global _worker
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent ends us
    with quiet_runtime():
        _worker = Classifier(read_model(model))


def _on_field(field: Field, methods: Sequence[str]) -> list[Run]:
    return compete(field, methods, _worker)
