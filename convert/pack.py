"""Put a model's card into its .tflite."""

import struct
from typing import Any

import flatbuffers
import numpy as np
from ai_edge_litert import schema_py_generated as schema

from edge_af.card import UNSEALED, ModelCard
from edge_af.errors import ModelError
from edge_af.flatbuffer import IDENTIFIER
from edge_af.model_file import CARD_NAME, require_tflite, sealed

# `force_align` of Buffer.data in the schema, which Python's generated code leaves out.
_VECTOR_ALIGNMENT = 16


class _Builder(flatbuffers.Builder):  # type: ignore[misc]  # has no types
    def StartVector(self, elemSize: int, numElems: int, alignment: int) -> Any:
        return super().StartVector(elemSize, numElems, max(alignment, _VECTOR_ALIGNMENT))


def pack(tflite: bytes, card: ModelCard) -> bytes:
    """Return `tflite` with `card` in it, in place of any card it had, and sealed.

    The network is left as it is; the card's own `sha256` is replaced. Raises ModelError where
    `tflite` is not a readable .tflite.
    """
    require_tflite(tflite)
    try:
        model = schema.ModelT.InitFromPackedBuf(tflite)
        card_buffer = _card_buffer(model)
    except (struct.error, ValueError, TypeError, IndexError) as error:
        raise ModelError(f"the .tflite is damaged ({error})") from error
    text = card.model_copy(update={"sha256": UNSEALED}).model_dump_json()
    card_buffer.data = np.frombuffer(text.encode(), dtype=np.uint8)
    return sealed(packed(model))


def packed(model: schema.ModelT) -> bytes:
    """Return a model as a .tflite."""
    builder = _Builder(1 << 20)
    builder.Finish(model.Pack(builder), file_identifier=IDENTIFIER)
    return bytes(builder.Output())


def _card_buffer(model: schema.ModelT) -> schema.BufferT:
    entries = [] if model.metadata is None else model.metadata
    for entry in entries:
        if entry.name == CARD_NAME.encode():
            return model.buffers[entry.buffer]
    entry = schema.MetadataT(name=CARD_NAME, buffer=len(model.buffers))
    model.metadata = [*entries, entry]
    model.buffers.append(schema.BufferT())
    return model.buffers[-1]
