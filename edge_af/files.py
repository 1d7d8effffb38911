"""Files that are written whole or not at all."""

import contextlib
import os
from pathlib import Path

from edge_af.errors import UserError


def write_atomically(path: Path, content: bytes) -> None:
    """Write `content` to `path`, or leave `path` as it was. Raises UserError, with the reason."""
    partial = path.with_name(f".{path.name}.{os.getpid()}.partial")
    try:
        with partial.open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        partial.replace(path)
    except OSError as error:
        raise UserError(f"cannot write {path}: {error.strerror}") from error
    finally:
        with contextlib.suppress(OSError):
            partial.unlink()
