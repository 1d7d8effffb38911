"""Coroutines that live and end together, on Python 3.11 as well."""

import asyncio
from collections.abc import Coroutine


async def together(*parts: Coroutine[None, None, None]) -> None:
    """Run all until one ends, which ends the others; raises what that one raised."""
    tasks = [asyncio.create_task(part) for part in parts]
    try:
        heed_cancellation()
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    finally:
        unended = set(tasks)
        while unended:
            # More than once: see heed_cancellation. A TaskGroup would wait for ever.
            for task in unended:
                task.cancel()
            _, unended = await asyncio.wait(unended, timeout=0.1)
    errors = [task.exception() for task in tasks if not task.cancelled()]
    for error in filter(None, errors):
        raise error


def heed_cancellation() -> None:
    """Raise CancelledError if this task has been told to end.

    asyncio.wait_for of Python 3.11, which aiomqtt uses, forgets a cancellation that comes together
    with what it waits for (https://github.com/python/cpython/issues/86296).
    """
    task = asyncio.current_task()
    if task is not None and task.cancelling():
        raise asyncio.CancelledError
