"""A training run of `edge-af-train fit`, made ready to be quantised."""

from pathlib import Path

from convert.child import run_job
from convert.convert import Report
from convert.prepared import Prepared
from convert.preprocess import IN_MODEL, PREPROCESSINGS
from convert.run_folder import read_run
from convert.tools import tool_versions

CALIBRATION = 1000


def is_run(path: Path) -> bool:
    """Tell whether a folder is a training run, or was to become one, and no SavedModel."""
    return path.is_dir() and not (path / "saved_model.pb").exists()


def from_run(run: Path, calibration: int | None, folder: Path, report: Report) -> Prepared:
    """Return what a run folder holds. `folder` is for files on the way.

    Raises UserError for a run that is unfinished or damaged.
    """
    source = read_run(run)
    network = run_job(
        "bring_in",
        report,
        path=str(source.model),
        kind="Keras 3",
        folder=str(folder),
        side_px=None,
    )
    fitting, judging = source.held_out.halves()
    count = min(calibration or CALIBRATION, len(fitting.features))
    card = source.card | {
        "training": source.card["training"] | {"calibration_tiles": count},
        "tool_versions": tool_versions(),
    }
    return Prepared(
        folder,
        card,
        network,
        PREPROCESSINGS[IN_MODEL],
        fitting,
        judging,
        count,
        embedding=network["penultimate"] is not None,
    )
