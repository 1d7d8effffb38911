"""`edge-af logs`."""

import os
import shutil
from pathlib import Path
from typing import Annotated

import typer

from edge_af.cli.options import Json, within
from edge_af.cli.remote import TokenFile, Where, microscope

_UNIT = "edge-af.service"
_SYSTEMD_RUNS = Path("/run/systemd/system")
"""Exists where systemd is process 1: sd_booted(3)."""


def logs(
    lines: Annotated[
        int, typer.Option("-n", "--lines", callback=within(1, 500, "lines"), help="How many.")
    ] = 100,
    service: Where = None,
    token_file: TokenFile = None,
    as_json: Json = False,
) -> int:
    """Show the latest lines of the service's log: the journal's, where systemd runs the service."""
    if service is None and not as_json and _is_in_journal():
        os.execvp("journalctl", ["journalctl", f"--unit={_UNIT}", f"--lines={lines}", "--no-pager"])
    from edge_af.cli.figures import print_json

    with microscope(service, token_file) as scope:
        found = scope.logs(lines)
    if as_json:
        print_json({"lines": [line.model_dump(mode="json") for line in found]})
    else:
        for line in found:
            print(f"{line.at.astimezone():%Y-%m-%d %H:%M:%S} {line.level}: {line.text}")
    return 0


def _is_in_journal() -> bool:
    if not _SYSTEMD_RUNS.is_dir() or shutil.which("journalctl") is None:
        return False
    return any((folder / _UNIT).exists() for folder in _UNIT_FOLDERS)


_UNIT_FOLDERS = tuple(map(Path, ("/etc/systemd/system", "/usr/lib/systemd/system")))
