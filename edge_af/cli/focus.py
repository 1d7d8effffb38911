"""`edge-af focus`."""

import sys
from contextlib import ExitStack
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from edge_af.cli.options import ConfigFile, Json, Model, NoModel, UmPerPx, within
from edge_af.cli.remote import TokenFile, Where, microscope_if_any
from edge_af.errors import UserError

if TYPE_CHECKING:
    from edge_af.demo import FieldResult
    from edge_af.instrument import FocusResult
    from edge_af.kept_sweep import KeptSweep
    from edge_af.recording import RecordingWriter
    from edge_af.service.models import FocusAnswer
    from edge_af.settings import FocusSettings


def focus(
    config: ConfigFile = None,
    replay: Annotated[
        Path | None,
        typer.Option(
            metavar="FOLDER", help="Take a recorded stack, or several fields, for the instrument."
        ),
    ] = None,
    start_um: Annotated[
        float | None,
        typer.Option(
            callback=within(-100_000, 100_000, "um"),
            help="Where a replay starts, in um as recorded; the nearest slice is taken.",
        ),
    ] = None,
    field: Annotated[
        str | None,
        typer.Option(
            metavar="NAME", help="Which field to replay; else the one recorded nearest the start."
        ),
    ] = None,
    um_per_px: UmPerPx = None,
    model: Model = None,
    no_model: NoModel = False,
    record: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE", help="Keep all that happens in a new file, for `edge-af replay`."
        ),
    ] = None,
    keep_sweep: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE", help="Keep the frames of a sweep, if there is one: a name.ome.tif."
        ),
    ] = None,
    service: Where = None,
    token_file: TokenFile = None,
    as_json: Json = False,
) -> int:
    """Focus once: by the service where one listens, else by itself.

    With --config, --replay, --model or --record it is always by itself. Exit code 0: in focus. Exit
    code 1: no focus was found, and the stage is back at the start.
    """
    from edge_af.cli.figures import print_figures, print_json, reader_console
    from edge_af.routines.ports import Outcome

    keep = _Keep(record, keep_sweep)
    result: FieldResult | FocusResult | FocusAnswer
    own = config or replay or model or no_model or record or keep_sweep
    if service is not None and own:
        raise UserError("a service has its own settings: give --service, or options for a focus")
    if (
        not own
        and start_um is None
        and (scope := microscope_if_any(service, token_file)) is not None
    ):
        with scope:
            result, title = scope.focus(), "focus"
    elif replay is None:
        if start_um is not None or field is not None or um_per_px is not None:
            raise UserError("--start-um, --field and --um-per-px are of a replay: give --replay")
        result, title = _on_instrument(config, model, no_model, keep), "focus"
    else:
        if start_um is None or config is not None:
            raise UserError("a replay needs --start-um, and no --config")
        result = _on_replay(replay, start_um, field, um_per_px, model, no_model, keep)
        title = f"{replay}"
    if as_json:
        print_json(_figures(result))
    else:
        shown = {name: value for name, value in _figures(result).items() if value != ""}
        print_figures(reader_console(), title, shown)
    keep.say_what_failed()
    return 0 if result.outcome == Outcome.FOCUSED else 1


def _figures(result: "FieldResult | FocusResult | FocusAnswer") -> dict[str, Any]:
    from pydantic import BaseModel

    return result.model_dump(mode="json") if isinstance(result, BaseModel) else asdict(result)


class _Keep:
    """What the user wants kept of the run."""

    def __init__(self, record: Path | None, sweep: Path | None) -> None:
        self._record_path, self._sweep_path = record, sweep
        self.log: RecordingWriter | None = None
        self.sweep: KeptSweep | None = None

    def open_in(self, files: ExitStack, settings: "FocusSettings") -> None:
        """Open what is wanted. Raises UserError."""
        from edge_af.kept_sweep import KeptSweep
        from edge_af.record import record_to

        if self._record_path:
            self.log = files.enter_context(record_to(self._record_path))
        if self._sweep_path:
            self.sweep = files.enter_context(KeptSweep(self._sweep_path, settings))

    def say_what_failed(self) -> None:
        """Tell of what was wanted and is not there; it did no harm to the focus."""
        for note in (self.sweep and self.sweep.note, self.log and self.log.fault):
            if note:
                print(f"edge-af: note: {note}", file=sys.stderr)


def _on_instrument(
    config_file: Path | None, model: Path | None, no_model: bool, keep: _Keep
) -> "FocusResult":
    from edge_af.cli.instruments import configured, connected
    from edge_af.cli.models import chosen_model
    from edge_af.hardware import parts
    from edge_af.record import run_focus

    config = configured(config_file)
    used = chosen_model(model or config.model, no_model)
    with ExitStack() as files:
        keep.open_in(files, config.focus)
        instrument = files.enter_context(connected(parts(config), used, keep.log, config.head))
        return run_focus(instrument, keep.log, keep.sweep)


def _on_replay(
    replay: Path,
    start_um: float,
    field: str | None,
    um_per_px: float | None,
    model: Path | None,
    no_model: bool,
    keep: _Keep,
) -> "FieldResult":
    from edge_af.cli.models import chosen_model
    from edge_af.cli.replays import pick_stack, read_replay
    from edge_af.demo import replay_field
    from edge_af.settings import FocusSettings

    used = chosen_model(model, no_model)
    recorded = read_replay(replay, um_per_px, used.card if used else None)
    stack = pick_stack(recorded.stacks, field, start_um)
    settings = FocusSettings.checked()
    with ExitStack() as files:
        keep.open_in(files, settings)
        result = replay_field(used, stack, start_um, settings, keep.log, keep.sweep)
    if field is None and len(recorded.stacks) > 1:
        print(
            f"edge-af: note: of {len(recorded.stacks)} fields took {stack.field!r}; --field takes "
            "another",
            file=sys.stderr,
        )
    if recorded.note:
        print(f"edge-af: {recorded.note}", file=sys.stderr)
    return result
