"""`edge-af bench faults`."""

import sys
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

import typer

from edge_af.cli.options import Json, Model, within

if TYPE_CHECKING:
    from edge_af.bench.faults.tally import Tally

_OPEN_LOOP = ("missed steps", "stage stuck")


def faults(
    injections: Annotated[
        int, typer.Option(callback=within(1, 100_000, "times"), help="How often each fault.")
    ] = 10,
    fault: Annotated[
        list[str] | None,
        typer.Option(
            "--fault",
            metavar="NAME",
            help="Inject this one alone; give it several times for several. All if not given.",
        ),
    ] = None,
    seed: Annotated[
        int, typer.Option(callback=within(0, 2**32 - 1), help="Another seed, other moments.")
    ] = 0,
    workers: Annotated[
        int,
        typer.Option(callback=within(1, 256, "processes"), help="Processes that share the work."),
    ] = 1,
    model: Model = None,
    as_json: Json = False,
) -> int:
    """Let camera, motor, line, model, disk and process fail, and count what must not happen.

    Each fault comes at a random moment of a focus, a move or tracking, on a virtual microscope
    whose hard stops lie just beyond the limits. Counted by the hidden truth: touches of a hard
    stop, positions trusted that were wrong, "in focus" more than 1 um off, and ends from which only
    a person leads on. Exit code 1 if any of that happened, unless the fault needs a person.
    """
    from rich.progress import Progress

    from edge_af.bench.faults.tally import tallies, trials
    from edge_af.cli.figures import print_json, reader_console
    from edge_af.cli.models import tried_model

    chosen = _known(fault)
    tried_model(model)
    progress_console = reader_console(stderr=True, quiet=not sys.stderr.isatty())
    with Progress(console=progress_console, transient=True) as progress:
        work = trials(chosen, injections, seed, model, workers)
        done = list(progress.track(work, injections * len(chosen), description="faults"))
    lines = tallies(done, chosen)
    if as_json:
        print_json(
            {
                "seed": seed,
                "faults": [asdict(line) | {"holds": line.holds} for line in lines],
                "trials": [asdict(one) for one in done],
            }
        )
    else:
        _print(lines)
    return int(not all(line.holds for line in lines))


def _known(names: list[str] | None) -> list[str]:
    from edge_af.bench.faults.tally import FAULTS
    from edge_af.errors import UserError

    for name in names or ():
        if name not in FAULTS:
            raise UserError(f"--fault {name!r}: no such fault; there are {', '.join(FAULTS)}")
    return list(dict.fromkeys(names or FAULTS))


def _print(lines: "list[Tally]") -> None:
    from rich.table import Table

    from edge_af.cli.figures import reader_console

    console = reader_console()
    console.width = max(console.width, 100)
    table = Table(box=None)
    table.add_column("fault")
    for head in ("injections", "crashes", "wrongly trusted", "wrong in focus", "not recovered"):
        table.add_column(head, justify="right")
    table.add_column("")
    for line in lines:
        counts = line.injections, line.crashes, line.wrongly_trusted, line.wrong_focus, line.stuck
        verdict = "needs a person" if line.needs_person else ""
        verdict = verdict if line.holds else "FAILS"
        table.add_row(line.fault, *map(str, counts), verdict)
    console.print(table)
    if any(line.fault in _OPEN_LOOP and line.wrongly_trusted for line in lines):
        console.print(
            "A motor without an encoder cannot tell that it missed steps: home it, or confirm "
            "where it stands, whenever that may have happened."
        )
