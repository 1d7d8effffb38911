"""The command `edge-af-train`."""

import os

import typer

from edge_af.cli.run import run
from train.cli.average import average
from train.cli.data import import_, render
from train.cli.fit import fit
from train.cli.judge import compare, evaluate

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

app = typer.Typer(
    help="Render and import data sets, train networks, judge and compare models.",
    no_args_is_help=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    epilog="Example: edge-af-train render data --split train --optics mixed --tiles 120000",
)
app.command(
    epilog="Example: edge-af-train render data --split validation --optics mixed --tiles 8000"
)(render)
app.command(
    name="import",
    epilog="Example: edge-af-train import data stacks/*.ome.tif --validation-share 0.2",
)(import_)
app.command(
    epilog="Example: edge-af-train fit runs/first "
    "--data data/train-mixed-1.csv --validation data/validation-mixed-1.csv"
)(fit)
app.command(epilog="Example: edge-af-train average runs/both runs/first runs/mine")(average)
app.command(
    epilog="Example: edge-af-train evaluate edge_af/models/spectral-mobilenet.tflite --randomised"
)(evaluate)
app.command(
    epilog="Example: edge-af-train compare runs/* --data data/validation-mixed-1.csv --json"
)(compare)


def main() -> int:
    """Run the command line."""
    return run(app, "edge-af-train")
