"""Named figures, printed for a reader."""

import json
from collections.abc import Mapping
from typing import Any

from rich.console import Console
from rich.text import Text


def reader_console(*, stderr: bool = False, quiet: bool = False) -> Console:
    """Return a console that prints text as it is, without looking for markup in it."""
    return Console(stderr=stderr, quiet=quiet, highlight=False, markup=False, emoji=False)


def print_figures(console: Console, title: str, figures: Mapping[str, object]) -> None:
    """Print a title and a line for each figure; in their names `_` stands for a space."""
    console.print(Text(title, style="bold"))
    width = max((len(name) for name in figures), default=0)
    for name, value in figures.items():
        shown = f"{value:.4g}" if isinstance(value, float) else str(value)
        line = f"  {name.replace('_', ' '):{width}}  {shown}"
        console.print(Text(line), soft_wrap=True)


def print_json(document: Mapping[str, Any]) -> None:
    """Print the one JSON document of a command on standard output."""
    print(json.dumps(document, indent=2, allow_nan=False))
