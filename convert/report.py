"""The report of a conversion: one HTML file that needs nothing beside it."""

from collections.abc import Iterable, Sequence
from html import escape
from typing import Any

from convert import plots
from convert.convert import Converted
from convert.prepared import Prepared

_STYLE = """
body { font: 15px/1.5 system-ui, sans-serif; max-width: 60em; margin: 2em auto; padding: 0 1em }
table { border-collapse: collapse; margin: 1em 0 }
td, th { padding: .15em .8em; border-bottom: 1px solid #ddd; text-align: left }
.yes { color: #060 } .no { color: #a00 } svg { max-width: 100%; height: auto }
"""

_NAMES = {
    "agreement": "same class, float and int8",
    "max_shift_um": "largest shift of one picture, um",
    "max_probability_difference": "largest difference of a probability",
    "macs": "multiply-accumulates",
}


def html_of(prepared: Prepared, done: Converted) -> str:
    """Return the report of `done`, which was made of `prepared`."""
    figures, card = done.figures, done.card
    verdict, kind = ("passed", "yes") if done.passed else ("failed", "no")
    parts = [
        f"<h1>{escape(card.name)}</h1>",
        f'<p class="{kind}">{verdict.capitalize()}: the mean error went from '
        f"{figures['mae_float_um']:.3f} um to {figures['mae_int8_um']:.3f} um, by "
        f"{figures['drift_um']:+.4f} um; {figures['max_drift_um']:g} um is allowed.</p>",
        *(f'<p class="no">{escape(text)}</p>' for text in prepared.warnings),
        "<h2>Float against int8</h2>",
        _table(("figure", "value"), ((_NAMES.get(k, k), _shown(v)) for k, v in figures.items())),
        plots.error_by_class(done),
        plots.float_against_int8(done),
        plots.reliability(done),
    ]
    if done.layers:
        parts += [
            "<h2>Layer by layer</h2>",
            plots.errors_by_layer(done.layers),
            _table(
                ("layer", "kind", "relative error", "added by it"),
                (
                    (layer.name, layer.kind, f"{layer.error:.4f}", f"{layer.added:+.4f}")
                    for layer in sorted(done.layers, key=lambda layer: -layer.added)
                ),
            ),
        ]
    if prepared.attempts:
        parts += [
            "<h2>Preprocessing and label order, tried on the data</h2>",
            _table(
                ("preprocessing", "labels", "top-1", "mean error, um", "cross-entropy, nats"),
                (
                    (t.preprocess, t.order, f"{t.top1:.3f}", f"{t.mae_um:.3f}", f"{t.nats:.3f}")
                    for t in prepared.attempts
                ),
            ),
        ]
    bins = zip(card.labels, card.bins_um, strict=True)
    parts += [
        "<h2>What the outputs mean</h2>",
        _table(
            ("output", "label", "from, um", "to, um"),
            (
                (str(index), label, f"{low:.4f}", f"{high:.4f}")
                for index, (label, (low, high)) in enumerate(bins)
            ),
        ),
        "<h2>Card</h2>",
        f"<pre>{escape(card.model_dump_json(indent=1, exclude={'labels', 'bins_um'}))}</pre>",
    ]
    return (
        '<!doctype html><html lang="en"><meta charset="utf-8">'
        f"<title>{escape(card.name)}: float to int8</title><style>{_STYLE}</style>"
        f"<body>{''.join(parts)}</body></html>"
    )


def _table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    def row(cells: Sequence[str], tag: str) -> str:
        return "<tr>" + "".join(f"<{tag}>{escape(cell)}</{tag}>" for cell in cells) + "</tr>"

    return f"<table>{row(header, 'th')}{''.join(row(each, 'td') for each in rows)}</table>"


def _shown(value: Any) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)
