"""`edge-af-train fit`."""

import sys
from pathlib import Path
from typing import Annotated

import typer

from edge_af.cli.options import within
from edge_af.cli.progress import progress
from edge_af.errors import UserError
from train.cli.options import Seed

_ON_RESUME = ("folder", "resume")


def fit(
    context: typer.Context,
    folder: Annotated[Path, typer.Argument(metavar="RUN", help="Run folder to write.")],
    data: Annotated[
        Path | None, typer.Option(metavar="MANIFEST", help="Tiles to learn from.")
    ] = None,
    validation: Annotated[
        Path | None,
        typer.Option(
            metavar="MANIFEST",
            help="Tiles to watch; without it, those of --data with the split validation.",
        ),
    ] = None,
    architecture: Annotated[
        str,
        typer.Option(
            "--arch",
            help="spectral-mobilenet or mobilenetv2 (both in any width: mobilenetv2-0.35 has 0.35 "
            "of the channels), spectral-mobilenet-128, resnet50, vgg16 or vgg19. Those of pixels "
            "take tiles of any size.",
        ),
    ] = "spectral-mobilenet",
    recipe: Annotated[
        str | None,
        typer.Option(help="edge-af (the default), paper, or fine-tune (the default with --from)."),
    ] = None,
    base: Annotated[
        Path | None,
        typer.Option("--from", metavar="MODEL", help="Earlier run, or its .keras, to go on from."),
    ] = None,
    weights: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="Weights for the base without its top, such as those of ImageNet from "
            "keras.applications (.h5); nothing is downloaded.",
        ),
    ] = None,
    epochs: Annotated[
        int | None, typer.Option(min=1, max=10_000, help="In all, if not as in the recipe.")
    ] = None,
    batch: Annotated[
        int | None, typer.Option(min=1, max=65_536, help="Tiles a step; less takes less memory.")
    ] = None,
    learning_rate: Annotated[
        float | None,
        typer.Option(callback=within(1e-9, 10), help="Of the first stage, as it then stands."),
    ] = None,
    seed: Seed = 1,
    resume: Annotated[
        bool, typer.Option("--resume", help="Go on with RUN, with its own settings.")
    ] = False,
) -> None:
    """Train a network into a run folder, from which edge-af-convert makes a model.

    Every epoch is kept. Ctrl-C ends the training: the best network so far is RUN/model.keras, and
    --resume goes on after that, a kill or a full disk.
    """
    from train.fit import fit as fit_network
    from train.fit import resume as resume_network
    from train.fit_settings import FitSettings
    from train.run_folder import BEST
    from train.state import read_state

    if resume:
        _refuse_settings(context)
    elif data is None:
        raise UserError("there is nothing to learn from: give --data MANIFEST")
    try:
        with progress() as report:
            if data is None:
                state = resume_network(folder, report)
            else:
                name = recipe or ("edge-af" if base is None else "fine-tune")
                settings = FitSettings(
                    data=data,
                    validation=validation,
                    architecture=architecture,
                    recipe=name,
                    epochs=epochs,
                    batch=batch,
                    learning_rate=learning_rate,
                    weights=weights,
                    base=base,
                    seed=seed,
                )
                state = fit_network(settings, folder, report, _say)
    except KeyboardInterrupt:
        best = read_state(folder).best_epoch
        kept = f"the best so far, of epoch {best}, is {folder / BEST}; --resume goes on"
        _say(f"stopped; {kept}" if best else "stopped before an epoch was done")
        raise
    _say(f"done: {state.epoch} epochs, the best is epoch {state.best_epoch}")
    print(folder / BEST)


def _say(text: str) -> None:
    print(f"edge-af-train: {text}", file=sys.stderr)


def _refuse_settings(context: typer.Context) -> None:
    """Raise UserError if anything but the run is given beside --resume."""
    for parameter in context.command.params:
        name = parameter.name or ""
        source = context.get_parameter_source(name)
        if name not in _ON_RESUME and source is not None and source.name != "DEFAULT":
            raise UserError(
                f"--resume goes on with the run's own settings: leave out {parameter.opts[0]}"
            )
