"""The instrument that the settings describe, as commands use it."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from edge_af.config import Config
    from edge_af.instrument import Instrument
    from edge_af.model_file import ModelFile
    from edge_af.parts import Parts
    from edge_af.recording import Log


def configured(path: Path | None) -> "Config":
    """Return the settings, put right by the latest calibration; notes where there was none.

    Raises UserError.
    """
    from edge_af.config import DEFAULT_PATH, read_config
    from edge_af.corrected import corrected
    from edge_af.state_file import read_state

    config = read_config(path or DEFAULT_PATH)
    calibration = read_state(config.state_folder).calibration
    if calibration is None:
        print(
            "edge-af: note: not calibrated yet, so a command may travel "
            f"{config.guard.uncalibrated_budget_um:g} um only; run `edge-af calibrate`",
            file=sys.stderr,
        )
    return corrected(config, calibration)


@contextmanager
def connected(
    made: "Parts",
    model: "ModelFile | None",
    log: "Log | None" = None,
    head: Path | None = None,
) -> "Iterator[Instrument]":
    """Connect an instrument, and take a model into use; `log` is told all events of its runs.

    The model gets the adapted `head`, or the one beside it, if there is one.
    """
    from edge_af.head import adapted_head

    with made.instrument(log) as instrument:
        if model is not None:
            height_px, width_px, _ = made.camera.frame().pixels.shape
            adapted = adapted_head(model.path, head)
            instrument.use_model(model, (height_px, width_px), head=adapted)
        yield instrument
