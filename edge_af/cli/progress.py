"""How far long work is, on standard error, with the time left."""

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

Report = Callable[[str, int, int], None]


@contextmanager
def progress() -> Iterator[Report]:
    """Yield what reports progress: what is done, how far, of how much.

    A terminal shows a bar; a log gets a line for each thing that is new.
    """
    if not sys.stderr.isatty():
        yield _say_what_is_new()
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TimeRemainingColumn

    columns = "{task.description}", BarColumn(), MofNCompleteColumn(), TimeRemainingColumn()
    with Progress(*columns, console=Console(stderr=True)) as bar:
        task = bar.add_task("")
        yield lambda what, done, total: bar.update(
            task, description=what, completed=done, total=total
        )


def _say_what_is_new() -> Report:
    said = ""
    began_s, began_at, began_of = time.monotonic(), 0, 0

    def report(what: str, done: int, total: int) -> None:
        nonlocal said, began_s, began_at, began_of
        if what == said:
            return
        if done < began_at or total != began_of:  # other work than before
            began_s, began_at, began_of = time.monotonic(), done, total
        said = what
        print(f"{what} ({done} of {total}{_left(done, total)})", file=sys.stderr)

    def _left(done: int, total: int) -> str:
        if done <= began_at:
            return ""
        left_s = (time.monotonic() - began_s) * (total - done) / (done - began_at)
        return f", {in_words(left_s)} left" if done < total else ""

    return report


def in_words(duration_s: float) -> str:
    """Return a duration as one says it: 40 s, 12 min, 3.5 h."""
    if duration_s < 90:
        return f"{duration_s:.0f} s"
    return f"{duration_s / 60:.0f} min" if duration_s < 5400 else f"{duration_s / 3600:.1f} h"
