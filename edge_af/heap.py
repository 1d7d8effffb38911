"""How the C library keeps memory that is free, for a process that runs for months.

For glibc; other C libraries are left alone.
"""

import ctypes
from contextlib import suppress

_TRIM_THRESHOLD, _MMAP_THRESHOLD, _ARENA_MAX = -1, -3, -8
"""Parameters of mallopt, by the names that mallopt(3) gives them without M_."""
_LARGE_BYTES = 4 << 20
_KEPT_BYTES = 16 << 20


def keep_freed_memory() -> None:
    """Have what a frame took be there for the next one.

    Memory that comes from the system is cleared first: at glibc's own limits, 128 kB, that took
    longer than all that was computed in it. Limits that are fixed are better than none: glibc
    raises its own with each larger block, and then holds on to those. Threads share one heap, so
    that what one has freed serves the next.
    """
    with suppress(OSError, AttributeError):
        mallopt = _libc().mallopt
        mallopt(_MMAP_THRESHOLD, _LARGE_BYTES)
        mallopt(_TRIM_THRESHOLD, _KEPT_BYTES)
        mallopt(_ARENA_MAX, 1)


def give_back_freed_memory() -> None:
    """Give back what is kept, some 30 MB: for when there is nothing to do."""
    with suppress(OSError, AttributeError):
        _libc().malloc_trim(0)


def _libc() -> ctypes.CDLL:
    return ctypes.CDLL("libc.so.6")
