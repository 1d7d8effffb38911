"""The file that a recorded run is in.

A tar, for that needs no index at its end: cut off anywhere, what was written before can be read,
and any tar tool unpacks it. Every event is a member `000012-move.json`; the pixels of a frame
follow it as `000013-frame.ppm`. An event is a JSON object with its `kind`, and with `crc32`: the
checksum of the same object without it, as Python's json writes that.
"""

import json
import tarfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Protocol, Self
from zlib import crc32

import numpy as np
from numpy.typing import NDArray

from edge_af.errors import UserError

FORMAT: Final = 1

Event = dict[str, Any]


class RecordingError(UserError):
    """A file that is no recording, or is too damaged to be of use."""


class Log(Protocol):
    """Takes the events of a run as they happen."""

    def add(self, event: Event, pixels: NDArray[np.uint8] | None = None) -> None:
        """Take an event, and the pixels (H x W x 3, uint8) of a frame. Raises nothing."""
        ...


class RecordingWriter:
    """Writes the events of a run into a new file; used with `with`.

    Where not one command was begun there is no file in the end.
    A failure to write, such as a full disk, ends the recording and nothing else: `fault` then says
    why, and what was written before stays readable.
    """

    def __init__(self, path: Path, header: Mapping[str, Any]) -> None:
        """Begin. Raises UserError if `path` exists, and OSError if it cannot be made."""
        self.fault: str | None = None
        self._path = path
        self._members = 0
        self._began_a_command = False
        try:
            # Unbuffered: what a crash finds written is whole events.
            self._file = path.open("xb", buffering=0)
        except FileExistsError as error:
            raise UserError(
                f"{path} exists already: choose another name, or remove it first"
            ) from error
        self.add({"kind": "header", "format": FORMAT, **header})

    def add(self, event: Event, pixels: NDArray[np.uint8] | None = None) -> None:
        """Write an event, and the pixels of a frame."""
        self._began_a_command |= event["kind"] == "command"
        parts = [(f"{event['kind']}.json", _sealed(event))]
        if pixels is not None:
            height_px, width_px, _ = pixels.shape
            head = f"P6\n{width_px} {height_px}\n255\n".encode()
            parts.append((f"{event['kind']}.ppm", head + pixels.tobytes()))
        members: list[bytes] = []
        for name, content in parts:
            member = tarfile.TarInfo(f"{self._members + len(members):06d}-{name}")
            member.size = len(content)
            padding = bytes(-len(content) % tarfile.BLOCKSIZE)
            members.append(member.tobuf(tarfile.USTAR_FORMAT) + content + padding)
        if self._write(b"".join(members)):
            self._members += len(members)

    def _write(self, content: bytes) -> bool:
        """Write all of it or nothing; return whether it was written."""
        if self.fault is not None:
            return False
        whole = self._file.tell()
        left = memoryview(content)
        try:
            while left:
                left = left[self._file.write(left) :]
        except OSError as error:
            self.fault = (
                f"the recording {self._path} ends early ({error.strerror or error}): free some "
                "space, or record elsewhere"
            )
            try:
                self._file.truncate(whole)
            except OSError:
                return False  # half an event at the end is passed over in reading
        return self.fault is None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.add({"kind": "close"})
        self._write(bytes(2 * tarfile.BLOCKSIZE))  # the end, as tar has it
        self._file.close()
        if not self._began_a_command:
            self._path.unlink(missing_ok=True)


@dataclass(frozen=True, slots=True)
class _Pixels:
    offset: int
    shape: tuple[int, int, int]


class Recording:
    """What can be read of a recorded run.

    `events` are in order, without header and close. `note` says what is missing; None if nothing
    is.
    """

    def __init__(self, path: Path) -> None:
        """Read all but the pixels.

        Raises RecordingError if `path` is no recording or of another format, OSError if it cannot
        be read.
        """
        self.path = path
        self.note: str | None = None
        self._pixels: dict[int, _Pixels] = {}
        self.events: list[Event] = []
        try:
            with tarfile.open(path, "r:") as tar:
                for event, pixels in _events(tar):
                    if pixels is not None:
                        self._pixels[len(self.events)] = pixels
                    self.events.append(event)
        except (tarfile.TarError, ValueError, EOFError) as error:
            if not self.events:
                raise RecordingError(f"{path} is no recording ({error})") from error
        if not self.events or self.events[0]["kind"] != "header":
            raise RecordingError(f"{path} is no recording of a run: make one with --record")
        self.header = self.events[0]
        if self.header["format"] != FORMAT:
            raise RecordingError(
                f"{path} has format {self.header['format']}, this edge-af reads {FORMAT}: use the "
                f"version that recorded it ({self.header.get('versions', {}).get('edge-af')})"
            )
        if self.events[-1]["kind"] != "close":
            self.note = (
                f"{path} was cut short or is damaged: the first {len(self.events) - 1} events are "
                "readable"
            )

    def pixels(self, index: int) -> NDArray[np.uint8]:
        """Return the pixels of the frame that is event `index`, H x W x 3, uint8, read-only."""
        where = self._pixels[index]
        with self.path.open("rb") as file:
            file.seek(where.offset)
            content = file.read(int(np.prod(where.shape)))
        return np.frombuffer(content, np.uint8).reshape(where.shape)


def _events(tar: tarfile.TarFile) -> Iterator[tuple[Event, _Pixels | None]]:
    """Yield the events, and where their pixels are, up to the first that is not whole."""
    number = 0
    while (member := tar.next()) is not None:
        event = _unsealed(_content(tar, member))
        if event is None or member.name != f"{number:06d}-{event['kind']}.json":
            return
        number += 1
        if "pixels_crc32" not in event:
            yield event, None
            continue
        member = tar.next()
        if member is None or member.name != f"{number:06d}-{event['kind']}.ppm":
            return
        content = _content(tar, member)
        height_px, width_px, colours = event["shape"]
        size = height_px * width_px * colours
        if len(content) < size or crc32(content[-size:]) != event["pixels_crc32"]:
            return
        number += 1
        start = member.offset_data + len(content) - size
        yield event, _Pixels(start, (height_px, width_px, colours))


def _content(tar: tarfile.TarFile, member: tarfile.TarInfo) -> bytes:
    file = tar.extractfile(member)
    return b"" if file is None else file.read()


def _sealed(event: Event) -> bytes:
    text = json.dumps(event)
    return json.dumps(event | {"crc32": crc32(text.encode())}).encode()


def _unsealed(content: bytes) -> Event | None:
    """Return the event, None if it is not what was written."""
    try:
        event = json.loads(content)
        seal = event.pop("crc32")
    except (ValueError, AttributeError, KeyError, TypeError):
        return None
    return event if seal == crc32(json.dumps(event).encode()) and "kind" in event else None
