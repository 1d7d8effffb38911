"""What a calibration found, as a table and a plot, or as a document."""

import math
from dataclasses import asdict
from itertools import pairwise
from typing import TYPE_CHECKING

from rich.console import Console
from rich.table import Table
from rich.text import Text

from edge_af.calibrating import Axis, Calibrated
from edge_af.calibration import Calibration, Measured
from edge_af.routines.calibrate import Findings

if TYPE_CHECKING:
    from edge_af.demo_calibrate import Hidden

_NOT_BY_SHARPNESS = "as configured"
_PLOT_COLUMNS = 100
_PLOT_ROWS = 22


def as_document(calibrated: Calibrated, truth: "Hidden | None") -> dict[str, object]:
    """Return all of it, ready for JSON; `truth` is known of a virtual microscope alone."""
    document: dict[str, object] = {
        "calibration": calibrated.calibration.model_dump(mode="json"),
        "passes": calibrated.passes,
        "fields": [_field(axis, findings) for axis, findings in calibrated.fields],
    }
    return document if truth is None else document | {"truth": asdict(truth)}


def show(console: Console, calibrated: Calibrated, told: Axis, truth: "Hidden | None") -> None:
    """Print the table, what limits it, and a plot of the first field's readings.

    `told` is what the axis was configured as.
    """
    show_found(console, calibrated.calibration, told, truth)
    thick = sum(findings.thick for _, findings in calibrated.fields)
    if thick:
        note = (
            f"{thick} of {len(calibrated.fields)} fields hold a thick specimen, which makes um "
            "per step less certain: a thin one, such as a blood smear, is better."
        )
        console.print(Text(note), soft_wrap=True)
    console.print(Text.from_ansi(_plot(calibrated.fields[0][1], console.width)), soft_wrap=True)


def show_found(
    console: Console, found: Calibration, told: Axis | None, truth: "Hidden | None" = None
) -> None:
    """Print the table and what limits it; without `told` not what the axis was configured as."""
    console.print(_table(found, told, truth))
    for note in _notes(found):
        console.print(Text(note), soft_wrap=True)


def _table(found: Calibration, told: Axis | None, truth: "Hidden | None") -> Table:
    true: dict[str, float] = {} if truth is None else asdict(truth)
    if truth is not None and told is not None and found.step_um is None:
        true["backlash_um"] *= told.step_um / truth.step_um  # in um as configured, like the other
    before = ["configured"] if told else []
    table = Table("", *before, "measured", "±", *(["true"] if true else []))

    def row(name: str, unit: str, configured: str, key: str, value: Measured | None) -> None:
        cells = [f"{value.value:.4g}", f"{value.uncertainty:.2g}"] if value else ["-", ""]
        truly = [f"{true[key]:.4g}" if key in true else ""] if true else []
        table.add_row(f"{name}, {unit}", *([configured] if told else []), *cells, *truly)

    direction = _NOT_BY_SHARPNESS if found.reversed is None else _yes(found.reversed)
    truly = [_yes(truth.reversed)] if truth else []
    table.add_row("reversed", *([_yes(told.reversed)] if told else []), direction, "", *truly)
    row("step", "um", f"{told.step_um:.4g}" if told else "", "step_um", found.step_um)
    row("backlash", "um", "", "backlash_um", found.backlash_um)
    row("settle time", "s", "", "settle_s", found.settle_s)
    row("focus offset", "um", "", "focus_offset_um", found.focus_offset_um)
    return table


def _yes(value: bool) -> str:
    return "yes" if value else "no"


def _notes(found: Calibration) -> list[str]:
    notes = [
        "The settle time is when the picture stops changing; frames cannot tell it finer than "
        "their own distance in time."
    ]
    if found.step_um is None:
        notes.append(
            "By sharpness alone, direction and um per step cannot be measured: they stay as "
            "configured, and the backlash is in um as configured."
        )
    return notes


def _plot(findings: Findings, width: int) -> str:
    """Return the readings against counted position: the two flanks of the loop."""
    try:
        import plotext  # type: ignore[import-untyped]
    except ImportError:
        return "For a plot of the readings: pip install 'plotext>=6,<7'"
    by_model = findings.scale is not None
    figure = plotext.figure
    figure.clear()
    figure.theme("clear")
    figure.plot_size(min(width, _PLOT_COLUMNS), _PLOT_ROWS)
    figure.title("first field: u on the way up, d on the way down")
    figure.label("counted position, um", "x")
    figure.label("defocus by the model, um" if by_model else "sharpness", "y")
    places_um = [one.counted_um for one in findings.readings]
    values = [one.defocus_um if by_model else one.sharpness for one in findings.readings]
    rising = [after > before for before, after in pairwise(places_um)]
    for up, marker in ((True, "u"), (False, "d")):
        seen = [
            (x, y)
            for x, y, way in zip(places_um, values, [rising[0], *rising], strict=True)
            if way is up and math.isfinite(y)
        ]
        figure.draw(figure.signal([x for x, _ in seen], [y for _, y in seen], marker=marker))
    return str(figure.build())


def _field(axis: Axis, findings: Findings) -> dict[str, object]:
    def measured(value: Measured | None) -> dict[str, float] | None:
        return None if value is None else value.model_dump()

    step_um = findings.scale and findings.scale.scaled(axis.step_um)
    return {
        "step_um": measured(step_um),
        "backlash_um": measured(findings.backlash_um),
        "settle_s": measured(findings.settle_s),
        "focus_offset_um": measured(findings.focus_offset_um),
        "thick": findings.thick,
        "readings": [
            {
                "counted_um": one.counted_um,
                "time_s": one.time_s,
                "defocus_um": None if one.blind else one.defocus_um,
                "sharpness": one.sharpness,
            }
            for one in findings.readings
        ],
    }
