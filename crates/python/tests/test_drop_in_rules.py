"""When the drop-in classes ask their source, and what readers get meanwhile: in the background, on
demand, and by the rules that the AWS SDKs converge on.
"""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import botocore.exceptions
import pytest

from drop_in_source import (
    FAR_TOO_LONG,
    Source,
    all_at_once,
    deferred,
    key,
    started,
    wait_until,
)
from rolekeeper import DeniedError, Error, NeedsPersonError, RefreshableCredentials
from rolekeeper._rolekeeper import Clock
from rolekeeper.errors import UnavailableError

MODES = ["background", "on-demand"]
READERS = 32

# Seconds of remaining time: before any window, in botocore's two windows, in our own last one.
WINDOWS = {"before the windows": 3300, "advisory": 800, "mandatory": 500, "last minute": 30}


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def source(clock: Clock) -> Source:
    return Source(clock)


def age(credentials: RefreshableCredentials, source: Source, remaining: float) -> None:
    """Lets the session get so old."""
    source.clock.advance(credentials.remaining - remaining)


def failures(credentials: RefreshableCredentials) -> int:
    status = credentials._status()
    assert status is not None
    return status.failures


def reads(credentials: RefreshableCredentials, times: int) -> set[str]:
    return {key(credentials) for _ in range(times)}


# === In the background: nobody waits while a session is valid ===


@pytest.mark.parametrize("remaining", WINDOWS.values(), ids=WINDOWS)
def test_in_the_background_nobody_waits_for_a_source_that_takes_its_time(
    source: Source, remaining: float
) -> None:
    source.hold()
    credentials = started(source, mode="background")
    age(credentials, source, remaining)
    if remaining < 3000:
        source.wait_for_call(1)
    # The source is still held: whoever waited for it would not come back.
    assert set(all_at_once(READERS, lambda: key(credentials))) == {"AKID-0"}
    source.let_go()
    if remaining < 3000:
        wait_until(lambda: key(credentials) == "AKID-1")
    assert source.calls == (1 if remaining < 3000 else 0)


@pytest.mark.parametrize("remaining", WINDOWS.values(), ids=WINDOWS)
def test_in_the_background_nobody_notices_a_source_that_is_down(
    source: Source, remaining: float
) -> None:
    source.error = OSError("no route to host")
    credentials = started(source, mode="background")
    age(credentials, source, remaining)
    if remaining < 3000:
        wait_until(lambda: credentials.last_error is not None)
    assert set(all_at_once(READERS, lambda: key(credentials))) == {"AKID-0"}
    assert reads(credentials, 1000) == {"AKID-0"}
    # The backoff of half a second and more of real time allows for a few, readers for none.
    assert source.calls <= 10


def test_in_the_background_the_source_is_asked_by_the_backoff_and_not_by_the_readers(
    source: Source,
) -> None:
    source.error = OSError("no route to host")
    credentials = started(source, mode="background")
    age(credentials, source, 1200)
    for jump in range(10):
        before = source.calls
        wait_until(lambda so_far=jump: failures(credentials) > so_far)
        assert reads(credentials, 100) == {"AKID-0"}
        source.clock.advance(31)  # Longer than the longest wait.
        source.wait_for_call(before + 1)
    assert source.calls <= 50
    wait_until(lambda: failures(credentials) > 10)
    error = credentials.last_error
    assert isinstance(error, UnavailableError)
    assert error.__cause__ is source.error
    assert "no route to host" in str(error)
    assert error.attempts > 10
    assert error.next_try is not None
    assert 0 <= error.next_try <= 30
    assert error.valid_until is not None
    assert error.valid_until == credentials.expiration


def test_the_background_recovers_by_itself(source: Source) -> None:
    source.error = OSError("no route to host")
    credentials = started(source, mode="background")
    age(credentials, source, 1200)
    wait_until(lambda: credentials.last_error is not None)
    source.error = None
    source.clock.advance(31)
    wait_until(lambda: credentials.generation == 2)
    assert credentials.last_error is None
    assert key(credentials).startswith("AKID-")
    assert key(credentials) != "AKID-0"


def test_when_nothing_is_valid_all_wait_for_one_call(source: Source) -> None:
    source.hold()
    credentials = deferred(source, mode="background")
    with ThreadPoolExecutor(READERS) as threads:
        reading = [threads.submit(key, credentials) for _ in range(READERS)]
        source.wait_for_call(1)
        assert not any(read.done() for read in reading)
        source.let_go()
        assert {read.result(FAR_TOO_LONG) for read in reading} == {"AKID-1"}
    assert source.calls == 1


