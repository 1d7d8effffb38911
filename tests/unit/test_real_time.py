"""Steps come from a real-time thread where that was granted, and only there."""

import os
import resource
import subprocess
import sys

import pytest

_REPORT = """
import os
from hw.real_time import before_all_others
def policy():
    return os.sched_getscheduler(0), os.sched_getparam(0).sched_priority
before = policy()
with before_all_others():
    print(*policy())
assert policy() == before
"""


def policy_within(granted: int) -> list[int]:
    """Return policy and priority in a process that was granted real-time priorities up to it."""

    def grant() -> None:
        resource.setrlimit(resource.RLIMIT_RTPRIO, (granted, granted))

    done = subprocess.run(
        [sys.executable, "-c", _REPORT],
        preexec_fn=grant,
        capture_output=True,
        text=True,
        check=True,
    )
    return [int(number) for number in done.stdout.split()]


def test_not_asked_for_nothing_changes():
    assert policy_within(0) == [os.SCHED_OTHER, 0]


def test_asked_for_it_is_fifo_at_the_priority_granted():
    try:
        assert policy_within(7) == [os.SCHED_FIFO, 7]
    except (PermissionError, subprocess.SubprocessError):
        pytest.skip("needs to be allowed real-time scheduling here")
