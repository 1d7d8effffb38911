"""The command `edge-af`.

Nothing here imports numpy or the runtime before a command needs it: `--help` is quick on a Pi.
"""

from edge_af.cli.app import main

__all__ = ["main"]