@pytest.mark.parametrize("mode", MODES)
def test_when_nothing_is_valid_and_the_source_is_down_the_readers_share_the_failures(
    source: Source, mode: str
) -> None:
    source.error = OSError("no route to host")
    credentials = started(source, mode=mode)
    source.clock.advance(4000)

    def failure() -> BaseException:
        with pytest.raises((OSError, Error), match="no route to host") as caught:
            credentials.get_frozen_credentials()
        return caught.value

    assert len(all_at_once(READERS, failure)) == READERS
    for _ in range(100):
        failure()
    assert source.calls <= 10


# === On demand ===


def test_on_demand_one_reader_refreshes_ahead_of_time_and_nobody_else_waits(
    source: Source,
) -> None:
    credentials = started(source, mode="on-demand")
    age(credentials, source, 600)
    source.hold()
    with ThreadPoolExecutor(1) as threads:
        refreshing = threads.submit(key, credentials)
        source.wait_for_call(1)
        assert set(all_at_once(READERS, lambda: key(credentials))) == {"AKID-0"}
        source.let_go()
        assert refreshing.result(FAR_TOO_LONG) == "AKID-1"
    assert source.calls == 1


def test_on_demand_all_wait_for_one_call_in_the_last_minute(source: Source) -> None:
    credentials = started(source, mode="on-demand")
    age(credentials, source, 30)
    source.hold()
    with ThreadPoolExecutor(READERS) as threads:
        reading = [threads.submit(key, credentials) for _ in range(READERS)]
        source.wait_for_call(1)
        source.let_go()
        assert {read.result(FAR_TOO_LONG) for read in reading} == {"AKID-1"}
    assert source.calls == 1


@pytest.mark.parametrize("remaining", [800, 30], ids=["advisory", "last minute"])
def test_on_demand_nobody_notices_a_source_that_is_down_while_a_session_is_valid(
    source: Source, remaining: float
) -> None:
    source.error = OSError("no route to host")
    credentials = started(source, mode="on-demand")
    age(credentials, source, remaining)
    assert set(all_at_once(READERS, lambda: key(credentials))) == {"AKID-0"}
    assert reads(credentials, 1000) == {"AKID-0"}
    assert 1 <= source.calls <= 10
    assert credentials.last_error is not None


def test_on_demand_nobody_asks_between_reads(source: Source) -> None:
    credentials = started(source, mode="on-demand")
    key(credentials)
    source.clock.advance(90_000)
    assert source.calls == 0
    assert key(credentials) == "AKID-1"


# === How often ===


@pytest.mark.parametrize(
    ("mode", "windows"),
    [
        ("background", {}),
        ("background", {"advisory_timeout": 900}),
        ("on-demand", {}),
        ("on-demand", {"advisory_timeout": 900}),
        ("on-demand", {"advisory_timeout": 900, "mandatory_timeout": 600}),
    ],
)
def test_a_session_of_900_seconds_is_read_a_thousand_times_with_one_call(
    clock: Clock, mode: str, windows: dict[str, Any]
) -> None:
    source = Source(clock, 900)
    credentials = deferred(source, mode=mode, **windows)
    for _ in range(1000):
        assert key(credentials) == "AKID-1"
        clock.advance(0.2)
    assert source.calls == 1


@pytest.mark.parametrize("mode", MODES)
def test_hours_of_short_sessions_take_few_calls_and_no_dead_session(
    clock: Clock, mode: str
) -> None:
    source = Source(clock, 900)
    credentials = deferred(source, mode=mode)
    # Time leaps here, and may do so in the middle of a call.
    credentials.attempt_timeout = 3600
    for _ in range(6 * 60):
        key(credentials)
        assert credentials.remaining > 0
        clock.advance(60)
        if mode == "background":
            # The refresher has the time that a minute gives it.
            wait_until(lambda: credentials.remaining > 200)
    assert 6 * 4 <= source.calls <= 6 * 4 * 4


# === What cannot be helped by trying again ===


@pytest.mark.parametrize("mode", MODES)
def test_a_denied_refresh_is_tried_again_once_a_minute_while_the_session_is_served(
    source: Source, mode: str
) -> None:
    source.error = DeniedError("the role is gone")
    credentials = started(source, mode=mode)
    age(credentials, source, 800)
    key(credentials)
    wait_until(lambda: credentials.last_error is not None)
    assert reads(credentials, 1000) == {"AKID-0"}
    assert source.calls == 1
    error = credentials.last_error
    assert isinstance(error, DeniedError)
    assert not error.retryable
    assert "the role is gone" in str(error)
    source.clock.advance(67)
    key(credentials)
    source.wait_for_call(2)
    assert reads(credentials, 100) == {"AKID-0"}
    assert source.calls == 2


