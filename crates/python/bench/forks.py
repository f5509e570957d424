"""What a child process finds that was forked while a thread of its parent's was refreshing."""

from __future__ import annotations

import os
import select
import signal
import threading
import time
from typing import Any

from contenders import BotocoreDeferred, OursDeferred, Source, deferred
from report import Row

DELAY = 0.3
# The child may take this much longer than the source.
MUST_BE = 1.0
LIMIT = 5.0


def rows() -> list[Row]:
    ours = _childs_read(OursDeferred)
    botocores = _childs_read(BotocoreDeferred)

    def told(seconds: float | None) -> str:
        if seconds is None:
            return f"never (killed after {LIMIT:.0f} s)"
        return f"after {seconds * 1e3:.0f} ms"

    return [
        Row(
            what="fork() during a refresh: the child's next read",
            must_be="works in < 1 s plus the source's time",
            ratios=f"works {told(ours)}; with botocore's {told(botocores)}",
            absolute=f"the source takes {DELAY * 1e3:.0f} ms; nothing is held yet",
            met=ours is not None and ours < DELAY + MUST_BE,
        )
    ]


def _childs_read(kind: Any) -> float | None:
    """Seconds until a child that is forked in the middle of the first fetch has a session."""
    source = Source(delay=DELAY)
    credentials = deferred(kind, source)
    parents = threading.Thread(target=credentials.get_frozen_credentials)
    parents.start()
    source.under_way.wait()
    told, tell = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            before = time.perf_counter()
            credentials.get_frozen_credentials()
            os.write(tell, f"{time.perf_counter() - before}".encode())
        finally:
            os._exit(0)
    os.close(tell)
    answered, _, _ = select.select([told], [], [], LIMIT)
    answer = os.read(told, 64) if answered else b""
    os.close(told)
    if not answered:
        os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    parents.join()
    return float(answer) if answer else None
