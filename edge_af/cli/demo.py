"""`edge-af demo`."""

import sys
from collections.abc import Iterator
from dataclasses import asdict
from itertools import chain, islice, repeat
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from edge_af.cli.options import Json, Model, NoModel, UmPerPx, within

if TYPE_CHECKING:
    from edge_af.cli.replays import Replay
    from edge_af.demo import FieldResult
    from edge_af.model_file import ModelFile

_FIELDS = 20


def demo(
    once: Annotated[
        bool, typer.Option("--once", help=f"End after {_FIELDS} fields, or after --replay's last.")
    ] = False,
    fields: Annotated[
        int | None,
        typer.Option(callback=within(1, 1_000_000, "fields"), help="End after this many fields."),
    ] = None,
    seed: Annotated[
        int,
        typer.Option(callback=within(0, 2**32 - 1), help="Another seed gives other fields."),
    ] = 0,
    replay: Annotated[
        Path | None,
        typer.Option(
            metavar="FOLDER", help="Focus recorded stacks, from every recorded start in turn."
        ),
    ] = None,
    um_per_px: UmPerPx = None,
    model: Model = None,
    no_model: NoModel = False,
    as_json: Json = False,
) -> int:
    """Focus virtual microscopes, or recorded stacks, and tell how well it went.

    Each field starts somewhere within 12 um of focus. Goes on until Ctrl-C, which prints the
    summary, unless --once or --fields says otherwise. Exit code 1 means that a move touched a hard
    stop or was refused by the guard, 130 that --once or --fields was cut short.
    """
    from edge_af.cli.demo_view import DemoView
    from edge_af.cli.figures import print_json, reader_console
    from edge_af.cli.models import chosen_model
    from edge_af.cli.replays import read_replay
    from edge_af.demo import summary

    used = chosen_model(model, no_model)
    card = used.card if used else None
    stacks = None if replay is None else read_replay(replay, um_per_px, card)
    results = _results(used, seed, stacks, once)
    limit = _FIELDS if once and fields is None and stacks is None else fields
    console = reader_console(stderr=as_json, quiet=as_json and not sys.stderr.isatty())
    done: list[FieldResult] = []
    cut_short = False
    view = DemoView(console)
    try:
        with view:
            for result in islice(results, limit):
                done.append(result)
                view.add(result)
    except KeyboardInterrupt:
        cut_short = once or fields is not None
    figures = summary(done)
    view.summarise(figures)
    if as_json:
        lines = [asdict(result) | {"success": result.success} for result in done]
        print_json({"fields": lines, "summary": figures})
    if stacks and stacks.note:
        print(f"edge-af: {stacks.note}", file=sys.stderr)
    if cut_short:
        raise KeyboardInterrupt
    return int(any(result.crashed or result.limit_hit for result in done))


def _results(
    model: "ModelFile | None", seed: int, replay: "Replay | None", once: bool
) -> Iterator["FieldResult"]:
    from edge_af.demo import replay_fields, virtual_fields
    from edge_af.settings import FocusSettings

    settings = FocusSettings.checked()
    if replay is None:
        return virtual_fields(model, seed, None, settings)
    rounds = repeat(replay.stacks, 1) if once else repeat(replay.stacks)
    return chain.from_iterable(replay_fields(model, stacks, settings) for stacks in rounds)
