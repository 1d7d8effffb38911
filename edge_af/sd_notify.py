"""What a service tells systemd about itself, by the protocol of sd_notify(3).

https://www.freedesktop.org/software/systemd/man/latest/sd_notify.html
"""

import os
import socket
import time


class Notifier:
    """Tells systemd; says nothing where nobody listens."""

    def __init__(self, address: str | None = None) -> None:
        """Speak to `address`, by default to the one that systemd left in NOTIFY_SOCKET."""
        given = os.environ.get("NOTIFY_SOCKET", "") if address is None else address
        # A leading @ stands for the zero byte of an abstract socket.
        self._address = "\0" + given[1:] if given.startswith("@") else given

    def ready(self) -> None:
        """It has started, or has reloaded."""
        self._tell("READY=1")

    def reloading(self) -> None:
        """It reloads, and will tell `ready` again."""
        # systemd ignores a reload without the time, by which it knows it from an older one.
        now_us = time.clock_gettime_ns(time.CLOCK_MONOTONIC) // 1000
        self._tell(f"RELOADING=1\nMONOTONIC_USEC={now_us}")

    def stopping(self) -> None:
        """It is on its way out."""
        self._tell("STOPPING=1")

    def alive(self) -> None:
        """Feed the watchdog."""
        self._tell("WATCHDOG=1")

    def _tell(self, message: str) -> None:
        if not self._address:
            return
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as line:
            line.settimeout(1.0)
            try:
                line.sendto(message.encode(), self._address)
            except OSError:
                return  # systemd restarts: a service goes on without it


def watchdog_period_s() -> float | None:
    """Return within what time systemd wants to be told `alive`; None if it does not.

    By sd_watchdog_enabled(3): WATCHDOG_PID, where set, says whom it is meant for.
    """
    period_us = os.environ.get("WATCHDOG_USEC", "")
    meant_for = os.environ.get("WATCHDOG_PID", "")
    if not period_us.isdigit() or int(period_us) == 0 or meant_for not in ("", str(os.getpid())):
        return None
    return int(period_us) / 1e6
