"""Tells when a device node is opened, by inotify: a pty itself does not say."""

import contextlib
import ctypes
import os
import struct

_IN_CLOSE_WRITE, _IN_CLOSE_NOWRITE, _IN_OPEN = 0x08, 0x10, 0x20
_EVENT = struct.Struct("iIII")  # linux/inotify.h: watch, mask, cookie, length of name


class OpenWatch:
    """Counts who has `path` open from now on."""

    def __init__(self, path: str) -> None:
        libc = ctypes.CDLL(None, use_errno=True)
        self._fd = libc.inotify_init1(os.O_NONBLOCK | os.O_CLOEXEC)
        mask = _IN_OPEN | _IN_CLOSE_WRITE | _IN_CLOSE_NOWRITE
        if self._fd < 0 or libc.inotify_add_watch(self._fd, path.encode(), mask) < 0:
            raise OSError(ctypes.get_errno(), f"cannot watch {path} by inotify")
        self._open = 0

    def first_opened(self) -> bool:
        """Tell whether, since the last call, somebody opened it whom nobody had preceded."""
        first = False
        with contextlib.suppress(BlockingIOError):
            data = os.read(self._fd, 4096)
            for _, mask, _, _ in _EVENT.iter_unpack(data):
                if mask & _IN_OPEN:
                    first |= self._open == 0
                    self._open += 1
                elif mask & (_IN_CLOSE_WRITE | _IN_CLOSE_NOWRITE):
                    self._open = max(self._open - 1, 0)
        return first

    def close(self) -> None:
        os.close(self._fd)
