"""Event loops on threads of their own."""

import asyncio
import threading
from collections.abc import Callable, Coroutine, Iterator
from concurrent.futures import Future
from contextlib import AbstractAsyncContextManager, contextmanager, suppress
from typing import Any, Self, TypeVar

_LEAVE_S = 3.0

_T = TypeVar("_T")


class LoopThread:
    """An event loop that runs on a thread of its own from enter to exit."""

    def __init__(self, name: str) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)

    def begin(self, work: Coroutine[Any, Any, _T]) -> Future[_T]:
        """Begin `work` there, from any thread."""
        return asyncio.run_coroutine_threadsafe(work, self._loop)

    def soon(self, action: Callable[[], object]) -> None:
        """Let `action` run there, from any thread."""
        self._loop.call_soon_threadsafe(action)

    def ask(self) -> threading.Event:
        """Return what is set when the loop gets round to new work."""
        answered = threading.Event()
        self.soon(answered.set)
        return answered

    async def do(self, work: Coroutine[Any, Any, _T]) -> _T:
        """Run `work` there and wait for it here, on another loop; a cancellation goes along."""
        return await asyncio.wrap_future(self.begin(work))

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        self._loop.run_forever()

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(2.0)
        if not self._thread.is_alive():  # else it is wedged, and goes with the process
            self._loop.run_until_complete(_cancel_all())
            self._loop.run_until_complete(self._loop.shutdown_asyncgens())
            self._loop.close()


async def _cancel_all() -> None:
    left = asyncio.all_tasks() - {asyncio.current_task()}
    for task in left:
        task.cancel()
    await asyncio.gather(*left, return_exceptions=True)


@contextmanager
def held(loop: LoopThread, context: AbstractAsyncContextManager[object]) -> Iterator[None]:
    """Enter an asynchronous context on another loop, and leave it there in the same task."""
    leave = asyncio.Event()

    async def hold(entered: Future[None]) -> None:
        async with context:
            entered.set_result(None)
            await leave.wait()

    def failed(ended: Future[None]) -> None:
        if not entered.done():
            entered.set_exception(ended.exception())

    entered: Future[None] = Future()
    ended = loop.begin(hold(entered))
    ended.add_done_callback(failed)
    entered.result()
    try:
        yield
    finally:
        loop.soon(leave.set)
        with suppress(TimeoutError):  # a loop that is wedged goes with the process
            ended.result(_LEAVE_S)
