"""How the C library keeps memory that is free, for a process that runs for months.

For glibc; other C libraries are left alone.
"""

import ctypes
from contextlib import suppress

_MMAP_THRESHOLD, _ARENA_MAX = -3, -8
"""Parameters of mallopt, by the names that mallopt(3) gives them without M_."""
_LARGE_BYTES = 4 << 20
_ARENAS = 2


def keep_freed_memory() -> None:
    """Have what a frame took be there for the next one.

    Blocks above the limit are asked of the system each time, which clears them first: at glibc's
    own limit, 128 kB, that took longer than all that was computed in them. A fixed limit is better
    than none: glibc raises it with each larger block, and then holds on to those.
    """
    with suppress(OSError, AttributeError):
        mallopt = _libc().mallopt
        mallopt(_MMAP_THRESHOLD, _LARGE_BYTES)
        mallopt(_ARENA_MAX, _ARENAS)


def give_back_freed_memory() -> None:
    """Give back what is kept, some 20 MB: for when there is nothing to do."""
    with suppress(OSError, AttributeError):
        _libc().malloc_trim(0)


def _libc() -> ctypes.CDLL:
    return ctypes.CDLL("libc.so.6")
