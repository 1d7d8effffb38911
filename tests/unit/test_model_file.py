import resource
import struct
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import pytest
from ai_edge_litert import schema_py_generated as schema
from ai_edge_litert.interpreter import Interpreter
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from convert.pack import pack
from edge_af.card import UNSEALED, ModelCard
from edge_af.errors import ModelError, UserError
from edge_af.files import write_atomically
from edge_af.interpreter import Network
from edge_af.model_file import read_model_file

FUZZ = settings(
    max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


def test_the_card_comes_back_with_the_seal(packed_model, tiny_card):
    model_file = read_model_file(packed_model)
    assert model_file.content == packed_model.read_bytes()
    assert model_file.card.sha256 != UNSEALED
    assert model_file.card.model_copy(update={"sha256": UNSEALED}) == tiny_card


def test_packing_leaves_the_network_as_it_was(tiny_tflite, tiny_card):
    packed = pack(tiny_tflite, tiny_card)
    rng = np.random.default_rng(3)
    codes = rng.integers(-128, 128, (1, 32, 32, 3), dtype=np.int8)
    assert run(packed, codes).tolist() == run(tiny_tflite, codes).tolist()


def test_a_second_card_replaces_the_first(tmp_path, tiny_tflite, tiny_card):
    first = pack(tiny_tflite, tiny_card.model_copy(update={"name": "first"}))
    second = pack(first, tiny_card)
    path = tmp_path / "model.tflite"
    path.write_bytes(second)
    assert read_model_file(path).card.name == "tiny"
    assert b'"first"' not in second
    assert second == pack(second, read_model_file(path).card)


def test_weights_stay_aligned_for_the_runtime(packed_model):
    content = packed_model.read_bytes()
    model = schema.Model.GetRootAs(content)
    start = np.frombuffer(content, np.uint8).__array_interface__["data"][0]
    weights = [model.Buffers(i).DataAsNumpy() for i in range(model.BuffersLength())]
    offsets = [w.__array_interface__["data"][0] - start for w in weights if not np.isscalar(w)]
    assert len(offsets) > 5
    assert [offset % 16 for offset in offsets] == [0] * len(offsets)


def test_digits_elsewhere_in_the_card_do_not_mislead_the_seal(tmp_path, tiny_tflite, tiny_card):
    card = tiny_card.model_copy(update={"training": {"base": UNSEALED}})
    path = tmp_path / "model.tflite"
    path.write_bytes(pack(tiny_tflite, card))
    assert read_model_file(path).card.training == {"base": UNSEALED}


def test_a_missing_file_a_folder_and_an_empty_file_are_told_apart(tmp_path):
    empty = tmp_path / "empty.tflite"
    empty.touch()
    assert refusal(tmp_path / "absent.tflite") == "no such file"
    assert refusal(tmp_path).startswith("a folder")
    assert refusal(empty) == "the file is empty"
    assert "Not a directory" in refusal(empty / "inside.tflite")


def test_a_png_is_not_a_model(tmp_path):
    path = tmp_path / "picture.tflite"
    Image.new("RGB", (32, 32)).save(path, format="PNG")
    assert refusal(path).startswith("not a .tflite model")


def test_a_device_is_not_read_for_ever(tmp_path):
    (tmp_path / "zero.tflite").symlink_to("/dev/zero")
    assert refusal(tmp_path / "zero.tflite").startswith("not a regular file")


def test_a_model_without_card_says_how_to_get_one(tmp_path, tiny_tflite):
    path = tmp_path / "bare.tflite"
    path.write_bytes(tiny_tflite)
    assert "edge-af-convert" in refusal(path)


def test_damaged_contents_are_told_from_a_damaged_card(packed_model):
    content = packed_model.read_bytes()
    in_card = content.index(b'"um_per_px"')
    packed_model.write_bytes(content[:in_card] + b"{" + content[in_card + 1 :])
    assert "model card" in refusal(packed_model)
    in_digits = content.index(read_digits(content)) + 5
    swapped = b"0" if content[in_digits : in_digits + 1] != b"0" else b"1"
    packed_model.write_bytes(content[:in_digits] + swapped + content[in_digits + 1 :])
    assert "do not match" in refusal(packed_model)


def test_every_single_flipped_bit_is_refused(tmp_path, packed_model):
    content = packed_model.read_bytes()
    path = tmp_path / "damaged.tflite"
    rng = np.random.default_rng(11)
    for bit in rng.choice(8 * len(content), size=300, replace=False).tolist():
        path.write_bytes(flipped(content, bit))
        refusal(path)


def test_fifty_corruptions_are_refused(tmp_path, packed_model, tiny_tflite, tiny_card):
    whole = packed_model.read_bytes()
    path = tmp_path / "corrupt.tflite"
    corrupt = list(corruptions(whole, tiny_tflite, tiny_card))
    assert len(corrupt) == 50
    for content in corrupt:
        path.write_bytes(content)
        with pytest.raises(ModelError) as caught:
            Network(read_model_file(path))
        assert str(caught.value).startswith(f"{path}: ")
        assert "\n" not in str(caught.value)


def corruptions(whole: bytes, tflite: bytes, card: ModelCard) -> Iterator[bytes]:
    rng = np.random.default_rng(50)
    yield b""
    yield b"\x89PNG\r\n\x1a\n" + bytes(100)
    yield whole + b"\n"
    for count in (40, 2):
        fields = {"labels": card.labels[:count], "bins_um": card.bins_um[:count]}
        yield pack(tflite, ModelCard.model_validate(card.model_dump() | fields))
    for size in rng.integers(1, len(whole), size=15).tolist():
        yield whole[:size]
    for bit in rng.integers(0, 8 * len(whole), size=15).tolist():
        yield flipped(whole, bit)
    root = struct.unpack_from("<I", whole)[0]
    for at in (0, root, root - struct.unpack_from("<i", whole, root)[0]):  # root, table, vtable
        for offset in (0, 1, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF):
            yield whole[:at] + struct.pack("<I", offset) + whole[at + 4 :]


@FUZZ
@given(tail=st.binary(max_size=200))
def test_any_bytes_after_a_good_beginning_are_refused(tmp_path, tail):
    path = tmp_path / "random.tflite"
    path.write_bytes(b"\x08\x00\x00\x00TFL3" + tail)
    refusal(path)


@FUZZ
@given(data=st.data())
def test_any_four_bytes_may_be_overwritten(tmp_path, packed_model, data):
    content = packed_model.read_bytes()
    at = data.draw(st.integers(0, len(content) - 4))
    value = data.draw(st.binary(min_size=4, max_size=4).filter(lambda v: v != content[at : at + 4]))
    path = tmp_path / "overwritten.tflite"
    path.write_bytes(content[:at] + value + content[at + 4 :])
    refusal(path)


@FUZZ
@given(cut=st.integers(0, 2000))
def test_half_a_model_cannot_be_packed(tiny_tflite, tiny_card, cut):
    assert len(tiny_tflite) > 2 * 2000
    with pytest.raises(ModelError, match=r"not a \.tflite|empty|damaged"):
        pack(tiny_tflite[:cut], tiny_card)


def test_writing_makes_a_file_others_can_read(tmp_path):
    path = tmp_path / "model.tflite"
    reference = tmp_path / "plain"
    reference.touch()
    write_atomically(path, b"new")
    assert path.read_bytes() == b"new"
    assert path.stat().st_mode == reference.stat().st_mode


def test_a_full_disk_leaves_the_old_file(tmp_path):
    path = tmp_path / "model.tflite"
    path.write_bytes(b"old")
    with file_size_limit(1000), pytest.raises(UserError, match=r"cannot write .*File too large"):
        write_atomically(path, bytes(2000))
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]


def test_writing_into_no_folder_is_a_users_mistake(tmp_path):
    with pytest.raises(UserError, match="No such file"):
        write_atomically(tmp_path / "absent" / "model.tflite", b"")


@contextmanager
def file_size_limit(size: int) -> Iterator[None]:
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def refusal(path) -> str:
    """The reason why `path` is refused, without the path that it begins with."""
    with pytest.raises(ModelError) as caught:
        read_model_file(path)
    message = str(caught.value)
    assert message.startswith(f"{path}: ")
    assert "\n" not in message
    return message.removeprefix(f"{path}: ")


def flipped(content: bytes, bit: int) -> bytes:
    damaged = bytearray(content)
    damaged[bit // 8] ^= 1 << bit % 8
    return bytes(damaged)


def read_digits(content: bytes) -> bytes:
    start = content.index(b'"sha256":"') + len(b'"sha256":"')
    return content[start : start + 64]


def run(tflite: bytes, codes):
    interpreter = Interpreter(model_content=tflite, num_threads=1)
    interpreter.allocate_tensors()
    interpreter.set_tensor(interpreter.get_input_details()[0]["index"], codes)
    interpreter.invoke()
    return interpreter.get_tensor(interpreter.get_output_details()[0]["index"])
