"""Decides on which event loop a coroutine runs that a thread needs the result of.

On the loop that it belongs to, where its connections and its locks are, while that loop runs; else
in a loop of its own.
"""

from __future__ import annotations

import asyncio
import concurrent.futures
import inspect
from collections.abc import Awaitable, Callable
from typing import Any

from rolekeeper.errors import UnavailableError

# How often a thread looks whether the loop it waits for still runs, in seconds.
_LOOK = 0.5


def call(
    function: Callable[[], Any], home: asyncio.AbstractEventLoop | None, timeout: float
) -> Any:
    """What ``function`` returns; if that is awaitable, what it gives within ``timeout`` seconds.

    Blocks: for threads that run no loop. ``function`` itself is called on this thread, so that one
    that is not async holds up no loop.

    Raises ``UnavailableError`` if it takes longer, is cancelled, or its loop ends under it.
    """
    given = function()
    if not inspect.isawaitable(given):
        return given
    work = _limited(given, timeout)
    try:
        if home is None or not home.is_running():
            return asyncio.run(work)
        return _from_afar(asyncio.run_coroutine_threadsafe(work, home), home)
    except (asyncio.CancelledError, concurrent.futures.CancelledError):
        # None of those who wait was cancelled, and none may take it for that.
        raise UnavailableError("the async function was cancelled") from None


async def _limited(given: Awaitable[Any], timeout: float) -> Any:
    try:
        return await asyncio.wait_for(given, timeout)
    except (TimeoutError, asyncio.TimeoutError) as error:
        words = str(error) or f"the async function did not return within {timeout:g} s"
        raise UnavailableError(words) from error


def _from_afar(work: concurrent.futures.Future[Any], home: asyncio.AbstractEventLoop) -> Any:
    while True:
        try:
            return work.result(_LOOK)
        except (TimeoutError, concurrent.futures.TimeoutError):
            if work.done():
                raise
            if not home.is_running():
                work.cancel()
                raise UnavailableError("the event loop of the async function has ended") from None
