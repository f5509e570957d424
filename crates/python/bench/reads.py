"""What one read of a valid session costs."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from itertools import repeat
from statistics import median
from typing import Any

from contenders import HOUR, Botocore, Ours, Source, holding, reader, static
from report import Row

LIMIT_NS = 200
FASTER = 80
ROUNDS = 101
BATCH_NS = 5_000_000
THREADS = 8
# With threads, long enough for each to hold the interpreter's lock many times (5 ms at a time).
THREADED_ROUNDS = 15
THREADED_BATCH_NS = 200_000_000
# Ten hours: far from any window of anybody's.
LIFETIME = 10 * HOUR

# How much more the threads may cost us than they cost a method written in Python, which has no
# lock but the interpreter's.
LOCK_NOISE = 1.25

Read = Callable[[], Any]


def rows() -> list[Row]:
    reads = {
        "ours": reader(holding(Ours, Source(), LIFETIME)),
        "botocore": reader(holding(Botocore, Source(), LIFETIME)),
        "static": reader(static()),
    }
    cost = {name: _cost(read) for name, read in reads.items()}
    one: dict[str, list[float]] = {name: [] for name in reads}
    for _ in range(ROUNDS):
        for name, read in reads.items():
            one[name].append(_batch(read, int(BATCH_NS / cost[name]) + 1))
    alone: dict[str, list[float]] = {name: [] for name in reads}
    eight: dict[str, list[float]] = {name: [] for name in reads}
    for _ in range(THREADED_ROUNDS):
        for name, read in reads.items():
            calls = int(THREADED_BATCH_NS / cost[name]) + 1
            alone[name].append(_threaded_batch(read, calls, threads=1))
            eight[name].append(_threaded_batch(read, calls, threads=THREADS))

    faster = _ratio(one["botocore"], one["ours"])
    single = Row(
        what="get_frozen_credentials(), valid session, one thread",
        must_be=f"≤ {LIMIT_NS} ns; ≥ {FASTER} × faster than botocore's RefreshableCredentials",
        ratios=f"{faster:.0f} × faster than botocore's",
        absolute=(
            f"{median(one['ours']):.0f} ns CPU a call; botocore's {median(one['botocore']):.0f}, "
            f"its static Credentials {median(one['static']):.0f}"
        ),
        met=median(one["ours"]) <= LIMIT_NS and faster >= FASTER,
    )
    slower = {name: _ratio(eight[name], alone[name]) for name in reads}
    threaded = Row(
        what="get_frozen_credentials(), valid session, eight threads",
        must_be="no worse than the interpreter lock makes it",
        ratios=(
            f"{_ratio(eight['botocore'], eight['ours']):.0f} × faster than botocore's; "
            f"{slower['ours']:.2f} × one thread's (a method without any lock: "
            f"{slower['static']:.2f} ×)"
        ),
        absolute=(
            f"{median(eight['ours']):.0f} ns wall a call; botocore's "
            f"{median(eight['botocore']):.0f}, its static Credentials {median(eight['static']):.0f}"
        ),
        met=slower["ours"] <= LOCK_NOISE * slower["static"],
    )
    return [single, threaded]


def _spin(read: Read, calls: int) -> None:
    for _ in repeat(None, calls):
        read()


def _batch(read: Read, calls: int) -> float:
    """CPU nanoseconds a call."""
    before = time.thread_time_ns()
    _spin(read, calls)
    return (time.thread_time_ns() - before) / calls


def _threaded_batch(read: Read, calls: int, threads: int) -> float:
    """Wall nanoseconds a call, of all threads together, which share these calls."""
    gate = threading.Barrier(threads + 1)
    each = calls // threads + 1

    def work() -> None:
        gate.wait()
        _spin(read, each)

    workers = [threading.Thread(target=work) for _ in range(threads)]
    for worker in workers:
        worker.start()
    gate.wait()
    before = time.perf_counter_ns()
    for worker in workers:
        worker.join()
    return (time.perf_counter_ns() - before) / (each * threads)


def _cost(read: Read) -> float:
    """CPU nanoseconds a call, about."""
    _batch(read, 100)
    return _batch(read, 1000)


def _ratio(of: list[float], to: list[float]) -> float:
    return median(a / b for a, b in zip(of, to))
