"""The model that ships with edge-af."""

from pathlib import Path

from edge_af.errors import ModelError
from edge_af.model_file import ModelFile, read_model_file

SHIPPED_MODEL = Path(__file__).with_name("models") / "spectral-mobilenet.tflite"


def read_model(path: Path | None) -> ModelFile:
    """Read a model, the one that ships if `path` is None.

    Raises ModelError as `read_model_file` does, and where the installation lacks its model.
    """
    if path is None and not SHIPPED_MODEL.exists():
        raise ModelError(
            f"the model that ships is missing from {SHIPPED_MODEL}: install edge-af again, "
            "or give another with --model FILE"
        )
    return read_model_file(path or SHIPPED_MODEL)
