"""`edge-af calibrate`."""

import sys
from typing import Annotated

import typer

from edge_af.cli.options import Json, Model, NoModel, within
from edge_af.errors import UserError


def calibrate(
    virtual: Annotated[
        bool, typer.Option("--virtual", help="Calibrate a random virtual microscope.")
    ] = False,
    seed: Annotated[
        int,
        typer.Option(callback=within(0, 2**32 - 1), help="Another seed gives another microscope."),
    ] = 0,
    fields: Annotated[
        int,
        typer.Option(
            callback=within(1, 20, "fields"), help="Places of the slide to measure on; the mean."
        ),
    ] = 3,
    model: Model = None,
    no_model: NoModel = False,
    as_json: Json = False,
) -> int:
    """Find out direction, um per step, backlash, settle time and focus offset of the stage.

    The slide should be a thin one with plenty of detail, such as a blood smear, focused by hand to
    within 10 um. Without a model only backlash and settle time can be measured. Exit code 1: it
    could not be measured.
    """
    if not virtual:
        raise UserError("there is no microscope to calibrate: try one with --virtual")
    from edge_af.cli.calibrate_view import as_document, show
    from edge_af.cli.figures import print_json, reader_console
    from edge_af.cli.models import chosen_model
    from edge_af.demo_calibrate import TOLD, VirtualBench, calibrate_virtual

    bench = VirtualBench(chosen_model(model, no_model), seed)
    console = reader_console(stderr=True, quiet=not sys.stderr.isatty())
    with console.status(f"measuring on {fields} fields"):
        calibrated = calibrate_virtual(bench, fields)
    if as_json:
        print_json(as_document(calibrated, bench.hidden))
    else:
        show(reader_console(), calibrated, TOLD, bench.hidden)
    return 0
