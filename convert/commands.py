"""What the commands of `edge-af-convert` do."""

import sys
import tempfile
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from convert.convert import Converted, convert
from convert.from_model import Listener, Wishes, from_model
from convert.from_run import from_run, is_run
from convert.meaning import Meaning, table
from convert.prepared import Prepared
from convert.report import html_of
from edge_af.card import ModelCard
from edge_af.cli.figures import print_figures, print_json, reader_console
from edge_af.cli.progress import progress
from edge_af.errors import UserError
from edge_af.files import write_atomically


@dataclass(frozen=True)
class Order:
    """A conversion as it was asked for.

    `wishes` are for a user's model, not for a run folder; `named` are the options among them that
    were given.
    """

    model: Path
    output: Path
    report: Path
    calibration: int | None
    max_drift_um: float
    wishes: Wishes | None
    named: tuple[str, ...]


def convert_command(order: Order, as_json: bool) -> int:
    """Convert, write the report, and the model if it passed; return the exit code."""
    for path in (order.output, order.report):
        if not path.parent.is_dir():  # found out now, not after minutes of work
            raise UserError(f"cannot write {path}: there is no folder {path.parent}")
    with tempfile.TemporaryDirectory() as folder, progress() as report:
        prepared = _prepared(order, Path(folder), Listener(report, _shows(as_json), _warn))
        done = convert(prepared, order.max_drift_um, report)
    write_atomically(order.report, html_of(prepared, done).encode())
    if done.passed:
        write_atomically(order.output, done.content)
    if as_json:
        print_json(_document(order, prepared, done))
    else:
        _print(order, done)
    return 0 if done.passed else 1


def _prepared(order: Order, folder: Path, listener: Listener) -> Prepared:
    if is_run(order.model):
        if order.named:
            raise UserError(
                f"{order.model} is a training run, which has its own card and pictures: leave out "
                + ", ".join(order.named)
            )
        return from_run(order.model, order.calibration, folder, listener.report)
    if order.wishes is None:
        raise UserError(
            f"to convert {order.model} some labelled pictures are needed: give --data FOLDER"
        )
    return from_model(order.model, order.wishes, folder, listener)


def _shows(as_json: bool) -> Any:
    def show(meaning: Meaning) -> None:
        print(
            "What the outputs mean (defocus = stage - focus):",
            table(meaning),
            sep="\n",
            file=sys.stderr if as_json else sys.stdout,
        )

    return show


def _warn(text: str) -> None:
    print(f"edge-af-convert: warning: {text}", file=sys.stderr)


def _print(order: Order, done: Converted) -> None:
    console = reader_console()
    print_figures(console, "Float against int8, on pictures held out", done.figures)
    if done.layers:
        worst = sorted(done.layers, key=lambda layer: -layer.added)[:5]
        print_figures(
            console,
            "Layers that add most error (relative)",
            {f"{layer.name} ({layer.kind})": layer.added for layer in worst},
        )
    console.print(f"Report: {order.report}")
    if done.passed:
        console.print(f"Model: {order.output}")
        return
    console.print(
        f"No model was written: the mean error rose by {done.figures['drift_um']:.3f} um, more "
        f"than {order.max_drift_um:g} um (--max-drift-um)"
    )


def _document(order: Order, prepared: Prepared, done: Converted) -> dict[str, Any]:
    return {
        **done.figures,
        "model": str(order.output) if done.passed else None,
        "report": str(order.report),
        "classes": _classes(done.card),
        "preprocess": done.card.training.get("preprocess"),
        "warnings": list(prepared.warnings),
        "attempts": [asdict(attempt) for attempt in prepared.attempts],
        "layers": [asdict(layer) for layer in done.layers],
        "card": done.card.model_dump(mode="json", exclude={"labels", "bins_um", "sha256"}),
    }


def _classes(card: ModelCard) -> list[dict[str, Any]]:
    return [
        {"index": index, "label": label, "low_um": low, "high_um": high}
        for index, (label, (low, high)) in enumerate(zip(card.labels, card.bins_um, strict=True))
    ]
