"""Keepers of both sorts for the programs here: of a native source, which asks a sandbox, and of a
Python function. They need nothing but the native module.
"""

from __future__ import annotations

import itertools
import os
import threading
import time
from collections.abc import Callable
from typing import Any

from rolekeeper import _rolekeeper
from rolekeeper._rolekeeper import Base, Keeper, Source

ROLE = "arn:aws:iam::123456789012:role/demo"
HOUR = 3600.0


class Kept(Keeper):
    """Reads give (access_key, secret_key, token)."""

    def __init__(self, source: Source, mode: str = "background", **options: Any) -> None:
        self.source, self.mode, self.options = source, mode, options

    def _start(self) -> None:
        self._open(self.source, mode=self.mode, **self.options)

    def _freeze(self, *parts: Any) -> tuple[Any, ...]:
        return parts[:3]


class Fetcher:
    """A source that, told so, blocks until it is let go.

    It takes no lock while it doesn't block: one that a thread of the parent's holds at a fork would
    stay locked in the child for ever.
    """

    def __init__(self, lifetime: float = HOUR) -> None:
        self.lifetime = lifetime
        self.numbers = itertools.count(1)
        self.entered = threading.Event()
        self.gate: threading.Event | None = None

    def __call__(self) -> tuple[Any, ...]:
        gate = self.gate
        if gate is not None:
            self.entered.set()
            gate.wait()
        return answer(f"ASIA{os.getpid()}N{next(self.numbers)}", self.lifetime)

    def block(self) -> None:
        self.entered, self.gate = threading.Event(), threading.Event()

    def unblock(self) -> None:
        gate, self.gate = self.gate, None
        if gate is not None:
            gate.set()

    def unblock_child(self) -> None:
        self.gate = None

    def keeper(self, mode: str = "background", **options: Any) -> Kept:
        return Kept(Source.callback("function", self), mode, **options)


def answer(key: str, lifetime: float = HOUR) -> tuple[Any, ...]:
    """A session whose parts belong together: each tells its key."""
    return (key, f"secret of {key}", f"token of {key}", time.time() + lifetime)


def assumed(endpoint_url: str, mode: str = "background", **options: Any) -> Kept:
    """The sessions of the sandbox's role ``demo``, asked for by the native side alone."""
    source = Source.assume_role(
        ROLE, base=Base.default_chain(), region="us-east-1", endpoint_url=endpoint_url
    )
    return Kept(source, mode, **options)


def within(seconds: float, work: Callable[[], Any]) -> Any:
    """What `work` gives, which must not take longer."""
    began = time.monotonic()
    result = work()
    took = time.monotonic() - began
    assert took < seconds, f"it took {took:.3f} s, not {seconds} s"
    return result


def until(condition: Callable[[], Any], seconds: float = 10.0) -> None:
    """Waits for what another thread brings about."""
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it never came about"
        time.sleep(0.002)


def threads() -> list[str]:
    """The names of all of this process's threads, native ones as well."""
    names = []
    for thread in os.listdir("/proc/self/task"):
        try:
            with open(f"/proc/self/task/{thread}/comm") as file:
                names.append(file.read().strip())
        except OSError:
            pass  # It has ended since.
    return names


def in_background(work: Callable[[], Any]) -> threading.Thread:
    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    return thread


__all__ = [
    "HOUR",
    "ROLE",
    "Fetcher",
    "Kept",
    "_rolekeeper",
    "answer",
    "assumed",
    "in_background",
    "threads",
    "until",
    "within",
]
