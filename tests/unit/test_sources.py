import json
import zipfile

import h5py
import pytest

from convert.sources import Kind, identify
from edge_af.errors import UserError

SEQUENTIAL = {"class_name": "Sequential", "config": {"layers": []}}


def hdf5(path, **attributes):
    with h5py.File(path, "w") as file:
        file.attrs.update(attributes)
    return path


def archive(path, version, config=SEQUENTIAL):
    with zipfile.ZipFile(path, "w") as file:
        file.writestr("config.json", json.dumps(config))
        file.writestr("metadata.json", json.dumps({"keras_version": version}))
    return path


def with_lambda():
    layer = {"class_name": "Lambda", "config": {"name": "scale_it"}}
    inner = {"class_name": "Functional", "config": {"layers": [layer]}}
    return {"class_name": "Sequential", "config": {"layers": [inner]}}


def test_a_keras_file_of_tensorflow_2_12_is_hdf5_inside(tmp_path):
    config = json.dumps(SEQUENTIAL)
    path = hdf5(tmp_path / "m.keras", keras_version="2.12.0", model_config=config)
    source = identify(path)
    assert (source.kind, source.saved_by) == (Kind.KERAS_2, "Keras 2.12.0")


@pytest.mark.parametrize(("version", "kind"), [("2.15.0", Kind.KERAS_2), ("3.3.1", Kind.KERAS_3)])
def test_an_archive_says_which_keras_wrote_it(tmp_path, version, kind):
    assert identify(archive(tmp_path / "m.keras", version)).kind is kind
    config = json.dumps(SEQUENTIAL)
    path = hdf5(tmp_path / "m.h5", keras_version=version, model_config=config)
    assert identify(path).kind is kind


def test_a_saved_model_is_told_by_its_file(tmp_path):
    with pytest.raises(UserError, match="a folder must be a SavedModel"):
        identify(tmp_path)
    (tmp_path / "saved_model.pb").write_bytes(b"")
    assert identify(tmp_path).kind is Kind.SAVED_MODEL


def test_a_lambda_layer_is_named_however_deep_it_lies(tmp_path):
    config = json.dumps(with_lambda())
    for path in (
        hdf5(tmp_path / "m.h5", keras_version="2.12.0", model_config=config),
        archive(tmp_path / "m.keras", "3.3.1", with_lambda()),
    ):
        with pytest.raises(UserError, match=r"Lambda layer \('scale_it'\).*Rescaling"):
            identify(path)


def torch_archive(path):
    with zipfile.ZipFile(path, "w") as file:
        file.writestr("archive/data.pkl", b"")
    return path


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda folder: folder / "none.h5", "no such file"),
        (lambda folder: hdf5(folder / "w.h5", keras_version="2.12.0"), "weights and no archit"),
        (lambda folder: torch_archive(folder / "m.pt"), "PyTorch model.*torch.onnx.export"),
        (lambda folder: torch_archive(folder / "m.keras"), "PyTorch model"),
    ],
)
def test_what_cannot_be_converted_says_what_to_do(tmp_path, make, said):
    with pytest.raises(UserError, match=said):
        identify(make(tmp_path))


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("m.onnx", b"\x08\x07\x12\x07pytorch", "ONNX model.*onnx2tf -i m.onnx"),
        ("m.pth", b"\x80\x02\x8a\nl\xfc", "PyTorch"),
        ("m.h5", b"", "no model that can be converted"),
        ("m.h5", b"\x89HDF\r\n\x1a\n and no more", "damaged or cut short"),
        ("m.keras", b"PK\x03\x04 and no more", "damaged or cut short"),
        ("m.jpg", b"\xff\xd8\xff\xe0\x00\x10JFIF", "first bytes are ff d8 ff e0"),
    ],
)
def test_files_that_are_no_models(tmp_path, name, content, said):
    path = tmp_path / name
    path.write_bytes(content)
    with pytest.raises(UserError, match=said):
        identify(path)
