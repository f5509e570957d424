"""``many_reads.py READS REFRESHES``: so many reads over so many refreshes, of both kinds of sources.
What the process holds is told ten times on the way, and must be the same from the first to the last.

Resident memory is told, and judged only by whoever asks for enough reads for it to show.
"""

from __future__ import annotations

import gc
import itertools
import sys
import warnings
from collections.abc import Callable, Iterator
from typing import Any

from keepers import Kept, threads, until

from forks import Function, Native

PARTS = 10

# One refresh in so many fails.
FAILS_EACH = 25

# From the first part to the last, so many of anything may come: one look differs from the next by a
# dozen or so, whatever lies between, and a thread may just be ending. One left over by each refresh is
# far beyond, from 200 refreshes on.
SLACK = 40


class Weight:
    """What the process holds while nothing is going on."""

    def __init__(self, keepers: list[Kept], functions: list[Callable[..., Any]]) -> None:
        # Threads of callbacks are done a moment after what they have brought.
        until(lambda: "rolekeeper-python" not in threads() and python_threads() == 1)
        gc.collect()
        clear_type_cache()
        self.objects = len(gc.get_objects())
        self.blocks = sys.getallocatedblocks()
        self.references = sum(map(sys.getrefcount, [*keepers, *functions]))
        self.threads = len(threads())
        self.resident_kib = resident_kib()

    def __str__(self) -> str:
        return (
            f"{self.resident_kib} KiB  {self.blocks} blocks  {self.objects} objects  "
            f"{self.references} references  {self.threads} threads"
        )


def clear_type_cache() -> None:
    """Python remembers some thousand look-ups of attributes, and fills that up in its own time."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        sys._clear_type_cache()


def python_threads() -> int:
    return len(sys._current_frames())


def resident_kib() -> int:
    with open("/proc/self/status") as status:
        line = next(line for line in status if line.startswith("VmRSS:"))
    return int(line.split()[1])


def read(keeper: Kept, count: int) -> None:
    ready = keeper.get_frozen_credentials
    for _ in itertools.repeat(None, count):
        ready()


def refresh(keeper: Kept, source: Any, number: int) -> None:
    if isinstance(source, Function) and number % FAILS_EACH == 0:
        source.fetcher.fails = True
        try:
            keeper._refresh_now()
        except Exception:  # noqa: BLE001 - whichever it is.
            source.fetcher.fails = False
        else:
            raise AssertionError("the source fails, and nobody was told")
    keeper._refresh_now()


def parts(reads: int, refreshes: int) -> Iterator[Weight]:
    events: list[str] = []

    def observer(event: Any) -> None:
        events[:] = [event.kind, event.name, str(event.error)]

    sources = [Function(), Native()]
    fails_when_told(sources[0])
    keepers = [source.keeper(observer=observer) for source in sources]
    for part in range(PARTS):
        for number in range(refreshes // PARTS // 2):
            for keeper, source in zip(keepers, sources, strict=True):
                refresh(keeper, source, number)
                read(keeper, reads // refreshes)
                keeper.rejected("ASIASOMEBODYELSE")
        weight = Weight(keepers, [observer, sources[0].fetcher])
        print(f"{100 * (part + 1) // PARTS:3} %  {weight}", flush=True)
        yield weight


def fails_when_told(source: Function) -> None:
    fetch = source.fetcher.__call__

    def fetch_or_fail() -> Any:
        if source.fetcher.fails:
            raise ConnectionError("down for once")
        return fetch()

    source.fetcher.fails = False
    source.keeper = lambda **options: Kept(_callback(fetch_or_fail), **options)


def _callback(function: Callable[[], Any]) -> Any:
    from rolekeeper._rolekeeper import Source

    return Source.callback("function", function)


if __name__ == "__main__":
    weights = parts(int(sys.argv[1]), int(sys.argv[2]))
    first = next(weights)
    # Those between are not kept: they would be weighed as well.
    last = first
    for last in weights:
        pass
    for what in ("threads", "references", "objects", "blocks"):
        more = getattr(last, what) - getattr(first, what)
        assert more < SLACK, f"{more} {what} are left over"
