"""Large files that are whole or not there, and a disk that may be full."""

import contextlib
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from edge_af.errors import UserError


@contextmanager
def unless_disk_fails(path: Path) -> Iterator[Path]:
    """Yield a place beside `path` to write to; what is there at the end takes its name.

    Where anything fails on the way, `path` stays as it was and the part is removed. Raises
    UserError, with the reason, if it is the disk.
    """
    part = path.with_name(f".{path.stem}.part{path.suffix}")
    try:
        yield part
        with part.open("rb+") as file:
            os.fsync(file.fileno())
        part.replace(path)
    except OSError as error:
        reason = error.strerror or " ".join(str(error).split())
        raise UserError(f"cannot write {path}: {reason}; what was there before is whole") from error
    finally:
        with contextlib.suppress(OSError):
            part.unlink()
