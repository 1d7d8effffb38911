"""`edge-af-train average`."""

from pathlib import Path
from typing import Annotated

import typer


def average(
    folder: Annotated[Path, typer.Argument(metavar="RUN", help="Run folder to make.")],
    runs: Annotated[
        list[Path],
        typer.Argument(metavar="OF...", help="Two or more runs that began --from the same one."),
    ],
) -> None:
    """Make a run whose weights are the means of those of several.

    Where each has learned from other instruments, their mean keeps much of what each knows. The
    held-out tiles, which limits and temperature are later set by, are those of the first.
    """
    from train.average import average as average_runs
    from train.run_folder import BEST

    average_runs(runs, folder)
    print(folder / BEST)
