"""Progress of long work, on standard error."""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager


@contextmanager
def progress() -> Iterator[Callable[[str, int, int], None]]:
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


def _say_what_is_new() -> Callable[[str, int, int], None]:
    said = ""

    def report(what: str, done: int, total: int) -> None:
        nonlocal said
        if what != said:
            said = what
            print(f"{what} ({done} of {total})", file=sys.stderr)

    return report
