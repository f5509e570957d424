"""Who is compared: our class and botocore's, made alike and asked alike."""

from __future__ import annotations

import itertools
import threading
import time
from collections.abc import Callable
from datetime import datetime, timezone
from typing import Any

from botocore.credentials import Credentials
from botocore.credentials import DeferredRefreshableCredentials as BotocoreDeferred
from botocore.credentials import RefreshableCredentials as Botocore

import rolekeeper

Ours = rolekeeper.RefreshableCredentials
OursDeferred = rolekeeper.DeferredRefreshableCredentials

HOUR = 3600

__all__ = ["Botocore", "BotocoreDeferred", "Credentials", "Ours", "OursDeferred"]


class Source:
    """Makes sessions of `lifetime` seconds, taking `delay` seconds for each; or fails as slowly."""

    def __init__(
        self,
        *,
        lifetime: float = HOUR,
        delay: float = 0.0,
        works: bool = True,
        now: Callable[[], float] = time.time,
    ) -> None:
        self.calls = 0
        self._now = now
        self.under_way = threading.Event()
        self._lifetime = lifetime
        self._delay = delay
        self._works = works
        self._numbers = itertools.count(1)

    def __call__(self) -> dict[str, str]:
        # Never two at once, with either class.
        self.calls += 1
        self.under_way.set()
        time.sleep(self._delay)
        if not self._works:
            raise ConnectionError("the source is down")
        return self.session(self._lifetime)

    def session(self, lifetime: float) -> dict[str, str]:
        ends = datetime.fromtimestamp(self._now() + lifetime, timezone.utc)
        return {
            "access_key": f"ASIAEXAMPLE{next(self._numbers):09}",
            "secret_key": "a-secret",
            "token": "a-token",
            "expiry_time": ends.isoformat(),
        }


def holding(kind: Any, source: Source, lifetime: float) -> Any:
    """Credentials that hold a session with so many seconds left."""
    return kind.create_from_metadata(
        metadata=source.session(lifetime),
        refresh_using=source,
        method="bench",
    )


def deferred(kind: Any, source: Source) -> Any:
    """Credentials that hold nothing yet."""
    return kind(refresh_using=source, method="bench")


def static() -> Credentials:
    return Credentials("AKIAEXAMPLE", "a-secret", "a-token")


def reader(credentials: Any) -> Callable[[], Any]:
    read: Callable[[], Any] = credentials.get_frozen_credentials
    return read
