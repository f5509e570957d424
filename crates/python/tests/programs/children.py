"""Forked children that report, and that can't outlive their time."""

from __future__ import annotations

import faulthandler
import os
import signal
import traceback
from collections.abc import Callable


class Child:
    """A fork of this process that does `work` and ends; it is killed after `limit` seconds."""

    def __init__(self, work: Callable[[], object], limit: float = 20.0) -> None:
        self.limit = limit
        self.pid = os.fork()
        if self.pid == 0:
            status = 1
            try:
                signal.signal(signal.SIGALRM, signal.SIG_DFL)
                faulthandler.register(signal.SIGALRM, chain=True)
                signal.setitimer(signal.ITIMER_REAL, limit)
                work()
                status = 0
            except BaseException:  # noqa: BLE001 - the child must not go on.
                traceback.print_exc()
            finally:
                os._exit(status)

    def succeeds(self) -> None:
        _, status = os.waitpid(self.pid, 0)
        if os.WIFSIGNALED(status):
            raise AssertionError(f"the child hung for {self.limit} s: {os.WTERMSIG(status)}")
        assert os.WEXITSTATUS(status) == 0, "the child failed"
