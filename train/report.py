"""What is to be said of a judged model: figures, charts, and one page that holds them all."""

import base64
import html
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edge_af.card import ModelCard
from edge_af.files import write_atomically
from edge_af.scale import DefocusScale
from train import charts
from train.evaluate import Labelled
from train.metrics import Verdicts, answers_of, per_class

_SAMPLES = 24

_STYLE = """
body{font:15px/1.5 system-ui,sans-serif;max-width:62rem;margin:2rem auto;padding:0 1rem;color:#222}
table{border-collapse:collapse;margin:.5rem 0 1.5rem}td,th{padding:.15rem .8rem;text-align:right;
border-bottom:1px solid #ddd}td:first-child,th:first-child{text-align:left}img{max-width:100%}
"""


@dataclass(frozen=True)
class Judged:
    """A model, what it was judged on in words, its figures, and all that charts are drawn from."""

    card: ModelCard
    scale: DefocusScale
    judged_on: str
    figures: dict[str, float]
    frames: dict[str, float] | None
    verdicts: Verdicts
    samples: Sequence[tuple[int, NDArray[np.uint8]]]
    history: Sequence[dict[str, float]]
    best_epoch: int

    def classes(self) -> list[dict[str, Any]]:
        """Return the figures of each class."""
        answers = answers_of(self.verdicts, self.scale)
        return per_class(answers, self.card.labels, self.scale)


class Samples:
    """Keeps a few of the tiles that pass, spread over all of them, with their numbers."""

    def __init__(self, total: int) -> None:
        self._every = max(1, total // _SAMPLES)
        self.kept: list[tuple[int, NDArray[np.uint8]]] = []

    def of(self, tiles: Iterator[Labelled]) -> Iterator[Labelled]:
        """Yield what comes."""
        for number, tile in enumerate(tiles):
            if number % self._every == 0 and len(self.kept) < _SAMPLES:
                self.kept.append((number, tile.pixels))
            yield tile


def write_report(judged: Judged, folder: Path) -> Path:
    """Write the charts as PNG and one self-contained page; return the page. Raises UserError."""
    folder.mkdir(parents=True, exist_ok=True)
    pictures = _pictures(judged)
    for name, (_, content) in pictures.items():
        write_atomically(folder / f"{name}.png", content)
    page = folder / "report.html"
    write_atomically(page, _page(judged, pictures).encode())
    return page


def _pictures(judged: Judged) -> dict[str, tuple[str, bytes]]:
    """Return each chart by the name of its file, with its title."""
    answers = answers_of(judged.verdicts, judged.scale)
    drawn = {}
    if judged.history:
        drawn["history"] = (
            "Accuracy and loss against epoch",
            charts.history_chart(judged.history, judged.best_epoch),
        )
    if len(answers.truth_um):
        ordered = [judged.card.labels[index] for index in np.argsort(judged.scale.centres_um)]
        drawn |= {
            "classes": ("Accuracy per class", charts.class_accuracy(judged.classes())),
            "error": ("Error against true defocus", charts.error_chart(answers)),
            "confusion": ("Confusion along z", charts.confusion_chart(answers, ordered)),
            "reliability": ("Reliability", charts.reliability_chart(answers)),
        }
    tiles = [tile for _, tile in judged.samples]
    drawn["samples"] = (
        "Samples: true class, said class, confidence",
        charts.sample_sheet(tiles, [_said(judged, number) for number, _ in judged.samples]),
    )
    return {name: (title, charts.png(figure)) for name, (title, figure) in drawn.items()}


def _said(judged: Judged, number: int) -> str:
    verdicts, labels = judged.verdicts, judged.card.labels
    truth = labels[judged.scale.index_of(float(verdicts.truth_um[number]))]
    if not verdicts.answered[number]:
        return f"{truth}\nno answer"
    answer = verdicts.probabilities[number]
    return f"{truth}\n{labels[int(answer.argmax())]}, {answer.max():.0%}"


def _page(judged: Judged, pictures: Mapping[str, tuple[str, bytes]]) -> str:
    name = html.escape(judged.card.name)
    parts = [
        f"<!doctype html><meta charset=utf-8><title>{name}</title><style>{_STYLE}</style>",
        f"<h1>{name}</h1><p>Judged on {html.escape(judged.judged_on)}.</p>",
        "<h2>Tiles</h2>",
        _table(("figure", "value"), _cells(judged.figures)),
    ]
    if judged.frames is not None:
        parts += [
            "<h2>Frames, their tiles fused</h2>",
            _table(("figure", "value"), _cells(judged.frames)),
        ]
    for title, content in pictures.values():
        inlined = base64.b64encode(content).decode()
        shown = html.escape(title)
        parts.append(f'<h2>{shown}</h2><img alt="{shown}" src="data:image/png;base64,{inlined}">')
    classes = judged.classes()
    rows = [[_shown(value) for value in row.values()] for row in classes]
    parts += ["<h2>Classes</h2>", _table(tuple(classes[0]), rows)]
    about = {key: value for key, value in judged.card.training.items() if value is not None}
    parts += ["<h2>Training</h2>", _table(("setting", "value"), _cells(about))]
    return "\n".join(parts) + "\n"


def _cells(figures: Mapping[str, Any]) -> list[list[str]]:
    return [[name.replace("_", " "), _shown(value)] for name, value in figures.items()]


def _shown(value: Any) -> str:
    if value is None:
        return ""
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    def line(cells: Sequence[str], tag: str) -> str:
        inside = "".join(f"<{tag}>{html.escape(cell)}</{tag}>" for cell in cells)
        return f"<tr>{inside}</tr>"

    return f"<table>{line(head, 'th')}{''.join(line(row, 'td') for row in rows)}</table>"
