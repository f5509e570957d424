"""What becomes of a session is told to callbacks and to the log, and neither can do any harm."""

from __future__ import annotations

import logging
import queue
from datetime import datetime, timedelta, timezone
from typing import TYPE_CHECKING, Any

import pytest

import rolekeeper
from rolekeeper.events import Event, Listeners

if TYPE_CHECKING:
    from rolekeeper.testing import Sandbox

# Seconds: an event comes at once; this is for a machine that is busy.
SOON = 30


class Heard:
    """Takes events in, from the thread that tells them."""

    def __init__(self) -> None:
        self._events: queue.SimpleQueue[Event] = queue.SimpleQueue()

    def __call__(self, event: Event) -> None:
        self._events.put(event)

    def at_once(self) -> Event:
        return self._events.get_nowait()

    def next(self) -> Event:
        return self._events.get(timeout=SOON)


@pytest.fixture
def heard() -> Heard:
    return Heard()


def session_of(sandbox: Sandbox, **options: Any) -> rolekeeper.Session:
    return rolekeeper.Session(role_arn=sandbox.role_arn("demo"), **options)


def test_a_new_session_is_told_with_its_end(rolekeeper_sandbox: Sandbox, heard: Heard) -> None:
    with session_of(rolekeeper_sandbox, on_event=heard, duration_seconds=900) as session:
        session.refresh_now()
        event = heard.next()
    assert event.kind == "fetched"
    assert event.role == rolekeeper_sandbox.role_arn("demo")
    assert event.generation == 1
    assert 0 < event.remaining <= 901, "STS' Date has whole seconds"
    assert event.expiration is not None
    assert event.expiration.tzinfo is timezone.utc
    assert timedelta(0) < event.expiration - event.at <= timedelta(seconds=902)
    assert abs(event.at - datetime.now(timezone.utc)) < timedelta(seconds=SOON)
    assert event.error is None


def test_a_failed_fetch_is_told_with_its_reason(rolekeeper_sandbox: Sandbox, heard: Heard) -> None:
    with session_of(rolekeeper_sandbox, on_event=heard) as session:
        session.refresh_now()
        assert heard.next().kind == "fetched"
        rolekeeper_sandbox.refuse("AccessDenied")
        with pytest.raises(rolekeeper.DeniedError):
            session.refresh_now()
        event = heard.next()
    assert event.kind == "failed"
    assert isinstance(event.error, rolekeeper.DeniedError)
    assert event.error.code == "AccessDenied"
    assert event.remaining > 3000, "the session that is held is still valid"


def test_a_rejected_key_is_told(rolekeeper_sandbox: Sandbox, heard: Heard) -> None:
    with session_of(rolekeeper_sandbox, on_event=heard) as session:
        key = session.get_credentials().get_frozen_credentials().access_key
        assert heard.next().kind == "fetched"
        session.rejected(key)
        event = heard.next()
        assert (event.kind, event.access_key) == ("rejected", key)


def test_several_listeners_are_told_the_same(rolekeeper_sandbox: Sandbox) -> None:
    first, second, third = Heard(), Heard(), Heard()
    with session_of(rolekeeper_sandbox, on_event=[first, second]) as session:
        assert session.on_event(third) is third, "so that it can be used as a decorator"
        session.refresh_now()
        assert first.next() == second.next() == third.next()


def test_a_listener_that_raises_is_logged_and_harms_nobody(
    rolekeeper_sandbox: Sandbox, heard: Heard, caplog: pytest.LogCaptureFixture
) -> None:
    def bad(event: Event) -> None:
        raise RuntimeError("what a mess")

    with session_of(rolekeeper_sandbox, on_event=[bad, heard]) as session:
        session.refresh_now()
        assert heard.next().kind == "fetched"
        session.refresh_now()
        assert heard.next().generation == 2
        session.client("rds").describe_db_instances()
    told = [record for record in caplog.records if record.name == "rolekeeper" and record.exc_info]
    assert "what a mess" in caplog.text
    assert len(told) == 2


def test_the_log_tells_of_fetches_and_failures_at_their_levels(
    rolekeeper_sandbox: Sandbox, heard: Heard, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "rolekeeper")
    with session_of(rolekeeper_sandbox, on_event=heard) as session:
        session.refresh_now()
        heard.next()
        rolekeeper_sandbox.refuse("AccessDenied")
        with pytest.raises(rolekeeper.DeniedError):
            session.refresh_now()
        heard.next()
    fetched, failed = (record for record in caplog.records if record.name == "rolekeeper")
    arn = rolekeeper_sandbox.role_arn("demo")
    assert fetched.levelno == logging.INFO
    assert fetched.getMessage().startswith(f"{arn}: session 1 (fetched) lasts until 20")
    assert failed.levelno == logging.WARNING
    assert "the one held is valid for" in failed.getMessage()
    assert "AccessDenied" in failed.getMessage()


def test_neither_events_nor_the_log_hold_a_secret(
    rolekeeper_sandbox: Sandbox, heard: Heard, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    with session_of(rolekeeper_sandbox, on_event=heard) as session:
        session.refresh_now()
        frozen = session.get_credentials().get_frozen_credentials()
        rolekeeper_sandbox.fail()
        with pytest.raises(rolekeeper.UnavailableError) as caught:
            session.refresh_now()
        said = f"{heard.next()!r} {heard.next()!r} {caught.value!r} {session!r} {caplog.text}"
    secrets = (
        frozen.secret_key,
        frozen.token,
        rolekeeper_sandbox.environment["AWS_SECRET_ACCESS_KEY"],
    )
    assert not any(secret in said for secret in secrets)


def test_a_listener_that_is_removed_hears_no_more(heard: Heard) -> None:
    another = Heard()
    listeners = Listeners([another, heard])
    listeners.remove(another)
    listeners.remove(print)
    event: Any = FakeEvent("expired")
    listeners(event)
    assert heard.next().kind == "expired"
    with pytest.raises(queue.Empty):
        another.at_once()


class FakeEvent:
    """The native side's, for the kinds that take a long time to come about."""

    def __init__(self, kind: str) -> None:
        self.kind, self.name = kind, "arn:aws:iam::123456789012:role/etl"
        self.at, self.generation, self.remaining = 1_800_000_000.0, 3, 0.0
        self.expiration = self.error = self.access_key = None


@pytest.mark.parametrize(
    ("kind", "level", "words"),
    [
        ("expired", logging.ERROR, "session 3 has ended, and there is no newer one"),
        ("let-go", logging.INFO, "nobody reads session 3"),
        ("failed", logging.WARNING, "none is held"),
    ],
)
def test_the_rarer_events_are_told_too(
    kind: str, level: int, words: str, heard: Heard, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "rolekeeper")
    event: Any = FakeEvent(kind)
    Listeners([heard])(event)
    (record,) = caplog.records
    assert record.levelno == level
    assert words in record.getMessage()
    assert heard.next().at == datetime(2027, 1, 15, 8, tzinfo=timezone.utc)


@pytest.mark.parametrize("listener", [7, "print", [print, 7]])
def test_a_listener_that_can_not_be_called_is_refused(listener: Any) -> None:
    role = "arn:aws:iam::123456789012:role/etl"
    with pytest.raises(rolekeeper.ConfigurationError, match="on_event"):
        rolekeeper.Session(role_arn=role, region_name="us-east-1", on_event=listener)
