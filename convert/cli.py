"""The command `edge-af-convert`."""

import json
from pathlib import Path
from typing import Annotated

import typer

from edge_af.cli.models import quiet_runtime
from edge_af.cli.run import run

app = typer.Typer(rich_markup_mode=None, pretty_exceptions_enable=False)


@app.command(
    epilog="Example: edge-af-convert runs/first -o my.tflite",
)
def convert(
    folder: Annotated[Path, typer.Argument(help="A run folder of edge-af-train fit.")],
    output: Annotated[Path, typer.Option("-o", "--output", help="The .tflite to write.")],
    calibration: Annotated[
        int, typer.Option(min=10, max=10_000, help="Tiles that fix the integer ranges.")
    ] = 1000,
    max_drift_um: Annotated[
        float,
        typer.Option(min=0, max=10, help="By how much the mean error may rise before it fails."),
    ] = 0.05,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> int:
    """Quantise a trained network to int8, prove what that cost, pack it with its card.

    Exits with 1, and writes nothing, if the mean error rises by more than --max-drift-um.
    """
    from rich.console import Console

    from convert.convert import convert as convert_run
    from convert.convert import save

    with Console(stderr=True).status("") as status, quiet_runtime():
        converted = convert_run(folder, calibration, max_drift_um, status.update)
    report = converted.report
    if report["passed"]:
        save(converted, output)
    if as_json:
        print(json.dumps(report))
    else:
        print("\n".join(f"{name:20} {value:10.4g}" for name, value in report.items()))
    return 0 if report["passed"] else 1


def main() -> int:
    """Run the command line."""
    return run(app, "edge-af-convert")
