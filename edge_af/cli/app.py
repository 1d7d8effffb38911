"""The commands put together."""

from collections.abc import Sequence
from typing import Annotated

import typer

from edge_af.cli.adapt import adapt
from edge_af.cli.bench_faults import faults as bench_faults
from edge_af.cli.bench_focus import focus as bench_focus
from edge_af.cli.bench_latency import latency
from edge_af.cli.bench_start import start as bench_start
from edge_af.cli.calibrate import calibrate
from edge_af.cli.collect import collect
from edge_af.cli.config import check, default
from edge_af.cli.config import show as show_config
from edge_af.cli.demo import demo
from edge_af.cli.doctor import doctor
from edge_af.cli.focus import focus
from edge_af.cli.history import history
from edge_af.cli.logs import logs
from edge_af.cli.model import show
from edge_af.cli.replay import replay
from edge_af.cli.run import run
from edge_af.cli.serve import run_service
from edge_af.cli.service import confirm, home, move, status, stop, track


def _group(help: str | None, example: str) -> typer.Typer:
    return typer.Typer(
        help=help,
        epilog=f"Example: {example}",
        context_settings={"help_option_names": ["-h", "--help"]},
        rich_markup_mode=None,
        pretty_exceptions_enable=False,
    )


app = _group(
    "Focus a microscope from one frame.\n\n"
    "After `edge-af --install-completion` the shell completes commands and options with Tab.",
    "edge-af demo --once",
)
app.command(epilog="Example: edge-af demo --once --fields 20 --seed 7")(demo)
app.command(epilog="Example: edge-af focus --replay stacks/pads --start-um 16.8")(focus)
app.command(epilog="Example: edge-af replay my-run.tar --model my.tflite")(replay)
app.command(epilog="Example: edge-af collect --virtual -o my.ome.tif --step-um 0.5")(collect)
app.command(epilog="Example: edge-af doctor --json")(doctor)
app.command(epilog="Example: edge-af adapt one.ome.tif two.ome.tif three.ome.tif")(adapt)

app.command(epilog="Example: edge-af calibrate --virtual --seed 7")(calibrate)
app.command(epilog="Example: edge-af history --since 7d --csv week.csv")(history)

app.command("run", epilog="Example: edge-af run --config my.toml")(run_service)
app.command(epilog="Example: edge-af status --watch")(status)
# A target below zero is no option.
_NUMBERS = {"ignore_unknown_options": True}
app.command(epilog="Example: edge-af move --by -2.5", context_settings=_NUMBERS)(move)
app.command(epilog="Example: edge-af home")(home)
app.command(epilog="Example: edge-af confirm")(confirm)
app.command(epilog="Example: edge-af stop")(stop)
app.command(epilog="Example: edge-af track on")(track)
app.command(epilog="Example: edge-af logs -n 20")(logs)

_config = _group("Look into the settings.", "edge-af config check")
_config.command(epilog="Example: edge-af config check --config my.toml")(check)
_config.command("show", epilog="Example: edge-af config show --json")(show_config)
_config.command(epilog="Example: edge-af config default > my.toml")(default)
app.add_typer(_config, name="config")

_model = _group("Look into model files.", "edge-af model show my.tflite")
_model.command(epilog="Example: edge-af model show my.tflite --json")(show)
app.add_typer(_model, name="model")

_bench = _group("Measure this machine.", "edge-af bench latency")
_bench.command(epilog="Example: edge-af bench latency --threads 4 --runs 200")(latency)
_bench.command("focus", epilog="Example: edge-af bench focus --fields 100 --workers 4 --plot")(
    bench_focus
)
_bench.command("faults", epilog="Example: edge-af bench faults --injections 100 --workers 4")(
    bench_faults
)
_bench.command("start", epilog="Example: edge-af bench start --runs 5")(bench_start)
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
    """Take the options that come before a command."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line, `sys.argv` if no arguments are given, and return the exit code."""
    return run(app, "edge-af", arguments)