@pytest.mark.parametrize("mode", MODES)
def test_a_denial_with_nothing_valid_reaches_every_reader(source: Source, mode: str) -> None:
    source.error = DeniedError("the role is gone", code="NoSuchRole", hint="ask Ann")
    credentials = deferred(source, mode=mode)
    with pytest.raises(DeniedError, match="the role is gone.*ask Ann") as caught:
        key(credentials)
    assert isinstance(caught.value, botocore.exceptions.CredentialRetrievalError)
    assert caught.value.code == "NoSuchRole"


def test_in_the_background_a_need_for_a_person_is_not_tried_again_by_itself(
    source: Source,
) -> None:
    source.error = NeedsPersonError("the login has run out")
    credentials = started(source, mode="background")
    age(credentials, source, 1200)
    wait_until(lambda: credentials.last_error is not None)
    assert isinstance(credentials.last_error, NeedsPersonError)
    for _ in range(10):
        source.clock.advance(60)
        assert key(credentials) == "AKID-0"
    assert source.calls == 1


# === What is raised ===


def test_in_the_background_readers_get_our_error_from_what_the_callable_raised(
    source: Source,
) -> None:
    source.error = KeyError("Credentials")
    credentials = deferred(source, mode="background")
    with pytest.raises(UnavailableError, match="KeyError: 'Credentials'") as caught:
        key(credentials)
    assert caught.value.__cause__ is source.error
    assert caught.value.role_arn == "test"


def test_on_demand_readers_get_what_the_callable_raised(source: Source) -> None:
    source.error = KeyError("Credentials")
    credentials = deferred(source, mode="on-demand")
    with pytest.raises(KeyError) as caught:
        key(credentials)
    assert caught.value is source.error


def test_an_error_that_many_readers_get_does_not_grow(source: Source) -> None:
    source.error = DeniedError("no")
    credentials = deferred(source, mode="on-demand")

    def length() -> int:
        with pytest.raises(DeniedError) as caught:
            key(credentials)
        return len(caught.traceback)

    first = length()
    assert {length() for _ in range(20)} == {first}
    assert source.calls == 1


@pytest.mark.parametrize("mode", MODES)
def test_a_callable_that_never_returns_does_not_hold_its_readers_for_ever(
    source: Source, mode: str
) -> None:
    source.hold()
    credentials = deferred(source, mode=mode)
    credentials.read_deadline = 0.2
    try:
        with pytest.raises(Error):
            key(credentials)
        with pytest.raises(Error):
            credentials.get_frozen_credentials()
        assert source.calls == 1
    finally:
        source.let_go()


def test_a_callable_that_never_returns_is_not_called_again_meanwhile(source: Source) -> None:
    source.hold()
    credentials = started(source, mode="background")
    age(credentials, source, 1200)
    source.wait_for_call(1)
    for _ in range(10):
        source.clock.advance(60)
        assert key(credentials) == "AKID-0"
    assert source.calls == 1
    # What it returns after all is taken by the attempt that is under way, or by the next one.
    source.let_go()

    def is_taken() -> bool:
        source.clock.advance(0.05)
        return key(credentials) == "AKID-1"

    wait_until(is_taken)


@pytest.mark.parametrize("mode", MODES)
def test_failures_are_logged_in_botocores_words_without_secrets(
    source: Source, mode: str, caplog: pytest.LogCaptureFixture
) -> None:
    source.error = OSError("no route to host")
    credentials = started(source, mode=mode)
    age(credentials, source, 800)
    key(credentials)
    wait_until(lambda: credentials.last_error is not None)
    words = "Refreshing temporary credentials failed during advisory refresh period."
    assert words in caplog.messages
    assert "no route to host" in caplog.text
    assert "SECRET" not in caplog.text
    assert "TOKEN" not in caplog.text


# === Rejected by a service ===


@pytest.mark.parametrize("mode", MODES)
def test_a_rejected_session_is_replaced_before_the_next_read(source: Source, mode: str) -> None:
    credentials = started(source, mode=mode)
    credentials.rejected(key(credentials))
    assert set(all_at_once(READERS, lambda: key(credentials))) == {"AKID-1"}
    assert source.calls == 1


@pytest.mark.parametrize("mode", MODES)
def test_a_session_that_is_rejected_before_anybody_read_it_is_replaced_too(
    source: Source, mode: str
) -> None:
    credentials = started(source, mode=mode)
    credentials.rejected("AKID-0")
    assert key(credentials) == "AKID-1"


