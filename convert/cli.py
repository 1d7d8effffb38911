"""The command `edge-af-convert`."""

from pathlib import Path
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from convert.pictures import Fit
from edge_af.cli.options import Json, UmPerPx, within
from edge_af.cli.run import run

_CONVERT = "convert"


class _ConvertsByDefault(TyperGroup):
    """A group whose command `convert` need not be named."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Name the command where the arguments begin with none, nor with an option of the group."""
        own = {*self.commands, *ctx.help_option_names, *(o for p in self.params for o in p.opts)}
        if args and args[0] not in own:
            args = [_CONVERT, *args]
        parsed: list[str] = super().parse_args(ctx, args)
        return parsed


app = typer.Typer(
    cls=_ConvertsByDefault,
    help="Turn a trained classifier into an int8 .tflite with its card; prove what that cost.\n\n"
    "    edge-af-convert MODEL --data FOLDER -o OUT.tflite [options]\n\n"
    "`edge-af-convert convert --help` has all options, docs/convert.md the whole story.",
    epilog="Example: edge-af-convert model.h5 --data pictures --labels folders --preprocess unit "
    "--um-per-px 0.35 -o my.tflite",
    no_args_is_help=True,
    context_settings={"help_option_names": ["-h", "--help"]},
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
)


def _known_preprocessing(value: str | None) -> str | None:
    from convert.preprocess import PREPROCESSINGS

    if value is not None and value not in PREPROCESSINGS:
        raise typer.BadParameter(f"{value!r} is none of {', '.join(PREPROCESSINGS)}")
    return value


_DATA = typer.Option(
    "--data",
    metavar="FOLDER",
    help="Labelled pictures that training did not see: a folder for each class, or files that "
    "name their defocus (x_defocus-450.png in nm, x_-4.25um.png).",
)
MaxDrift = Annotated[
    float,
    typer.Option(
        callback=within(0, 10, "um"), help="By how much the mean error, in um, may rise: else 1."
    ),
]
FitOption = Annotated[
    Fit, typer.Option("--fit", help="What to do with pictures of another size than the network's.")
]


@app.command(
    _CONVERT,
    epilog="Example: edge-af-convert model.h5 --data pictures --labels folders --preprocess unit "
    "--um-per-px 0.35 -o my.tflite",
)
def convert(
    model: Annotated[
        Path,
        typer.Argument(
            help="An .h5 or .keras, a SavedModel folder, a .tflite, or a run folder of "
            "edge-af-train fit, which needs none of the options on labels and pixels."
        ),
    ],
    output: Annotated[Path, typer.Option("-o", "--output", help="The .tflite to write.")],
    data: Annotated[Path | None, _DATA] = None,
    labels: Annotated[
        str | None,
        typer.Option(
            metavar="folders|FILE",
            help="What the outputs are called: the class folders of --data in the alphabetical "
            "order that Keras gives them, or a text or JSON file in the order of the outputs.",
        ),
    ] = None,
    scale: Annotated[
        str | None,
        typer.Option(
            metavar="paper41|uniform:LOW:HIGH|FILE",
            help="The classes in um: the paper's, even ones, or a JSON list of edges. Without "
            "--labels in ascending order.",
        ),
    ] = None,
    preprocess: Annotated[
        str | None,
        typer.Option(
            metavar="unit|signed|imagenet|torch|in-model",
            callback=_known_preprocessing,
            help="How pixels were scaled in training: to 0..1, to -1..1, BGR less the mean "
            "(ResNet50 and VGG of Keras), by ImageNet's mean and deviation, or by the network "
            "itself, which is found where it has a Rescaling layer.",
        ),
    ] = None,
    um_per_px: UmPerPx = None,
    magnification: Annotated[
        float | None, typer.Option(callback=within(0.1, 1000), help="Of the objective.")
    ] = None,
    na: Annotated[
        float | None, typer.Option("--na", callback=within(0.01, 1.7), help="Of the objective.")
    ] = None,
    calibration: Annotated[
        int | None,
        typer.Option(
            min=10, max=10_000, help="Pictures that fix the integer ranges [200; of a run 1000]."
        ),
    ] = None,
    fit: FitOption = Fit.REFUSE,
    embedding: Annotated[
        bool,
        typer.Option("--embedding", help="Give out what feeds the last layer, for edge-af adapt."),
    ] = False,
    logits: Annotated[
        bool, typer.Option("--logits", help="The network ends in logits, without a softmax.")
    ] = False,
    regression: Annotated[
        bool, typer.Option("--regression", help="The one output is the defocus in um.")
    ] = False,
    allow_float: Annotated[
        bool, typer.Option("--allow-float", help="Let operations without an int8 form be float.")
    ] = False,
    anyway: Annotated[
        bool, typer.Option("--anyway", help="Go on where the data speak against what was given.")
    ] = False,
    max_drift_um: MaxDrift = 0.05,
    report: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="The HTML report [beside the model, as .html]."),
    ] = None,
    as_json: Json = False,
) -> int:
    """Quantise a trained network to int8, prove what that cost, pack it with its card.

    Exits with 1, and writes the report but no model, if the mean error rises by more than
    --max-drift-um.
    """
    from convert.commands import Order, convert_command
    from convert.from_model import CALIBRATION, Wishes
    from edge_af.errors import UserError

    of_a_users_model = {
        "--data": data,
        "--labels": labels,
        "--scale": scale,
        "--preprocess": preprocess,
        "--um-per-px": um_per_px,
        "--magnification": magnification,
        "--na": na,
    }
    wishes = None
    if data is not None:
        wishes = Wishes(
            data=data,
            labels=labels,
            scale=scale,
            preprocess=preprocess,
            um_per_px=um_per_px,
            magnification=magnification,
            na=na,
            calibration=calibration or CALIBRATION,
            fit=fit,
            embedding=embedding,
            logits=logits,
            regression=regression,
            allow_float=allow_float,
            anyway=anyway,
        )
    if output.suffix != ".tflite":
        raise UserError(f"-o {output}: the model must be called .tflite")
    order = Order(
        model,
        output,
        report or output.with_suffix(".html"),
        calibration,
        max_drift_um,
        wishes,
        tuple(name for name, value in of_a_users_model.items() if value is not None),
    )
    return convert_command(order, as_json)


@app.command(epilog="Example: edge-af-convert inspect model.h5")
def inspect(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="A model of any kind.")],
    as_json: Json = False,
) -> None:
    """Show what a model is: its kind, shapes, scaling, head, size; of a .tflite also its card."""
    from convert.inspect import inspect_command

    inspect_command(file, as_json)


@app.command(epilog="Example: edge-af-convert verify my.tflite --data pictures")
def verify(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="A .tflite with its card.")],
    data: Annotated[Path, _DATA],
    fit: FitOption = Fit.REFUSE,
    max_drift_um: MaxDrift = 0.05,
    as_json: Json = False,
) -> int:
    """Judge a finished model on labelled pictures, against what its card claims.

    Exits with 1 if its mean error is larger than the card's by more than --max-drift-um.
    """
    from convert.verify import verify_command

    return verify_command(file, data, fit, max_drift_um, as_json)


def main() -> int:
    """Run the command line."""
    return run(app, "edge-af-convert")
