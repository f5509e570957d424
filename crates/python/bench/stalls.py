"""What readers feel of a refresh: in each window, with the source up and down."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from contenders import HOUR, Botocore, Ours, Source, holding
from report import Row
from rolekeeper.testing import SimulatedClock

# What a session has left, in seconds: in botocore's windows of 15 and of 10 minutes, and in none.
IN_ADVISORY = 14 * 60
IN_MANDATORY = 5 * 60
IN_NONE = HOUR

READERS = 32
DELAY = 0.1
STALLED = DELAY / 2
PAUSE = 0.001
# Long enough for the refresh with the source up; for several attempts with it down.
UP = 0.5
DOWN = 4.0
# Full-jitter backoff from 1 s on has begun this many attempts in 4 s at the most.
MOST_CALLS = 8


@dataclass
class Seen:
    worst: float
    stalled: int
    reads: int
    failed: int
    calls: int

    def __str__(self) -> str:
        return (
            f"worst read {self.worst * 1e3:.1f} ms, stalled readers {self.stalled} of {READERS}, "
            f"{self.failed} of {self.reads} reads failed, {self.calls} source calls"
        )


def rows() -> list[Row]:
    quiet = _ours(IN_NONE, works=True, seconds=UP)
    found = []
    for window, left in (("advisory", IN_ADVISORY), ("mandatory", IN_MANDATORY)):
        ours = _ours(left, works=True, seconds=UP)
        botocores = _botocores(left, works=True, seconds=UP)
        found.append(
            Row(
                what=f"refresh in the {window} window, 100 ms source, {READERS} readers",
                must_be="nobody waits while a session is valid",
                ratios=(
                    f"stalled readers: {ours.stalled}; with botocore's {botocores.stalled} "
                    f"of {READERS}"
                ),
                absolute=(
                    f"{ours} (without a refresh: worst {quiet.worst * 1e3:.1f} ms); "
                    f"botocore's: {botocores}"
                ),
                met=(ours.stalled, ours.failed, ours.calls) == (0, 0, 1),
            )
        )
        ours = _ours(left, works=False, seconds=DOWN)
        botocores = _botocores(left, works=False, seconds=DOWN)
        found.append(
            Row(
                what=f"the same in the {window} window, source down",
                must_be="nobody waits while a session is valid; source calls follow the backoff",
                ratios=(
                    f"stalled readers: {ours.stalled}, source calls {ours.calls}; with botocore's "
                    f"{botocores.stalled} of {READERS}, {botocores.calls} source calls"
                ),
                absolute=f"in {DOWN:.0f} s: {ours}; botocore's: {botocores}",
                met=(ours.stalled, ours.failed) == (0, 0) and 1 <= ours.calls <= MOST_CALLS,
            )
        )
    return found


def _ours(left: float, works: bool, seconds: float) -> Seen:
    """With a session of an hour, which falls due once the readers read: its clock is advanced."""
    with SimulatedClock() as clock:
        source = Source(delay=DELAY, works=works, now=clock.time)
        credentials = holding(Ours, source, HOUR)
        return _watch(credentials, source, seconds, lambda: clock.advance(HOUR - left))


def _botocores(left: float, works: bool, seconds: float) -> Seen:
    """With a session that is due from the first read on."""
    source = Source(delay=DELAY, works=works)
    return _watch(holding(Botocore, source, left), source, seconds, lambda: None)


def _watch(credentials: Any, source: Source, seconds: float, begin: Callable[[], None]) -> Seen:
    gate = threading.Barrier(READERS + 1)
    seen: list[tuple[float, int, int]] = []

    def read() -> None:
        worst, reads, failed = 0.0, 0, 0
        gate.wait()
        end = time.perf_counter() + seconds
        while (before := time.perf_counter()) < end:
            try:
                credentials.get_frozen_credentials()
            except Exception:  # noqa: BLE001
                failed += 1
            reads += 1
            worst = max(worst, time.perf_counter() - before)
            time.sleep(PAUSE)
        seen.append((worst, reads, failed))

    threads = [threading.Thread(target=read) for _ in range(READERS)]
    for thread in threads:
        thread.start()
    gate.wait()
    begin()
    for thread in threads:
        thread.join()
    return Seen(
        worst=max(worst for worst, _, _ in seen),
        stalled=sum(worst >= STALLED for worst, _, _ in seen),
        reads=sum(reads for _, reads, _ in seen),
        failed=sum(failed for _, _, failed in seen),
        calls=source.calls,
    )
