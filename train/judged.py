"""Anything that can be judged, as the device would use it: a .tflite, or a training run."""

from pathlib import Path

from edge_af.classifier import Classifier
from edge_af.cli.models import quiet_runtime
from edge_af.errors import UserError
from edge_af.model_file import read_model_file
from train.run_folder import BEST, read_draft, read_held_out


def open_model(path: Path, threads: int = 1) -> Classifier:
    """Return a .tflite, a run folder or a network of one, ready to look.

    Raises UserError or ModelError, in one line, for anything else.
    """
    if path.is_dir():
        path = path / BEST
    if path.suffix != ".keras":
        file = read_model_file(path)
        with quiet_runtime():
            return Classifier(file, threads)
    if not path.exists():
        raise UserError(f"{path} does not exist: give a .tflite, or a run of edge-af-train fit")
    # Only now: Keras takes seconds to load.
    from train.checkpoint import load_network
    from train.run_classifier import RunClassifier

    run = path.parent
    draft, held_out = read_draft(run), read_held_out(run).first_half()
    return RunClassifier(draft, load_network(path), held_out)
