import os
import socket
import time

import pytest

from edge_af.sd_notify import Notifier, watchdog_period_s


@pytest.mark.parametrize("place", ["path", "abstract"])
def test_systemd_hears_every_word(tmp_path, place):
    name = f"edge-af-test-{os.getpid()}"
    address = f"@{name}" if place == "abstract" else str(tmp_path / name)
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as told:
        told.bind(address.replace("@", "\0", 1))
        systemd = Notifier(address)
        before_us = time.clock_gettime_ns(time.CLOCK_MONOTONIC) // 1000
        for tell in (systemd.ready, systemd.alive, systemd.stopping, systemd.reloading):
            tell()
        said = [told.recv(200).decode() for _ in range(4)]
    assert said[:3] == ["READY=1", "WATCHDOG=1", "STOPPING=1"]
    reloading, at = said[3].splitlines()
    assert reloading == "RELOADING=1"
    assert int(at.removeprefix("MONOTONIC_USEC=")) >= before_us


def test_nobody_listening_is_no_fault(tmp_path):
    Notifier("").ready()
    Notifier(str(tmp_path / "nobody")).ready()


@pytest.mark.parametrize(
    ("usec", "pid", "period_s"),
    [
        ("10000000", None, 10.0),
        ("500000", "mine", 0.5),
        ("500000", "1", None),
        ("0", None, None),
        ("", None, None),
        ("soon", None, None),
    ],
)
def test_the_watchdogs_period(monkeypatch, usec, pid, period_s):
    monkeypatch.setenv("WATCHDOG_USEC", usec)
    monkeypatch.delenv("WATCHDOG_PID", raising=False)
    if pid is not None:
        monkeypatch.setenv("WATCHDOG_PID", str(os.getpid()) if pid == "mine" else pid)
    assert watchdog_period_s() == period_s
