"""What the service writes to standard error, for the journal or for a reader."""

import logging
import os
import sys

_PRIORITIES = ((logging.ERROR, 3), (logging.WARNING, 4), (logging.INFO, 6))
"""Levels of sd-daemon(3), from the worst."""


def log_to_stderr() -> None:
    """Write our own log from `info` on, and that of others from `warning` on."""
    handler = logging.StreamHandler()
    handler.setFormatter(_ForJournal() if _is_journal() else _FOR_A_READER)
    logging.basicConfig(level=logging.WARNING, handlers=[handler])
    for ours in ("edge_af", "hw"):
        logging.getLogger(ours).setLevel(logging.INFO)


_FOR_A_READER = logging.Formatter("%(asctime)s %(levelname)s: %(message)s")


class _ForJournal(logging.Formatter):
    """Leads every line by its priority, as systemd reads it; the journal knows the time itself."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the lines of a record."""
        priority = next((to for level, to in _PRIORITIES if record.levelno >= level), 7)
        return "\n".join(f"<{priority}>{line}" for line in super().format(record).splitlines())


def _is_journal() -> bool:
    """Tell whether standard error is a stream of the journal (systemd.exec(5), JOURNAL_STREAM)."""
    try:
        about = os.fstat(sys.stderr.fileno())
    except (OSError, ValueError, AttributeError):
        return False
    return os.environ.get("JOURNAL_STREAM") == f"{about.st_dev}:{about.st_ino}"
