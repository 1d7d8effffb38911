"""`edge-af-train evaluate` and `compare`."""

import json
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from edge_af.cli.options import Json
from edge_af.cli.progress import progress
from edge_af.errors import UserError
from train.cli.options import Seed, Tiles

if TYPE_CHECKING:
    from train.evaluate import Labelled
    from train.manifest import Row

Reference = Annotated[
    bool, typer.Option("--reference", help="The reference microscope (the default).")
]
Randomised = Annotated[
    bool, typer.Option("--randomised", help="Random microscopes near the reference.")
]
Flat = Annotated[
    bool,
    typer.Option(
        "--flat",
        help="Each specimen thinner than any is, all of it at one depth: the errors that this "
        "leaves are not those of its thickness.",
    ),
]
Data = Annotated[Path | None, typer.Option(metavar="MANIFEST", help="Tiles that a manifest lists.")]
Split = Annotated[
    str | None, typer.Option(metavar="NAME", help="Only the rows of --data with this split.")
]


@dataclass(frozen=True, slots=True)
class _Source:
    """Where the tiles come from that models are judged by."""

    data: Path | None
    rows: "list[Row]"
    optics: str
    tiles: int
    seed: int
    flat: bool

    @property
    def words(self) -> str:
        if self.data is not None:
            return f"{self.tiles:,} tiles of {self.data.name}"
        flat = ", specimens flat" if self.flat else ""
        return (
            f"{self.tiles:,} rendered test tiles, {self.optics} microscope, seed {self.seed}{flat}"
        )

    def tiles_of(self, tile_px: int) -> "Iterator[Labelled]":
        from train.evaluate import from_manifest, rendered

        if self.data is None:
            return rendered(self.optics, self.tiles, self.seed, tile_px, flat=self.flat)
        return from_manifest(self.data, self.rows, tile_px)

    def frames_of(self, tile_px: int, frames: int) -> "Iterator[list[Labelled]]":
        from train.evaluate import frames_from_manifest, rendered_frames

        if self.data is None:
            return rendered_frames(self.optics, frames, self.seed, tile_px, flat=self.flat)
        return frames_from_manifest(self.data, self.rows, tile_px)

    def frames_in(self, wanted: int) -> int:
        from train.evaluate import frames_in

        return wanted if self.data is None else frames_in(self.rows)


def evaluate(
    model: Annotated[
        Path, typer.Argument(help="A .tflite with its card, a run folder, or its .keras.")
    ],
    reference: Reference = False,
    randomised: Randomised = False,
    flat: Flat = False,
    data: Data = None,
    split: Split = None,
    tiles: Tiles = 2000,
    frames: Annotated[
        int,
        typer.Option(
            min=0,
            max=1_000_000,
            help="Judge so many whole frames too, their tiles fused as on the device; of --data "
            "all that the tiles make up.",
        ),
    ] = 0,
    report: Annotated[
        Path | None,
        typer.Option(metavar="FOLDER", help="Write charts, and a page with all of it, there."),
    ] = None,
    seed: Seed = 1000,
    as_json: Json = False,
) -> None:
    """Judge a model by the device's own code, on rendered test specimens or on a manifest.

    Errors are in um: of tiles those of the expected value, of frames those of the place that all
    tiles together give. Shares are fractions. Tiles known to hold nothing are left out. False
    direction counts beyond 1 um.
    """
    from train.evaluate import judge, judge_frames, require_pitch
    from train.judged import open_model
    from train.metrics import metrics
    from train.report import Judged, Samples, write_report
    from train.state import read_state

    source = _source(reference, randomised, data, split, tiles, seed, flat)
    classifier = open_model(model)
    card = classifier.card
    if source.rows:
        require_pitch(source.rows, card.um_per_px)
    samples = Samples(source.tiles)
    of_frames = None
    with progress() as show:
        verdicts = judge(
            classifier,
            samples.of(source.tiles_of(card.tile_px)),
            lambda done: show("judging tiles", done, source.tiles),
        )
        if frames:
            count = source.frames_in(frames)
            fused = judge_frames(
                classifier,
                source.frames_of(card.tile_px, frames),
                lambda done: show("judging frames", done, count),
            )
            of_frames = metrics(fused, classifier.scale)
    run = model if model.is_dir() else model.parent
    state = read_state(run)
    judged = Judged(
        card,
        classifier.scale,
        source.words,
        metrics(verdicts, classifier.scale),
        of_frames,
        verdicts,
        samples.kept,
        state.history,
        state.best_epoch,
    )
    page = write_report(judged, report) if report else None
    if as_json:
        whole: dict[str, Any] = {**judged.figures, "per_class": judged.classes()}
        if of_frames is not None:
            whole["frames"] = of_frames
        print(json.dumps(whole))
        return
    print(_table(judged.figures))
    if of_frames is not None:
        print("\nframes, their tiles fused\n" + _table(of_frames))
    if page:
        print(f"\n{page}")


def compare(
    models: Annotated[
        list[Path],
        typer.Argument(
            metavar="RUN...", help="Run folders, each with its converted .tflite, or .tflite files."
        ),
    ],
    reference: Reference = False,
    randomised: Randomised = False,
    data: Data = None,
    split: Split = None,
    tiles: Tiles = 500,
    seed: Seed = 1000,
    as_json: Json = False,
) -> None:
    """Put models side by side: accuracy, errors in um, size, multiply-accumulates and latency.

    Of a run the .tflite in its folder is judged (edge-af-convert RUN -o RUN/model.tflite), or the
    float network where there is none. The table is Markdown. Latency is that of one tile on one
    thread of this machine, from pixels to the answer.
    """
    from train.compare import compared, contender, markdown

    source = _source(reference, randomised, data, split, tiles, seed)
    contenders = [contender(path) for path in models]
    lines = []
    with progress() as show:
        for one in contenders:
            what = f"judging {one.path}"
            lines.append(
                compared(
                    one,
                    source.tiles_of,
                    lambda done, what=what: show(what, done, source.tiles),  # type: ignore[misc]
                )
            )
            if one.tflite is None:
                print(
                    f"edge-af-train: {one.path} is not converted: judged is its float network; "
                    f"edge-af-convert {one.path} -o {one.path}/model.tflite",
                    file=sys.stderr,
                )
    if as_json:
        print(json.dumps({"judged_on": source.words, "models": lines}))
    else:
        print(f"Judged on {source.words}.\n\n{markdown(lines)}")


def _source(
    reference: bool,
    randomised: bool,
    data: Path | None,
    split: str | None,
    tiles: int,
    seed: int,
    flat: bool = False,
) -> _Source:
    from train.manifest import read_rows

    if reference + randomised + (data is not None) > 1:
        raise UserError("--reference, --randomised and --data exclude each other: give one")
    if data is None and split is not None:
        raise UserError("--split is of a manifest: give --data with it")
    if data is not None and flat:
        raise UserError("--flat is of rendered specimens: give it without --data")
    rows = [] if data is None else read_rows(data, split)[:tiles]
    optics = "randomised" if randomised else "reference"
    return _Source(data, rows, optics, len(rows) or tiles, seed, flat)


def _table(figures: dict[str, float]) -> str:
    return "\n".join(f"{name:24} {value:10.4g}" for name, value in figures.items())
