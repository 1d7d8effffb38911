"""What a user's model is, told from its bytes: names of files say little.

TensorFlow 2.12 writes HDF5 into `.keras` files; from 2.13 on they are ZIP archives, and which Keras
they belong to stands inside.
"""

import json
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any

from edge_af.errors import UserError
from edge_af.flatbuffer import IDENTIFIER

_HDF5 = b"\x89HDF\r\n\x1a\n"
_ZIP = b"PK\x03\x04"

_ONNX = (
    "an ONNX model, which cannot be converted here. Convert the Keras model that it came from; or "
    "run `onnx2tf -i {name} -o saved_model` (pip install onnx2tf; it wants the internet) and "
    "convert the folder saved_model"
)
_TORCH = (
    "a PyTorch model, which cannot be converted here. In PyTorch, where its class is defined, run "
    "`torch.onnx.export(model.eval(), torch.zeros(1, 3, SIDE, SIDE), 'model.onnx')`, then "
    "`onnx2tf -i model.onnx -o saved_model` (pip install onnx2tf; it wants the internet), and "
    "convert the folder saved_model"
)


class Kind(StrEnum):
    """The kinds of model that can be brought in."""

    KERAS_2 = "Keras 2"
    KERAS_3 = "Keras 3"
    SAVED_MODEL = "SavedModel"
    TFLITE = "TFLite"


@dataclass(frozen=True, slots=True)
class Source:
    """A user's model: where it is, its kind, and what wrote it as far as it says."""

    path: Path
    kind: Kind
    saved_by: str


def identify(path: Path) -> Source:
    """Return what the model at `path` is.

    Raises UserError if it is nothing that can be converted, or has a Lambda layer, whose Python
    code loads in no other version than its own.
    """
    if path.is_dir():
        if not (path / "saved_model.pb").is_file():
            raise UserError(
                f"{path} is not a model: a folder must be a SavedModel (with saved_model.pb) or a "
                "run folder of edge-af-train fit (with model.keras and card.json)"
            )
        return Source(path, Kind.SAVED_MODEL, "TensorFlow")
    try:
        with path.open("rb") as file:
            head = file.read(8)
    except FileNotFoundError as error:
        raise UserError(f"{path}: no such file") from error
    if head == _HDF5:
        return _hdf5(path)
    if head[4:8] == IDENTIFIER:
        return Source(path, Kind.TFLITE, "TFLite")
    if head[:4] == _ZIP:
        return _archive(path)
    if path.suffix.lower() == ".onnx":
        raise UserError(f"{path} is {_ONNX.format(name=path.name)}")
    if path.suffix.lower() in (".pt", ".pth", ".ckpt") or head[:2] == b"\x80\x02":
        raise UserError(f"{path} is {_TORCH}")
    raise UserError(
        f"{path} is no model that can be converted: its first bytes are {head[:8].hex(' ')}, those "
        "of neither HDF5 (.h5), a .keras archive, nor .tflite"
    )


def _hdf5(path: Path) -> Source:
    import h5py

    try:
        with h5py.File(path) as file:
            attributes = {key: _text(value) for key, value in file.attrs.items()}
    except OSError as error:
        raise UserError(f"{path} is damaged or cut short: {error}") from error
    if "model_config" not in attributes:
        raise UserError(
            f"{path} holds weights and no architecture: load it where the network is built, and "
            "save the whole with model.save('model.h5')"
        )
    return _keras(path, attributes["model_config"], attributes.get("keras_version", "2"))


def _archive(path: Path) -> Source:
    if not zipfile.is_zipfile(path):
        raise UserError(f"{path} is damaged or cut short: copy it again")
    with zipfile.ZipFile(path) as archive:
        names = archive.namelist()
        if "config.json" not in names:
            if any(name.endswith("data.pkl") for name in names):
                raise UserError(f"{path} is {_TORCH}")
            raise UserError(f"{path} is a ZIP archive and no Keras model: it has no config.json")
        try:
            config = archive.read("config.json").decode()
            about = json.loads(archive.read("metadata.json"))
        except (OSError, ValueError, KeyError, zipfile.BadZipFile) as error:
            raise UserError(f"{path} is damaged or cut short: {error}") from error
    return _keras(path, config, str(about.get("keras_version", "3")))


def _keras(path: Path, config: str, version: str) -> Source:
    lambdas = [name for name in _layers_of("Lambda", json.loads(config)) if name]
    if lambdas:
        raise UserError(
            f"{path} has a Lambda layer ({', '.join(map(repr, lambdas))}): its Python code cannot "
            "be loaded from the file. Put a layer in its place (Rescaling for a scaling) and save "
            "again; or, where the model was made, save it with tf.saved_model.save(model, "
            "'saved_model') and convert that folder"
        )
    kind = Kind.KERAS_3 if version.startswith("3") else Kind.KERAS_2
    return Source(path, kind, f"Keras {version}")


def _layers_of(class_name: str, config: Any) -> Iterator[str]:
    """Yield the names of the layers of a class, however deep in a model's configuration."""
    if isinstance(config, list):
        for part in config:
            yield from _layers_of(class_name, part)
    elif isinstance(config, dict):
        if config.get("class_name") == class_name:
            yield str(config.get("config", {}).get("name", class_name))
        for part in config.values():
            yield from _layers_of(class_name, part)


def _text(value: Any) -> str:
    return value.decode() if isinstance(value, bytes) else str(value)
