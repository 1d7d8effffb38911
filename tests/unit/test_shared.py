"""One answer for many: who asks, when it is made, and what passes by."""

import asyncio

import pytest

from edge_af.server.shared import Shared

PATH = "/api/v1/status"


class App:
    """Answers with how often it was asked; `fails` makes it raise."""

    def __init__(self, fails=False):
        self.asked = 0
        self.fails = fails

    async def __call__(self, _scope, _receive, send):
        self.asked += 1
        told = self.asked
        await asyncio.sleep(0)
        if self.fails:
            raise RuntimeError("broken")
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": str(told).encode()})


async def ask(shared, path=PATH, method="GET"):
    messages = []

    async def send(message):
        messages.append(message)

    await shared({"type": "http", "method": method, "path": path}, None, send)
    return int(messages[-1]["body"])


def test_a_crowd_gets_one_answer_and_the_next_crowd_another():
    async def crowds():
        shared = Shared(app := App(), PATH)
        first = await asyncio.gather(*(ask(shared) for _ in range(50)))
        second = await asyncio.gather(*(ask(shared) for _ in range(50)))
        return first, second, app.asked

    first, second, asked = asyncio.run(crowds())
    assert (set(first), set(second), asked) == ({1}, {2}, 2)


def test_nobody_gets_an_answer_that_was_begun_before_they_asked():
    async def overlapping():
        shared = Shared(App(), PATH)
        early = asyncio.create_task(ask(shared))
        while shared._app.asked == 0:
            await asyncio.sleep(0)
        return await early, await ask(shared)

    assert asyncio.run(overlapping()) == (1, 2)


@pytest.mark.parametrize(("path", "method"), [("/api/v1/health", "GET"), (PATH, "HEAD")])
def test_everything_else_passes_by(path, method):
    async def several():
        shared = Shared(App(), PATH)
        return await asyncio.gather(*(ask(shared, path, method) for _ in range(3)))

    assert asyncio.run(several()) == [1, 2, 3]


def test_who_leaves_takes_the_answer_from_nobody():
    async def one_leaves():
        shared = Shared(App(), PATH)
        leaving, staying = (asyncio.create_task(ask(shared)) for _ in range(2))
        await asyncio.sleep(0)
        leaving.cancel()
        return await staying

    assert asyncio.run(one_leaves()) == 1


def test_a_failure_is_everyones_and_over_with_the_next():
    async def broken():
        shared = Shared(app := App(fails=True), PATH)
        failed = await asyncio.gather(*(ask(shared) for _ in range(3)), return_exceptions=True)
        app.fails = False
        return failed, await ask(shared)

    failed, then = asyncio.run(broken())
    assert [str(error) for error in failed] == ["broken"] * 3
    assert then == 2
