"""Runs Python functions for the native side, on threads of Python's own, and tidies up when a
process forks or ends.

Imported when the first credentials are opened: importing it registers the tidying up.
"""

from __future__ import annotations

import atexit
import logging
import os
from collections.abc import Callable
from typing import Any

from rolekeeper import _rolekeeper

_logger = logging.getLogger("rolekeeper")

# From here on no thread of the native side enters the interpreter any more.
atexit.register(_rolekeeper.close)

if hasattr(os, "register_at_fork"):
    os.register_at_fork(
        before=_rolekeeper.before_fork,
        after_in_parent=_rolekeeper.forked_parent,
        after_in_child=_rolekeeper.forked_child,
    )


def start(
    starting: _rolekeeper.Starting,
    function: Callable[..., object],
    arguments: tuple[object, ...],
) -> None:
    """Calls ``function``, on a thread that was started for it."""
    starting.done()
    function(*arguments)


def run(request: _rolekeeper.Request, function: Callable[[], Any]) -> None:
    """Answers `request` with what `function` returns or raises."""
    request.begin()
    try:
        answer = function()
    except BaseException as error:  # noqa: BLE001  Whatever it is, those who wait are told.
        from rolekeeper.errors import classify, forget_locals

        forget_locals(error)
        request.fail(error, *classify(error))
    else:
        request.answer(answer)


def tell(events: _rolekeeper.Events, observer: Callable[[_rolekeeper.Event], None]) -> None:
    """Tells `observer` the events that wait, in order, until there are none."""
    while (event := events.take()) is not None:
        try:
            observer(event)
        except Exception:
            _logger.exception("the observer of %s raised an exception", event.name)
