"""Python's drop-in classes as a face that cases are run against."""

from __future__ import annotations

import threading
import time
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

from botocore.exceptions import ClientError

from conformance_cases import Case, seconds
from drop_in_source import FAR_TOO_LONG, key, wait_until
from rolekeeper import (
    BadAnswerError,
    ConfigurationError,
    DeferredRefreshableCredentials,
    DeniedError,
    NeedsPersonError,
    UnavailableError,
)
from rolekeeper._rolekeeper import Clock
from rolekeeper.errors import Error, classify

# The shortest time that these cases tell apart, and what may go by unasked: time is real here.
INSTANT = LATE = 1.0

# A machine that does so little in this time is too slow for the shortest backoff of 100 ms.
_HELD_UP = 0.05

_NAP = 0.001

# A reader that comes back from a wait for nothing does so within this. Too short on a slow machine,
# it would be found out a step later, by what the reader got.
_A_MOMENT = 0.003

_ERRORS: dict[str, type[Error]] = {
    group.kind: group
    for group in (
        UnavailableError,
        DeniedError,
        NeedsPersonError,
        ConfigurationError,
        BadAnswerError,
    )
}

_MODES = {
    "background": ("background", "default"),
    "on-demand": ("on-demand", "default"),
    "sdk-standard": ("on-demand", "sdk-standard"),
}


@dataclass(frozen=True)
class Facts:
    """What can be known from outside."""

    calls: int
    key: str | None
    remaining: float
    next_refresh: float | None
    last_error: str | None
    next_try: float | None
    rejected: bool


class Face:
    """One object of credentials with a source, a clock and readers, moved by a case."""

    def __init__(self, case: Case) -> None:
        self.clock = Clock()
        self.source = Source(self.clock, case.source)
        mode, policy = _MODES[case.policy]
        self._in_background = mode == "background"
        settings = {name: seconds(value) for name, value in case.settings.items()}

        class Credentials(DeferredRefreshableCredentials):
            refresh_mode = mode  # type: ignore[assignment]
            refresh_policy = policy  # type: ignore[assignment]
            attempt_timeout = settings.pop("attempt_timeout", 30.0)
            read_deadline = settings.pop("read_deadline", 30.0)
            _clock = self.clock

        windows = {f"{name}_timeout": window for name, window in settings.items()}
        self._credentials = Credentials(self.source, "conformance", **windows)
        self._readers = ThreadPoolExecutor(16)
        self._waiting: list[Future[str]] = []
        # Which attempt was under way when it was last looked, and since when.
        self._attempt = (0, 0.0)
        self._looked = time.monotonic()
        self._was_held_up = False

    def close(self) -> None:
        # Whoever still waits goes home.
        self.source.does({"lives": "1 h"})
        self._readers.shutdown()
        self._credentials.close()

    # === Time ===

    def let_pass(self, length: float) -> None:
        end = self.clock.time() + length
        while (left := end - self.clock.time()) > 0:
            due = self._due()
            self._add(max(_NAP, left if due is None else min(due, left)))

    def sleep(self, length: float) -> None:
        self._add(length)

    def pause(self, length: float) -> None:
        """The elapsed clock misses it, the wall clock is set right after."""
        self.clock.step_wall(round(length))
        self._settle()

    def step_wall(self, by: str) -> None:
        length, _, way = by.rpartition(" ")
        step = round(seconds(length)) * {"ahead": 1, "back": -1}[way]
        self.source.wall_is_ahead += step
        self.clock.step_wall(step)
        self._settle()

    def was_held_up(self) -> bool:
        """Whether the machine was so slow since it was last asked that nothing can be said."""
        was = self._was_held_up or self._is_late()
        self._was_held_up, self._looked = False, time.monotonic()
        return was

    def _is_late(self) -> bool:
        return time.monotonic() - self._looked > _HELD_UP

    def _add(self, length: float) -> None:
        self._was_held_up |= self._is_late()
        self.clock.advance(length)
        self.source.added += length
        self._looked = time.monotonic()
        self._settle()

    # === The refresher, which is at work on threads of its own ===

    def _due(self) -> float | None:
        """When it has something to do, if nothing happens before."""
        status = self._credentials._status()
        if not self._in_background or status is None:
            return None
        if self._is_fetching():
            limit = self._attempt[1] + self._credentials.attempt_timeout
            return max(0.0, limit - self.source.elapsed())
        error: Any = status.last_error
        return status.next_refresh if error is None else error.next_try

    def _is_fetching(self) -> bool:
        status = self._credentials._status()
        if status is None:
            return False
        is_fetching = status.fetches > status.failures + status.generation
        if is_fetching and status.fetches != self._attempt[0]:
            self._attempt = (status.fetches, self.source.elapsed())
        return is_fetching

    def _settle(self) -> None:
        """Waits until it has done what is due."""

        def rests() -> bool:
            is_over = not self._is_fetching() or self.source.is_hanging()
            return is_over and self._due() != 0

        if self._in_background and self._credentials._is_open:
            wait_until(rests)

    # === The world ===

    def tell_source(self, behaviour: dict[str, Any]) -> None:
        self.source.does(behaviour)
        if "hangs" not in behaviour:
            wait_until(lambda: not self._is_fetching())
        self._settle()

    def reject(self, access_key: str) -> None:
        self._credentials.rejected(access_key)
        self._settle()

    # === Readers ===

    def read(self) -> str:
        """The key that a reader is served, or the kind of what it is refused with."""
        outcome = self._outcome()
        self._settle()
        return outcome

    def come(self, readers: int) -> None:
        """So many come who will have to wait, and a fetch is under way after that."""
        self._waiting += [self._readers.submit(self._outcome) for _ in range(readers)]
        wait_until(self.source.is_hanging)
        time.sleep(_A_MOMENT)

    def waiting(self) -> list[bool]:
        return [not reader.done() for reader in self._waiting]

    def come_back(self) -> list[str]:
        waited, self._waiting = self._waiting, []
        return [reader.result(FAR_TOO_LONG) for reader in waited]

    def _outcome(self) -> str:
        try:
            return key(self._credentials)
        except Exception as error:  # noqa: BLE001  Whatever it is, it is what the reader got.
            return classify(error)[0]

    def facts(self) -> Facts:
        status = self._credentials._status()
        if status is None:
            return Facts(self.source.calls, None, 0, None, None, None, False)
        error: Any = status.last_error
        return Facts(
            calls=self.source.calls,
            key=status.access_key,
            remaining=status.remaining,
            next_refresh=status.next_refresh,
            last_error=None if error is None else error.kind,
            next_try=None if error is None else error.next_try,
            rejected=status.rejected,
        )


