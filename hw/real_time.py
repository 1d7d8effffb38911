"""Scheduling of the thread that makes the steps."""

import os
import resource
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress


@contextmanager
def before_all_others() -> Iterator[None]:
    """Run this thread, and those it starts, as real-time ones if their owner was granted that.

    Granted means a limit RLIMIT_RTPRIO above 0, as by LimitRTPRIO= of systemd; it is the priority
    taken, under SCHED_FIFO. Else nothing changes. sched(7).
    """
    priority, _ = resource.getrlimit(resource.RLIMIT_RTPRIO)
    if priority <= 0:
        yield
        return
    thread = threading.get_native_id()
    policy, parameter = os.sched_getscheduler(thread), os.sched_getparam(thread)
    with suppress(PermissionError):  # a system call filter that was not loosened
        os.sched_setscheduler(thread, os.SCHED_FIFO, os.sched_param(priority))
    try:
        yield
    finally:
        with suppress(PermissionError):
            os.sched_setscheduler(thread, policy, parameter)
