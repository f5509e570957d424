"""Has the worker of `celery_app` do tasks until its sessions have changed some times."""

from __future__ import annotations

import time

from celery_app import who

LIMIT = 40.0

if __name__ == "__main__":
    workers: set[str] = set()
    keys: set[str] = set()
    end = time.monotonic() + LIMIT
    while len(workers) < 2 or len(keys) < 5:
        assert time.monotonic() < end, (workers, keys)
        for worker, key, arn in [task.get(timeout=LIMIT) for task in (who.delay(), who.delay())]:
            assert "assumed-role/demo/" in arn
            workers.add(worker)
            keys.add(key)