class Source:
    """A callable that does what a case says; its sessions end by a clock that nobody here steps."""

    def __init__(self, clock: Clock, behaviour: dict[str, Any]) -> None:
        self.calls = 0
        self.most_at_once = 0
        self.wall_is_ahead = 0
        self.added = 0.0
        self._clock = clock
        self._behaviour = behaviour
        self._told = threading.Condition()
        self._under_way = 0
        self._last_key = ""

    def __call__(self) -> dict[str, Any]:
        with self._told:
            self.calls += 1
            number = self.calls
            self._under_way += 1
            self.most_at_once = max(self.most_at_once, self._under_way)
            assert self._told.wait_for(lambda: "hangs" not in self._behaviour, 4 * FAR_TOO_LONG)
            self._under_way -= 1
            behaviour = self._behaviour
        if "fails" in behaviour:
            raise _error(behaviour)
        if not self._last_key or not behaviour.get("same_key"):
            self._last_key = f"K{number}"
        now = self._clock.time() - self.wall_is_ahead
        return {
            "access_key": self._last_key,
            "secret_key": "the-secret",
            "token": "the-token",
            "expiry_time": now + seconds(behaviour["lives"]),
        }

    def does(self, behaviour: dict[str, Any]) -> None:
        with self._told:
            self._behaviour = behaviour
            self._told.notify_all()

    def is_hanging(self) -> bool:
        with self._told:
            return self._under_way > 0 and "hangs" in self._behaviour

    def elapsed(self) -> float:
        return time.monotonic() + self.added


def _error(behaviour: dict[str, Any]) -> BaseException:
    kind = behaviour["fails"]
    if kind != "unavailable" or "retry_after" not in behaviour:
        return _ERRORS[kind]("as the case says")
    # Only AWS' own refusals tell how long to leave it alone.
    about = {
        "HTTPStatusCode": 400,
        "HTTPHeaders": {"retry-after": str(seconds(behaviour["retry_after"]))},
    }
    refusal = {"Code": "Throttling", "Message": "Rate exceeded"}
    return ClientError({"Error": refusal, "ResponseMetadata": about}, "AssumeRole")
