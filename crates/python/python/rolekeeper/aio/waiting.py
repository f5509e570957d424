"""Lets the tasks of an event loop wait for what blocks: in one thread, however many they are."""

from __future__ import annotations

import asyncio
import contextvars
import threading
from collections.abc import Callable
from types import TracebackType
from typing import Any, NamedTuple


class _Outcome(NamedTuple):
    """What came of it. Tasks share it, so an exception is raised anew by each of them."""

    value: Any
    error: BaseException | None = None
    traceback: TracebackType | None = None


class SharedWait:
    """One blocking call for all the tasks of a loop that ask while it is under way.

    The thread is a daemon that lives for one call: it holds up nobody's end, and the pool that the
    program uses for its own blocking calls keeps all its places.
    """

    def __init__(self) -> None:
        # A loop only ever looks at its own entry: no lock, and nothing that a fork could leave
        # locked. A forked child's loops are others than its parent's.
        self._under_way: dict[asyncio.AbstractEventLoop, asyncio.Future[_Outcome]] = {}

    def is_under_way(self, loop: asyncio.AbstractEventLoop) -> bool:
        """Whether tasks of this loop wait already."""
        return loop in self._under_way

    async def __call__(self, call: Callable[[], Any]) -> Any:
        """What ``call`` returns or raises; a task that is cancelled meanwhile cancels only itself.

        ``call`` must end by itself: it is what has the deadline.
        """
        loop = asyncio.get_running_loop()
        waiting = self._under_way.get(loop)
        if waiting is None:
            waiting = loop.create_future()
            self._under_way[loop] = waiting
            try:
                # In the task's context: what it does there is done for this task.
                threading.Thread(
                    target=contextvars.copy_context().run,
                    args=(self._run, call, loop, waiting),
                    name="rolekeeper-wait",
                    daemon=True,
                ).start()
            except RuntimeError:  # No thread to be had.
                del self._under_way[loop]
                raise
        outcome = await asyncio.shield(waiting)
        if outcome.error is not None:
            raise outcome.error.with_traceback(outcome.traceback)
        return outcome.value

    def _run(
        self,
        call: Callable[[], Any],
        loop: asyncio.AbstractEventLoop,
        waiting: asyncio.Future[_Outcome],
    ) -> None:
        try:
            outcome = _Outcome(call())
        except BaseException as error:  # noqa: BLE001 - whatever it is, those who wait are told.
            outcome = _Outcome(None, error, error.__traceback__)
        # From here on a task that comes asks anew: it may see more than this call did.
        self._under_way.pop(loop, None)
        try:
            loop.call_soon_threadsafe(_settle, waiting, outcome)
        except RuntimeError:
            pass  # The loop is closed, and its tasks with it.


def _settle(waiting: asyncio.Future[_Outcome], outcome: _Outcome) -> None:
    if not waiting.done():
        waiting.set_result(outcome)
