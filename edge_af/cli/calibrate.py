"""`edge-af calibrate`."""

import math
import sys
from contextlib import AbstractContextManager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from edge_af.cli.options import ConfigFile, Json, Model, NoModel, within
from edge_af.cli.remote import TokenFile, Where, microscope_if_any
from edge_af.errors import UserError

if TYPE_CHECKING:
    from edge_af.calibrating import Axis, Calibrated
    from edge_af.client import Microscope
    from edge_af.instrument import Instrument


def calibrate(
    config: ConfigFile = None,
    virtual: Annotated[
        bool, typer.Option("--virtual", help="Calibrate a random virtual microscope instead.")
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
    service: Where = None,
    token_file: TokenFile = None,
    as_json: Json = False,
) -> int:
    """Find out direction, um per step, backlash, settle time and focus offset of the stage.

    The slide should be a thin one with plenty of detail, such as a blood smear, focused by hand to
    within 10 um. Without a model only backlash and settle time can be measured. The service does it
    where one listens; with --config, --model or --no-model it is always done here. Exit code 1: it
    could not be measured.
    """
    from edge_af.cli.calibrate_view import as_document, show
    from edge_af.cli.figures import print_json, reader_console
    from edge_af.cli.models import chosen_model
    from edge_af.demo_calibrate import TOLD, VirtualBench, calibrate_virtual

    own = virtual or config or model or no_model
    if service is not None and own:
        raise UserError("a service has its own settings: give --service, or options of your own")
    if not own and (scope := microscope_if_any(service, token_file)) is not None:
        with scope:
            return _by_service(scope, fields, as_json)
    if virtual:
        bench = VirtualBench(chosen_model(model, no_model), seed)
        console = reader_console(stderr=True, quiet=not sys.stderr.isatty())
        with console.status(f"measuring on {fields} fields"):
            told, calibrated, hidden = TOLD, calibrate_virtual(bench, fields), bench.hidden
    else:
        told, calibrated = _on_instrument(config, model, no_model, fields)
        hidden = None
    if as_json:
        print_json(as_document(calibrated, hidden))
    else:
        show(reader_console(), calibrated, told, hidden)
    return 0


def _by_service(scope: "Microscope", fields: int, as_json: bool) -> int:
    from edge_af.calibration import Calibration
    from edge_af.cli.calibrate_view import show_found
    from edge_af.cli.figures import print_json, reader_console
    from edge_af.client_line import CommandError

    job = scope.calibrate(fields)
    try:
        while (job := scope.wait(job.id, math.inf)).state == "waiting":
            assert job.progress is not None  # it says what for
            _ask_for_next_field(job.progress.done)
            scope.proceed(job.id)
    except BaseException:  # whoever is asked for the next field may have had enough
        scope.cancel(job.id)
        raise
    if job.state != "done":
        raise CommandError(job)
    found = Calibration.model_validate(job.result)
    if as_json:
        print_json({"calibration": found.model_dump(mode="json")})
    else:
        show_found(reader_console(), found, None)
    return 0


def _on_instrument(
    config_file: Path | None, model: Path | None, no_model: bool, fields: int
) -> "tuple[Axis, Calibrated]":
    """Measure, and keep the result in the state file; return what the axis was told before."""
    from edge_af import corrected
    from edge_af.calibrating import Axis, calibrate
    from edge_af.cli.instruments import connected
    from edge_af.cli.models import chosen_model
    from edge_af.config import DEFAULT_PATH, read_config
    from edge_af.hardware import Workshop
    from edge_af.state_file import read_state, write_state

    config = read_config(config_file or DEFAULT_PATH)
    used = chosen_model(model or config.model, no_model)
    state = read_state(config.state_folder)
    config = corrected.for_calibrating(config, state.calibration)
    axis = config.stage or config.virtual
    assert axis is not None  # by Config's own check
    told, made = Axis(axis.step_um, axis.reversed), Workshop()

    def open_with(axis: Axis) -> "AbstractContextManager[Instrument]":
        retold = corrected.told(config, axis.step_um, axis.reversed)
        return connected(made.parts(retold), used, head=config.head)

    calibrated = calibrate(open_with, told, _ask_for_next_field, fields)
    write_state(
        config.state_folder, state.model_copy(update={"calibration": calibrated.calibration})
    )
    return told, calibrated


def _ask_for_next_field(number: int) -> None:
    typer.prompt(
        f"Move the slide to another place, number {number + 1}, and press Enter",
        default="",
        show_default=False,
        prompt_suffix=" ",
        err=True,
    )
