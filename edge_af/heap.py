"""How the C library keeps memory that is free, for a process that runs for months."""

import ctypes
from contextlib import suppress

_TRIM_THRESHOLD, _MMAP_THRESHOLD, _ARENA_MAX = -1, -3, -8
"""Parameters of mallopt, by the names that mallopt(3) gives them without M_."""
_LARGE_BYTES = 128 * 1024
_ARENAS = 2


def give_back_freed_memory() -> None:
    """Have what frames took go back to the system once they are gone.

    By itself glibc raises its thresholds to the largest block that was ever freed, and from then on
    keeps as much: some 40 MB here. Other C libraries are left alone.
    """
    with suppress(OSError, AttributeError):
        mallopt = ctypes.CDLL("libc.so.6").mallopt
        mallopt(_MMAP_THRESHOLD, _LARGE_BYTES)
        mallopt(_TRIM_THRESHOLD, _LARGE_BYTES)
        mallopt(_ARENA_MAX, _ARENAS)
