"""Commands to the service: `edge-af status`, `move`, `stop` and `track`."""

from collections.abc import Iterator
from datetime import timedelta
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated

import typer

from edge_af.cli.options import Json, within
from edge_af.cli.remote import TokenFile, Where, microscope
from edge_af.errors import UserError

if TYPE_CHECKING:
    from edge_af.service.models import Event, Moved, Status

_FAR_UM = 100_000


class Switch(StrEnum):
    """A thing that is on or off."""

    ON = "on"
    OFF = "off"


def status(
    watch: Annotated[
        bool, typer.Option("--watch", help="Show it anew whenever it changes, until Ctrl-C.")
    ] = False,
    service: Where = None,
    token_file: TokenFile = None,
    as_json: Json = False,
) -> int:
    """Show how the microscope stands.

    Exit code 0: well. Exit code 1: it has a fault, or no service answers. With --json --watch every
    line is a document.
    """
    from edge_af.cli.figures import print_figures, print_json, reader_console

    with microscope(service, token_file) as scope:
        now = scope.status()
        if watch:
            return _watch(scope.events(), as_json)
    if as_json:
        print_json(now.model_dump(mode="json"))
    else:
        print_figures(reader_console(), "microscope", _figures(now))
    return _code(now)


def move(
    to: Annotated[
        float | None,
        typer.Argument(
            metavar="UM", callback=within(-_FAR_UM, _FAR_UM, "um"), help="Where to, in um."
        ),
    ] = None,
    by: Annotated[
        float | None,
        typer.Option(
            "--by", metavar="UM", callback=within(-_FAR_UM, _FAR_UM, "um"), help="How far, in um."
        ),
    ] = None,
    service: Where = None,
    token_file: TokenFile = None,
    as_json: Json = False,
) -> int:
    """Move the stage to a position, or by a distance.

    Exit code 1: it was stopped, or failed.
    """
    if (to is None) == (by is None):
        raise UserError("give either a position, or --by and a distance")
    with microscope(service, token_file) as scope:
        moved = scope.move_to(to) if to is not None else scope.move_by(by or 0.0)
    return _moved("move", moved, as_json)


def home(service: Where = None, token_file: TokenFile = None, as_json: Json = False) -> int:
    """Run the stage to its end stop; its position is trusted then.

    Exit code 1: it was stopped, or failed.
    """
    with microscope(service, token_file) as scope:
        moved = scope.home()
    return _moved("home", moved, as_json)


def confirm(service: Where = None, token_file: TokenFile = None, as_json: Json = False) -> int:
    """Have the counted position trusted again: you have seen that the stage stands there."""
    with microscope(service, token_file) as scope:
        now = scope.confirm()
    return _said({"trusted": now.trusted}, as_json)


def stop(service: Where = None, token_file: TokenFile = None, as_json: Json = False) -> int:
    """Stop the motor now, and whatever runs."""
    with microscope(service, token_file) as scope:
        scope.stop()
    return _said({"stopped": True}, as_json)


def track(
    switch: Annotated[Switch, typer.Argument(help="Whether to hold the focus.")],
    service: Where = None,
    token_file: TokenFile = None,
    as_json: Json = False,
) -> int:
    """Hold the focus against drift, or no more."""
    with microscope(service, token_file) as scope:
        now = scope.track(switch is Switch.ON)
    return _said({"tracking": now.tracking}, as_json)


def _moved(title: str, moved: "Moved", as_json: bool) -> int:
    from edge_af.cli.figures import print_figures, print_json, reader_console

    if as_json:
        print_json(moved.model_dump(mode="json"))
    else:
        print_figures(reader_console(), title, moved.model_dump())
    return 0


def _said(figures: dict[str, bool], as_json: bool) -> int:
    from edge_af.cli.figures import print_json

    if as_json:
        print_json(figures)
    else:
        print(*(f"{name}: {_yes(value)}" for name, value in figures.items()))
    return 0


def _code(now: "Status") -> int:
    return 1 if now.fault is not None else 0


def _watch(events: "Iterator[Event]", as_json: bool) -> int:
    """Show every status that comes; return when the service ends."""
    from rich.live import Live
    from rich.text import Text

    from edge_af.cli.figures import reader_console
    from edge_af.service.models import Status

    code = 0
    statuses = (event.data for event in events if isinstance(event.data, Status))
    if as_json:
        for now in statuses:
            print(now.model_dump_json(), flush=True)
            code = _code(now)
        return code
    with Live(console=reader_console(), auto_refresh=False) as live:
        for now in statuses:
            shown = _figures(now)
            width = max(map(len, shown))
            lines = (f"{name.replace('_', ' '):{width}}  {value}" for name, value in shown.items())
            live.update(Text("\n".join(lines)), refresh=True)
            code = _code(now)
    return code


def _figures(now: "Status") -> dict[str, object]:
    """Return what a reader wants to know; what there is nothing to say of is left out."""
    figures: dict[str, object] = {"state": now.state.value, "tracking": _yes(now.tracking)}
    if now.fault is not None:
        figures |= {"fault": now.fault.name, "cause": now.fault.cause, "cure": now.fault.cure}
    if now.position_um is not None:
        trust = "" if now.trusted else f"  (not trusted: {now.untrusted_reason})"
        figures["position"] = f"{now.position_um:.2f} um{trust}"
    if now.reachable_low_um is not None and now.reachable_high_um is not None:
        figures["reach"] = f"{now.reachable_low_um:g} um to {now.reachable_high_um:g} um"
    if now.job is not None:
        figures["job"] = f"{now.job.kind}, {now.job.state}"
    if now.last is not None:
        last = now.last
        figures["last_focus"] = (
            f"{last.outcome.value}, at {last.end_um:.2f} um by {last.method.value}"
        )
    figures |= {"model": now.model or "none", "calibrated": _yes(now.calibrated)}
    if now.temperature_c is not None:
        figures["processor"] = f"{now.temperature_c:.0f} C {' '.join(now.throttled)}".rstrip()
    figures |= {"up": str(timedelta(seconds=round(now.uptime_s))), "version": now.version}
    return figures


def _yes(value: bool) -> str:
    return "yes" if value else "no"