@pytest.mark.parametrize("mode", MODES)
def test_a_rejection_of_another_session_changes_nothing(source: Source, mode: str) -> None:
    credentials = started(source, mode=mode)
    credentials.rejected("AKID-OF-YESTERDAY")
    assert reads(credentials, 100) == {"AKID-0"}
    assert source.calls == 0


@pytest.mark.parametrize("mode", MODES)
def test_a_rejected_session_is_served_again_if_there_is_no_other(source: Source, mode: str) -> None:
    source.error = OSError("no route to host")
    credentials = started(source, mode=mode)
    credentials.rejected(key(credentials))
    assert reads(credentials, 100) == {"AKID-0"}
    assert source.calls <= 10


# === sdk-standard ===


def sdk_standard(source: Source, mode: str = "on-demand", **more: Any) -> RefreshableCredentials:
    return started(source, mode=mode, policy="sdk-standard", **more)


def test_sdk_standard_serves_past_the_end_while_the_source_is_down_and_leaves_it_alone(
    source: Source,
) -> None:
    source.error = OSError("no route to host")
    credentials = sdk_standard(source)
    source.clock.advance(3700)
    assert reads(credentials, 100) == {"AKID-0"}
    assert source.calls == 1
    assert credentials.remaining == 0
    error = credentials.last_error
    assert isinstance(error, UnavailableError)
    assert error.next_try is not None
    assert 290 <= error.next_try <= 600
    source.clock.advance(290)
    assert reads(credentials, 100) == {"AKID-0"}
    assert source.calls == 1
    source.clock.advance(311)
    assert reads(credentials, 100) == {"AKID-0"}
    assert source.calls == 2
    source.error = None
    source.clock.advance(601)
    assert key(credentials) == "AKID-3"
    assert credentials.last_error is None


def test_sdk_standard_serves_past_the_end_after_an_answer_that_has_expired(
    source: Source,
) -> None:
    credentials = sdk_standard(source)
    source.clock.advance(3700)
    source.lifetime = -1
    assert reads(credentials, 100) == {"AKID-0"}
    assert source.calls == 1


@pytest.mark.parametrize(("lifetime", "window"), [(900, 300), (3600, 900), (43200, 3600)])
def test_sdk_standard_begins_with_the_window_that_it_tells(
    clock: Clock, lifetime: float, window: float
) -> None:
    source = Source(clock, lifetime)
    credentials = sdk_standard(source)
    age(credentials, source, window + 10)
    assert key(credentials) == "AKID-0"
    age(credentials, source, window - 10)
    assert key(credentials) == "AKID-1"
    assert source.calls == 1


def test_sdk_standard_raises_a_denial_at_once_and_keeps_it_for_seconds(source: Source) -> None:
    source.error = DeniedError("the role is gone")
    credentials = sdk_standard(source)
    age(credentials, source, 600)
    for _ in range(20):
        with pytest.raises(DeniedError, match="the role is gone"):
            key(credentials)
    assert source.calls == 1
    source.error = None
    source.clock.advance(6)
    assert key(credentials) == "AKID-2"


def test_sdk_standard_asks_at_each_read_while_there_is_nothing_at_all(source: Source) -> None:
    source.error = OSError("no route to host")
    credentials = deferred(source, mode="on-demand", policy="sdk-standard")
    for number in (1, 2, 3):
        with pytest.raises(OSError, match="no route to host"):
            key(credentials)
        assert source.calls == number
    source.error = None
    assert key(credentials) == "AKID-4"


def test_sdk_standard_goes_on_in_the_background_too(source: Source) -> None:
    source.error = OSError("no route to host")
    credentials = sdk_standard(source, mode="background")
    age(credentials, source, 1200)
    wait_until(lambda: credentials.last_error is not None)
    assert source.calls == 1
    source.clock.advance(1500)
    wait_until(lambda: source.calls >= 2)
    assert key(credentials) == "AKID-0"


def test_sdk_standard_sends_readers_for_a_new_session_after_a_rejection(source: Source) -> None:
    credentials = sdk_standard(source)
    credentials.rejected("AKID-OF-YESTERDAY")
    assert key(credentials) == "AKID-0"
    credentials.rejected("AKID-0")
    assert key(credentials) == "AKID-1"


# === Threads ===


def test_a_reader_that_is_interrupted_harms_nobody(source: Source) -> None:
    source.hold()
    credentials = deferred(source, mode="on-demand")
    reader = threading.Thread(target=key, args=(credentials,), daemon=True)
    reader.start()
    source.wait_for_call(1)
    source.let_go()
    assert key(credentials) == "AKID-1"
    reader.join(FAR_TOO_LONG)
    assert source.calls == 1
