"""The commands put together."""

from collections.abc import Sequence
from typing import Annotated

import typer

from edge_af.cli.bench import latency
from edge_af.cli.demo import demo
from edge_af.cli.focus import focus
from edge_af.cli.model import show
from edge_af.cli.run import run


def _group(help: str | None, example: str) -> typer.Typer:
    return typer.Typer(
        help=help,
        epilog=f"Example: {example}",
        context_settings={"help_option_names": ["-h", "--help"]},
        rich_markup_mode=None,
        pretty_exceptions_enable=False,
    )


app = _group(None, "edge-af demo --once")
app.command(epilog="Example: edge-af demo --once --fields 20 --seed 7")(demo)
app.command(epilog="Example: edge-af focus --replay stacks/pads --start-um 16.8")(focus)

_model = _group("Look into model files.", "edge-af model show my.tflite")
_model.command(epilog="Example: edge-af model show my.tflite --json")(show)
app.add_typer(_model, name="model")

_bench = _group("Measure this machine.", "edge-af bench latency")
_bench.command(epilog="Example: edge-af bench latency --threads 4 --runs 200")(latency)
app.add_typer(_bench, name="bench")


def _print_version(wanted: bool) -> None:
    if wanted:
        from importlib.metadata import version

        print(f"edge-af {version('edge-af')}")
        raise typer.Exit


@app.callback()
def _edge_af(
    version: Annotated[
        bool,
        typer.Option("--version", callback=_print_version, is_eager=True, help="Show the version."),
    ] = False,
) -> None:
    """Focus a microscope from one frame."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line, `sys.argv` if no arguments are given, and return the exit code."""
    return run(app, "edge-af", arguments)
