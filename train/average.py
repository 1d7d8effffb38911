"""The mean of several networks that went on from the same one.

Each may have learned from other tiles. Their mean keeps much of what each has learned ("model
soups": Wortsman et al. 2022), and costs no more to run than one.
"""

import shutil
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from edge_af.errors import UserError
from train import checkpoint
from train.files import unless_disk_fails
from train.run_folder import BEST, CARD, HELD_OUT, read_draft, read_held_out
from train.state import write_json

_ALIKE = ("name", "input", "tile_px", "um_per_px", "bins_um")


def average(runs: Sequence[Path], folder: Path) -> None:
    """Make a run in `folder` whose weights are the means of those of finished `runs`.

    Its card and its held-out tiles are those of the first. Raises UserError if `folder` exists, or
    if the runs are fewer than two, unfinished, or not of one network with one input.
    """
    if len(runs) < 2:
        raise UserError("one run has no average: give two or more")
    if folder.exists():
        raise UserError(f"{folder} is there already: give another folder")
    drafts = [read_draft(run) for run in runs]
    for run, draft in zip(runs, drafts, strict=True):
        for key in _ALIKE:
            if draft.get(key) != drafts[0].get(key):
                raise UserError(
                    f"{run} and {runs[0]} differ in {key}: only runs that went on --from the same "
                    "network can be averaged"
                )
    read_held_out(runs[0])
    networks = [checkpoint.load_network(run / BEST) for run in runs]
    weights = [network.get_weights() for network in networks]
    shapes = [[one.shape for one in of_network] for of_network in weights]
    for run, of_network in zip(runs, shapes, strict=True):
        if of_network != shapes[0]:
            raise UserError(f"the networks of {run} and {runs[0]} differ in their layers")
    networks[0].set_weights(
        [np.mean(same, axis=0, dtype=np.float64) for same in zip(*weights, strict=True)]
    )
    begun = drafts[0]["training"] | {"average_of": [run.resolve().name for run in runs]}
    folder.mkdir(parents=True)
    write_json(folder / CARD, drafts[0] | {"training": begun})
    with unless_disk_fails(folder / HELD_OUT) as part:
        shutil.copyfile(runs[0] / HELD_OUT, part)
    checkpoint.write_network(networks[0], folder / BEST)
