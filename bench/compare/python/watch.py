"""Readers that read about every millisecond, and what they felt: threads, or tasks of asyncio."""

from __future__ import annotations

import asyncio
import contextlib
import threading
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any

# Between two reads of one reader.
PAUSE = 0.001
# Whoever waits this long has waited for the source, not for a CPU.
STALL = 0.05
# A plot shows the worst read of each of these.
SLICE = 0.02
# Many threads at once, none of which calls deeply.
STACK = 512 * 1024


@dataclass
class Felt:
    """What the readers of one watch felt."""

    # When each read began, how long it took, both in seconds, and whether it gave credentials.
    reads: list[tuple[float, float, bool]] = field(default_factory=list)
    stalled: int = 0

    def add(self, reads: list[tuple[float, float, bool]]) -> None:
        self.reads += reads
        self.stalled += any(took >= STALL for _, took, _ in reads)

    @property
    def failed(self) -> int:
        return sum(not served for _, _, served in self.reads)

    def served_within(self, seconds: float) -> int:
        return sum(served and at + took < seconds for at, took, served in self.reads)

    @property
    def worst(self) -> float:
        """In milliseconds."""
        return max(took for _, took, _ in self.reads) * 1e3

    def points(self, zero: float = 0.0) -> list[tuple[float, float, int]]:
        """The worst read of each slice of time, those that failed apart."""
        worst: dict[tuple[int, bool], tuple[float, float, int]] = {}
        for at, took, served in self.reads:
            slice_ = int(at / SLICE), served
            if slice_ not in worst or took * 1e3 > worst[slice_][1]:
                worst[slice_] = (at - zero, took * 1e3, int(served))
        return sorted(worst.values())


class Threads:
    """Reads are calls."""

    word, name, told = "threads", "Python", "threads"

    def one(self, read: Callable[[], Any]) -> None:
        read()

    def many(self, read: Callable[[], Any], count: int) -> None:
        for _ in range(count):
            # One that fails is counted by the source all the same.
            with contextlib.suppress(Exception):
                read()

    def made(self, make: Callable[[], Any]) -> Any:
        return make()

    def watch(
        self,
        read: Callable[[], Any],
        readers: int,
        seconds: float,
        script: Callable[[], None] = lambda: None,
    ) -> Felt:
        """So many read for so long, while the script runs beside them."""
        felt, lock, gate = Felt(), threading.Lock(), threading.Barrier(readers + 2)

        def work() -> None:
            reads = []
            gate.wait()
            begin = time.perf_counter()
            while (before := time.perf_counter()) < begin + seconds:
                served = True
                try:
                    read()
                except Exception:  # noqa: BLE001
                    served = False
                reads.append((before - begin, time.perf_counter() - before, served))
                time.sleep(PAUSE)
            with lock:
                felt.add(reads)

        def scripted() -> None:
            gate.wait()
            script()

        threads = [threading.Thread(target=work, daemon=True) for _ in range(readers)]
        threads.append(threading.Thread(target=scripted, daemon=True))
        for thread in threads:
            thread.start()
        gate.wait()
        for thread in threads:
            thread.join()
        return felt

    def all_at_once(self, read: Callable[[], Any], readers: int) -> float:
        """Seconds from when all may begin until the last one has been served."""
        gate, ends = threading.Barrier(readers + 1), []

        def work() -> None:
            gate.wait()
            read()
            ends.append(time.perf_counter())

        before = threading.stack_size(STACK)
        threads = [threading.Thread(target=work, daemon=True) for _ in range(readers)]
        for thread in threads:
            thread.start()
        threading.stack_size(before)
        gate.wait()
        begin = time.perf_counter()
        for thread in threads:
            thread.join()
        if len(ends) < readers:
            raise RuntimeError("a read failed at a cold start")
        return max(ends) - begin

    def cost(self, read: Callable[[], Any], calls: int) -> float:
        """CPU nanoseconds a call."""
        before = time.thread_time_ns()
        for _ in range(calls):
            read()
        return (time.thread_time_ns() - before) / calls


class Tasks:
    """Reads are awaited, all in one event loop."""

    word, name, told = "asyncio", "asyncio", "tasks of asyncio"

    def __init__(self) -> None:
        self.loop = asyncio.new_event_loop()

    def one(self, read: Callable[[], Awaitable[Any]]) -> None:
        self.made(read)

    def many(self, read: Callable[[], Awaitable[Any]], count: int) -> None:
        async def work() -> None:
            for _ in range(count):
                with contextlib.suppress(Exception):
                    await read()

        self.loop.run_until_complete(work())

    def made(self, make: Callable[[], Awaitable[Any]]) -> Any:
        async def work() -> Any:
            return await make()

        return self.loop.run_until_complete(work())

    def watch(
        self,
        read: Callable[[], Awaitable[Any]],
        readers: int,
        seconds: float,
        script: Callable[[], None] = lambda: None,
    ) -> Felt:
        felt = Felt()

        async def work(begin: float) -> None:
            reads = []
            while (before := time.perf_counter()) < begin + seconds:
                served = True
                try:
                    await read()
                except Exception:  # noqa: BLE001
                    served = False
                reads.append((before - begin, time.perf_counter() - before, served))
                await asyncio.sleep(PAUSE)
            felt.add(reads)

        async def all_() -> None:
            begin = time.perf_counter()
            await asyncio.gather(*(work(begin) for _ in range(readers)))

        # The script blocks, and the loop must not.
        beside = threading.Thread(target=script, daemon=True)
        beside.start()
        self.loop.run_until_complete(all_())
        beside.join()
        return felt

    def all_at_once(self, read: Callable[[], Awaitable[Any]], readers: int) -> float:
        async def all_() -> float:
            begin = time.perf_counter()
            await asyncio.gather(*(read() for _ in range(readers)))
            return time.perf_counter() - begin

        return self.loop.run_until_complete(all_())

    def cost(self, read: Callable[[], Awaitable[Any]], calls: int) -> float:
        async def work() -> float:
            before = time.thread_time_ns()
            for _ in range(calls):
                await read()
            return (time.thread_time_ns() - before) / calls

        return self.loop.run_until_complete(work())
