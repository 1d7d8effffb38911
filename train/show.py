"""What is in a data set, as pictures beside its manifest."""

from pathlib import Path

import numpy as np

from edge_af.files import write_atomically
from train import charts, standard
from train.manifest import read_rows
from train.reading import read_tiles

_SAMPLES = 32


def draw_data(manifest: Path) -> list[Path]:
    """Write how many tiles each class has, and what some look like; return the pictures' paths."""
    rows = read_rows(manifest)
    classes = [standard.SCALE.index_of(row.z_um) for row in rows]
    counts = np.bincount(classes, minlength=len(standard.LABELS)).tolist()
    chosen = np.random.default_rng(0).permutation(len(rows))[:_SAMPLES].tolist()
    chosen.sort(key=lambda index: rows[index].z_um)
    tiles = [read_tiles(manifest.parent, [rows[index]])[0] for index in chosen]
    titles = [f"{standard.LABELS[classes[index]]}\n{rows[index].z_um:+.2f} um" for index in chosen]
    drawn = {
        "classes": charts.class_histogram(standard.LABELS, counts),
        "samples": charts.sample_sheet(tiles, titles),
    }
    paths = []
    for name, figure in drawn.items():
        paths.append(manifest.with_name(f"{manifest.stem}-{name}.png"))
        write_atomically(paths[-1], charts.png(figure))
    return paths
