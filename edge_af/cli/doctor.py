"""`edge-af doctor`."""

from collections import Counter
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

import typer

from edge_af.cli.options import Json, Model

if TYPE_CHECKING:
    from edge_af.doctor import Finding

_STYLES = {"ok": "green", "warn": "yellow", "fail": "bold red"}


def doctor(
    model: Model = None,
    probe: Annotated[
        bool,
        typer.Option(
            "--probe", help="Open the USB serial ports and ask who is there; resets most boards."
        ),
    ] = False,
    as_json: Json = False,
) -> int:
    """Check this machine, its camera, motor connections and model; say what to do about faults."""
    from edge_af.cli.figures import print_json
    from edge_af.doctor import Status, examine

    findings = []
    for finding in examine(model_file=model, probe=probe):
        findings.append(finding)
        if not as_json:
            _print(finding)
    count = Counter(finding.status for finding in findings)
    summary = {status.value: count[status] for status in Status}
    if as_json:
        print_json({"findings": [asdict(finding) for finding in findings], "summary": summary})
    else:
        print(", ".join(f"{number} {status}" for status, number in summary.items()))
    return 1 if count[Status.FAIL] else 0


def _print(finding: "Finding") -> None:
    from rich.text import Text

    from edge_af.cli.figures import reader_console

    console = reader_console()
    status = Text(f"{finding.status:5}", style=_STYLES[finding.status])
    console.print(status + Text(f"{finding.name:12} {finding.found}"), soft_wrap=True)
    if finding.cure is not None:
        console.print(Text(f"{'':5}{'':12} cure: {finding.cure}"), soft_wrap=True)
