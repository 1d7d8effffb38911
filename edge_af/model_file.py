"""A .tflite on disk and the card inside it.

The card is JSON in the metadata buffer `edge_af_card`. Its `sha256` is that of the whole file with
the 64 digits themselves read as '0'. So no damaged byte reaches the runtime.
"""

import hashlib
import stat
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path

from edge_af.card import UNSEALED, ModelCard
from edge_af.errors import ModelError
from edge_af.flatbuffer import IDENTIFIER, Table

CARD_NAME = "edge_af_card"

# Field numbers in the schema of TensorFlow Lite.
_MODEL_BUFFERS = 4
_MODEL_METADATA = 6
_METADATA_NAME = 0
_METADATA_BUFFER = 1
_BUFFER_DATA = 0


@dataclass(frozen=True)
class ModelFile:
    """A model whose seal holds: where it came from, its bytes, its card."""

    path: Path
    content: bytes = field(repr=False)
    card: ModelCard


def read_model_file(path: Path) -> ModelFile:
    """Read the model at `path` and check its seal.

    Raises ModelError, in one line that begins with the path, for a file that is missing,
    unreadable, not a .tflite, cut short, without a card, or damaged anywhere.
    """
    try:
        content = _read_tflite(path)
        return ModelFile(path, content, _checked_card(content))
    except ModelError as error:
        raise ModelError(f"{path}: {error}") from error


def require_tflite(head: bytes) -> None:
    """Raise ModelError unless a file that begins with `head`, 8 bytes or more, is a .tflite."""
    if not head:
        raise ModelError("the file is empty")
    if head[4:8] != IDENTIFIER:
        raise ModelError("not a .tflite model (its bytes 4 to 8 are not 'TFL3')")


def sealed(content: bytes) -> bytes:
    """Return `content`, a .tflite whose card is UNSEALED, with the card's `sha256` filled in."""
    digits_at = _digits_at(content, UNSEALED)
    digest = _digest(content, digits_at)
    return content[:digits_at] + digest.encode() + content[digits_at + len(digest) :]


def _read_tflite(path: Path) -> bytes:
    try:
        mode = path.stat().st_mode
        if not stat.S_ISREG(mode):
            kind = "a folder" if stat.S_ISDIR(mode) else "not a regular file"
            raise ModelError(f"{kind}; a .tflite file is needed")
        with path.open("rb") as file:
            head = file.read(8)
            require_tflite(head)  # before a video of some gigabytes is read
            return head + file.read()
    except FileNotFoundError as error:
        raise ModelError("no such file") from error
    except OSError as error:
        raise ModelError(f"cannot be read ({error.strerror})") from error


def _checked_card(content: bytes) -> ModelCard:
    _, text = _card_at(content)
    card = ModelCard.from_json(text)
    if _digest(content, _digits_at(content, card.sha256)) != card.sha256:
        raise ModelError(
            "damaged or cut short: its contents do not match the SHA-256 in its card; "
            "copy the file again"
        )
    return card


def _card_at(content: bytes) -> tuple[int, bytes]:
    model = Table.root(content)
    for entry in model.tables(_MODEL_METADATA):
        name = entry.vector_bytes(_METADATA_NAME)
        if name is None or name[1] != CARD_NAME.encode():
            continue
        index = entry.u32(_METADATA_BUFFER)
        buffer = next(islice(model.tables(_MODEL_BUFFERS), index, None), None)
        text = buffer and buffer.vector_bytes(_BUFFER_DATA)
        if not text:
            raise ModelError(f"damaged: its model card is said to be in buffer {index}, not there")
        return text[0], bytes(text[1])
    raise ModelError("a .tflite without a model card; pack it with edge-af-convert")


def _digits_at(content: bytes, digits: str) -> int:
    start, text = _card_at(content)
    # The last match: `sha256` is the last field of a card, and the free fields come before it.
    place = text.rfind(f'"{digits}"'.encode())
    if place < 0:
        raise ModelError("damaged: the SHA-256 in its card is not written as 64 hexadecimal digits")
    return start + place + 1


def _digest(content: bytes, digits_at: int) -> str:
    view = memoryview(content)
    digest = hashlib.sha256(view[:digits_at])
    digest.update(UNSEALED.encode())
    digest.update(view[digits_at + len(UNSEALED) :])
    return digest.hexdigest()
