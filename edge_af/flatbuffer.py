"""A reader for the few flatbuffer structures that lead to a model's card.

The generated readers trust every offset; a damaged file sends them out of bounds. Here each access
is checked against the end of the file. Format: https://flatbuffers.dev/internals.
"""

import struct
from collections.abc import Iterator
from dataclasses import dataclass

from edge_af.errors import ModelError

IDENTIFIER = b"TFL3"
"""Bytes 4 to 8 of every .tflite."""

_U16 = struct.Struct("<H")
_U32 = struct.Struct("<I")
_I32 = struct.Struct("<i")


@dataclass(frozen=True)
class Table:
    """One table, `start` bytes into `content`. Fields are counted as in the schema, from 0.

    Every method raises ModelError where the file's own offsets lead outside of it.
    """

    content: memoryview
    start: int

    @classmethod
    def root(cls, content: bytes) -> "Table":
        """Return the table that the file begins with."""
        view = memoryview(content)
        return cls(view, _read(view, _U32, 0))

    def u32(self, field: int) -> int:
        """Return the value of an unsigned 32-bit field; 0, the default, where it is absent."""
        at = self._field_at(field)
        return 0 if at is None else _read(self.content, _U32, at)

    def vector_bytes(self, field: int) -> tuple[int, memoryview] | None:
        """Return where a string or a vector of bytes begins in the file, and its bytes."""
        at = self._field_at(field)
        if at is None:
            return None
        start, count = self._vector(at)
        _check(self.content, start, count)
        return start, self.content[start : start + count]

    def tables(self, field: int) -> Iterator["Table"]:
        """Yield the tables of a vector of tables; none where the field is absent."""
        at = self._field_at(field)
        if at is None:
            return
        start, count = self._vector(at)
        for slot in range(start, start + 4 * count, 4):
            yield Table(self.content, slot + _read(self.content, _U32, slot))

    def _vector(self, field_at: int) -> tuple[int, int]:
        length_at = field_at + _read(self.content, _U32, field_at)
        return length_at + 4, _read(self.content, _U32, length_at)

    def _field_at(self, field: int) -> int | None:
        vtable_at = self.start - _read(self.content, _I32, self.start)
        entry = 4 + 2 * field
        if entry + 2 > _read(self.content, _U16, vtable_at):
            return None
        offset = _read(self.content, _U16, vtable_at + entry)
        return self.start + offset if offset else None


def _read(content: memoryview, kind: struct.Struct, at: int) -> int:
    _check(content, at, kind.size)
    value: int = kind.unpack_from(content, at)[0]
    return value


def _check(content: memoryview, at: int, size: int) -> None:
    if at < 0 or at + size > len(content):
        raise ModelError(
            f"damaged or cut short: it refers to bytes {at} to {at + size} of {len(content)}"
        )
