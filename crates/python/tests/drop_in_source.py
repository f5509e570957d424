"""What the suites of the drop-in classes refresh from: a source that they hold, fail and count."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timezone
from typing import Any, TypeVar

from rolekeeper import DeferredRefreshableCredentials, RefreshableCredentials
from rolekeeper._rolekeeper import Clock

# Seconds after which something that should happen never will. Nothing takes them if all is well.
FAR_TOO_LONG = 30.0

_Result = TypeVar("_Result")


class Source:
    """A callable that makes sessions ``AKID-1``, ``AKID-2``, … by the clock given."""

    def __init__(self, clock: Clock, lifetime: float = 3600) -> None:
        self.clock = clock
        self.lifetime = lifetime
        self.error: BaseException | None = None
        self.calls = 0
        self._called = threading.Condition()
        self._open = threading.Event()
        self._open.set()

    def __call__(self) -> dict[str, Any]:
        with self._called:
            self.calls += 1
            number = self.calls
            self._called.notify_all()
        assert self._open.wait(FAR_TOO_LONG)
        if self.error is not None:
            raise self.error
        return self.metadata(number)

    def metadata(self, number: int) -> dict[str, Any]:
        return {
            "access_key": f"AKID-{number}",
            "secret_key": f"SECRET-{number}",
            "token": f"TOKEN-{number}",
            "expiry_time": self.clock.time() + self.lifetime,
        }

    def hold(self) -> None:
        """From now on calls don't come back."""
        self._open.clear()

    def let_go(self) -> None:
        self._open.set()

    def wait_for_call(self, number: int) -> None:
        with self._called:
            assert self._called.wait_for(lambda: self.calls >= number, FAR_TOO_LONG)


def started(
    source: Source, *, mode: str, policy: str = "default", **arguments: Any
) -> RefreshableCredentials:
    """Credentials by the source's clock that hold its session ``AKID-0``."""

    class Credentials(RefreshableCredentials):
        refresh_mode = mode  # type: ignore[assignment]
        refresh_policy = policy  # type: ignore[assignment]
        _clock = source.clock

    return Credentials.create_from_metadata(source.metadata(0), source, "test", **arguments)


def deferred(
    source: Source, *, mode: str, policy: str = "default", **arguments: Any
) -> DeferredRefreshableCredentials:
    """Credentials by the source's clock that hold nothing yet."""

    class Credentials(DeferredRefreshableCredentials):
        refresh_mode = mode  # type: ignore[assignment]
        refresh_policy = policy  # type: ignore[assignment]
        _clock = source.clock

    return Credentials(source, "test", **arguments)


def key(credentials: RefreshableCredentials) -> str:
    """What a signer would sign with."""
    access_key: str = credentials.get_frozen_credentials().access_key
    return access_key


def all_at_once(readers: int, read: Callable[[], _Result]) -> Sequence[_Result]:
    """What each of so many threads reads, none of which may take for ever."""
    with ThreadPoolExecutor(readers) as threads:
        together = threading.Barrier(readers)

        def one() -> _Result:
            together.wait(FAR_TOO_LONG)
            return read()

        running = [threads.submit(one) for _ in range(readers)]
        return [reading.result(FAR_TOO_LONG) for reading in running]


def wait_until(is_so: Callable[[], bool]) -> None:
    """For what another thread is about to do."""
    give_up = time.monotonic() + FAR_TOO_LONG
    while not is_so():
        assert time.monotonic() < give_up, "it never came about"
        time.sleep(0.001)


def at(epoch: float) -> datetime:
    return datetime.fromtimestamp(epoch, timezone.utc)
