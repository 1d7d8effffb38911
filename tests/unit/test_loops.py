import asyncio
import threading
from contextlib import asynccontextmanager

import pytest

from edge_af.server.loops import LoopThread, held


def test_a_loop_that_hangs_does_not_answer():
    go_on = threading.Event()
    with LoopThread("hangs") as loop:
        assert loop.ask().wait(30)
        loop.soon(go_on.wait)
        asked = loop.ask()
        assert not asked.wait(0.1)
        go_on.set()
        assert asked.wait(30)


def test_a_context_is_entered_and_left_in_one_task():
    tasks = []

    @asynccontextmanager
    async def context():
        tasks.append(asyncio.current_task())
        yield
        tasks.append(asyncio.current_task())

    with LoopThread("holds") as loop, held(loop, context()):
        assert len(tasks) == 1
    assert tasks[0] is tasks[1] is not None


def test_a_context_that_cannot_be_entered_says_why():
    @asynccontextmanager
    async def context():
        raise RuntimeError("no")
        yield

    with (
        LoopThread("holds") as loop,
        pytest.raises(RuntimeError, match="no"),
        held(loop, context()),
    ):
        pass


def test_what_still_runs_at_the_end_is_cancelled():
    cancelled = threading.Event()

    async def work():
        try:
            await asyncio.sleep(60)
        except asyncio.CancelledError:
            cancelled.set()
            raise

    with LoopThread("works") as loop:
        loop.begin(work())
        assert loop.ask().wait(30)
    assert cancelled.is_set()
