"""Making drop-in credentials: botocore's arguments in botocore's order, times in all their forms,
and what is refused at once.
"""

from __future__ import annotations

import inspect
import os
import subprocess
import sys
from datetime import datetime, timedelta, timezone
from typing import Any

import botocore.credentials
import botocore.exceptions
import pytest
from dateutil.tz import gettz, tzlocal

from drop_in_source import Source, all_at_once, at, deferred, key, started
from rolekeeper import (
    BadAnswerError,
    ConfigurationError,
    DeferredRefreshableCredentials,
    RefreshableCredentials,
)
from rolekeeper._rolekeeper import Clock

MODES = ["background", "on-demand"]


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def source(clock: Clock) -> Source:
    return Source(clock)


def refresh() -> dict[str, Any]:
    """As people write it."""
    later = datetime.now(timezone.utc) + timedelta(hours=1)
    return {
        "access_key": "NEW-ACCESS",
        "secret_key": "NEW-SECRET",
        "token": "NEW-TOKEN",
        "expiry_time": later.isoformat(),
    }


def made(expiry_time: Any, **more: Any) -> RefreshableCredentials:
    return RefreshableCredentials("AK", "SK", "T", expiry_time, refresh, "test", **more)


# === botocore's interface ===


def test_they_are_botocores_classes() -> None:
    credentials = made(datetime.now(timezone.utc) + timedelta(hours=1))
    assert isinstance(credentials, botocore.credentials.RefreshableCredentials)
    lazy = DeferredRefreshableCredentials(refresh, "test")
    assert isinstance(lazy, botocore.credentials.DeferredRefreshableCredentials)
    assert isinstance(lazy, RefreshableCredentials)


@pytest.mark.parametrize(
    ("ours", "theirs"),
    [
        (RefreshableCredentials, botocore.credentials.RefreshableCredentials),
        (DeferredRefreshableCredentials, botocore.credentials.DeferredRefreshableCredentials),
    ],
)
def test_the_arguments_are_botocores_in_botocores_order(ours: type, theirs: type) -> None:
    wanted = list(inspect.signature(theirs).parameters)
    assert list(inspect.signature(ours).parameters)[: len(wanted)] == wanted


def test_the_arguments_of_create_from_metadata_are_botocores() -> None:
    ours = inspect.signature(RefreshableCredentials.create_from_metadata)
    theirs = inspect.signature(botocore.credentials.RefreshableCredentials.create_from_metadata)
    assert list(ours.parameters) == list(theirs.parameters)


def test_all_arguments_can_be_given_by_position() -> None:
    now = datetime.now(timezone.utc)
    credentials = RefreshableCredentials(
        "AK",
        "SK",
        "T",
        now + timedelta(hours=1),
        refresh,
        "m",
        lambda: now,
        600,
        300,
        "123456789012",
    )
    assert credentials.get_frozen_credentials()[:3] == ("AK", "SK", "T")
    assert credentials.method == "m"
    assert credentials._advisory_refresh_timeout == 600
    assert credentials._mandatory_refresh_timeout == 300
    assert credentials.account_id == "123456789012"
    assert credentials._seconds_remaining() == 3600


@pytest.mark.needs(botocore="1.36")
def test_the_account_id_is_in_the_frozen_credentials() -> None:
    credentials = made(datetime.now(timezone.utc) + timedelta(hours=1), account_id="123456789012")
    assert credentials.get_frozen_credentials().account_id == "123456789012"


@pytest.mark.parametrize("mode", MODES)
def test_what_is_given_is_served_without_a_call(source: Source, mode: str) -> None:
    credentials = started(source, mode=mode)
    assert key(credentials) == "AKID-0"
    assert source.calls == 0
    assert credentials.generation == 1


@pytest.mark.parametrize("mode", MODES)
def test_deferred_credentials_call_at_the_first_read_and_not_before(
    source: Source, mode: str
) -> None:
    credentials = deferred(source, mode=mode)
    assert (source.calls, credentials.generation, credentials.remaining) == (0, 0, 0.0)
    assert credentials.expiration is None
    assert credentials.refresh_needed()
    assert key(credentials) == "AKID-1"
    assert key(credentials) == "AKID-1"
    assert source.calls == 1


def test_many_first_readers_share_one_call(source: Source) -> None:
    credentials = deferred(source, mode="on-demand")
    assert set(all_at_once(32, lambda: key(credentials))) == {"AKID-1"}
    assert source.calls == 1


def test_deferred_credentials_take_the_two_windows(source: Source) -> None:
    credentials = DeferredRefreshableCredentials(
        source, "test", advisory_timeout=1200, mandatory_timeout=600
    )
    assert credentials._advisory_refresh_timeout == 1200
    assert credentials._mandatory_refresh_timeout == 600


def test_a_subclass_with_an_init_of_its_own_can_be_made_from_metadata() -> None:
    class Mine(RefreshableCredentials):
        def __init__(
            self,
            access_key: str,
            secret_key: str,
            token: str,
            expiry_time: datetime,
            refresh_using: Any,
            method: str,
        ) -> None:
            super().__init__(access_key, secret_key, token, expiry_time, refresh_using, method)

    credentials = Mine.create_from_metadata(refresh(), refresh, "test")
    assert type(credentials) is Mine
    assert key(credentials) == "NEW-ACCESS"


def test_an_expired_session_may_be_given_and_is_never_served(source: Source) -> None:
    class OnDemand(RefreshableCredentials):
        refresh_mode = "on-demand"

    credentials = OnDemand("OLD", "S", "T", source.clock.time() - 1800, source, "test")
    assert key(credentials) == "AKID-1"


def test_credentials_without_keys_fetch_them() -> None:
    assert key(RefreshableCredentials(None, None, None, None, refresh, "test")) == "NEW-ACCESS"


@pytest.mark.parametrize("mode", MODES)
def test_credentials_without_an_end_are_never_refreshed(clock: Clock, mode: str) -> None:
    class Endless(RefreshableCredentials):
        refresh_mode = mode  # type: ignore[assignment]
        _clock = clock

    source = Source(clock)
    credentials = Endless("AK", "SK", None, None, source, "test")
    clock.advance(10 * 365 * 86400)
    assert key(credentials) == "AK"
    assert credentials.token is None
    assert (credentials.expiration, credentials.remaining) == (None, float("inf"))
    assert not credentials.refresh_needed()
    assert source.calls == 0


# === Who refreshes ===


def mode_of_a_process(environment: dict[str, str]) -> str:
    code = """
import time
from rolekeeper import RefreshableCredentials
made = RefreshableCredentials("AK", "SK", "T", time.time() + 3600, dict, "test")
print(made._mode())
"""
    run = subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        check=True,
    )
    return run.stdout.strip()


def test_sessions_are_kept_in_the_background_from_the_start() -> None:
    assert mode_of_a_process({}) == "background"


def test_in_aws_lambda_they_wait_for_readers() -> None:
    assert mode_of_a_process({"AWS_LAMBDA_FUNCTION_NAME": "etl"}) == "on-demand"


def test_a_subclass_may_say_otherwise_in_aws_lambda(
    source: Source, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_LAMBDA_FUNCTION_NAME", "etl")
    assert started(source, mode="background")._mode() == "background"


@pytest.mark.parametrize(("name", "value"), [("mode", "sometimes"), ("policy", "none")])
def test_an_unknown_mode_or_policy_is_refused_at_once(
    source: Source, name: str, value: str
) -> None:
    with pytest.raises(ConfigurationError, match=f"refresh_{name} is '{value}': set '"):
        deferred(source, **{"mode": "auto", name: value})


# === Times ===

END = 1_900_000_000


@pytest.mark.parametrize(
    "value",
    [
        at(END),
        at(END).astimezone(gettz("Asia/Kathmandu")),
        at(END).astimezone(tzlocal()),
        END,
        float(END),
        "2030-03-17T17:46:40Z",
        "2030-03-17T17:46:40+00:00",
        "2030-03-17T19:46:40+02:00",
        "2030-03-17T17:46:40UTC",
        "20300317T174640Z",
        "Sun, 17 Mar 2030 17:46:40 GMT",
        at(END).isoformat(),
    ],
    ids=str,
)
def test_an_expiration_may_have_any_form_that_tells_its_time_zone(value: Any) -> None:
    credentials = made(value)
    assert credentials.expiration == at(END)
    assert credentials._expiry_time == at(END)
    again = RefreshableCredentials.create_from_metadata(
        {**refresh(), "expiry_time": value}, refresh, "test"
    )
    assert again.expiration == at(END)


@pytest.mark.parametrize("value", [datetime(2030, 3, 17, 17, 46, 40), "2030-03-17T17:46:40"])
def test_a_time_without_a_time_zone_is_refused_at_once(value: Any) -> None:
    wanted = r"2030.*3.*17.* is naive.* time zone: give an aware datetime"
    with pytest.raises(ConfigurationError, match=wanted):
        made(value)
    with pytest.raises(ValueError, match=wanted):
        RefreshableCredentials.create_from_metadata(
            {**refresh(), "expiry_time": value}, refresh, "test"
        )


@pytest.mark.parametrize(
    ("value", "words"),
    [
        ("tomorrow-ish", "'tomorrow-ish' cannot be read"),
        ("", "'' cannot be read"),
        (END * 1000 * 1000, r"is no time: give epoch seconds \(not milliseconds\)"),
        (float("nan"), "is no time"),
        (float("inf"), "is no time"),
        (True, "type bool"),
        (timedelta(hours=1), "type timedelta"),
        (["2030"], "type list"),
    ],
    ids=str,
)
def test_what_is_no_time_is_refused_at_once(value: Any, words: str) -> None:
    with pytest.raises(ConfigurationError, match=words):
        made(value)


def test_a_secret_in_the_place_of_the_time_is_not_shown() -> None:
    secret = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"
    with pytest.raises(ConfigurationError) as caught:
        made(secret)
    assert secret not in str(caught.value)
    assert "of 40 characters cannot be read" in str(caught.value)


def test_the_last_moment_of_the_calendar_is_a_time_like_others() -> None:
    credentials = made("9999-12-31T23:59:59Z")
    assert key(credentials) == "AK"
    assert credentials.remaining > 100 * 365 * 86400


# === Other arguments that cannot work ===


@pytest.mark.parametrize("given", [refresh(), None, "refresh"], ids=lambda g: type(g).__name__)
def test_a_result_in_the_place_of_the_callable_is_refused_at_once(given: Any) -> None:
    with pytest.raises(ConfigurationError, match="refresh_using is .* give the function itself"):
        RefreshableCredentials("AK", "SK", "T", END, given, "test")
    with pytest.raises(ConfigurationError, match="refresh_using is .* give the function itself"):
        DeferredRefreshableCredentials(given, "test")


@pytest.mark.parametrize("window", [-1, "900", True, float("nan"), float("inf")])
@pytest.mark.parametrize("name", ["advisory_timeout", "mandatory_timeout"])
def test_a_window_that_is_no_number_of_seconds_is_refused_at_once(name: str, window: Any) -> None:
    with pytest.raises(ConfigurationError, match=f"{name} is .*: give a number of seconds"):
        made(END, **{name: window})
    with pytest.raises(ConfigurationError, match=f"{name} is .*: give a number of seconds"):
        DeferredRefreshableCredentials(refresh, "test", **{name: window})


@pytest.mark.parametrize("at_place", [0, 1, 2])
def test_keys_that_are_no_strings_are_refused_at_once(at_place: int) -> None:
    keys: list[Any] = ["AK", "SK", "T"]
    keys[at_place] = b"bytes"
    with pytest.raises(ConfigurationError, match="is a value of type bytes: give a string"):
        RefreshableCredentials(*keys, END, refresh, "test")


# === Answers that will not do ===

BAD_ANSWERS: list[tuple[Any, str]] = [
    (None, "response did not contain: access_key, secret_key, token, expiry_time"),
    ({}, "response did not contain: access_key, secret_key, token, expiry_time"),
    ({"access_key": "AK"}, "response did not contain: secret_key, token, expiry_time"),
    ({**refresh(), "access_key": None}, "access_key is None"),
    ({**refresh(), "access_key": ""}, "access_key is an empty string"),
    ({**refresh(), "secret_key": b"s"}, "secret_key is a value of type bytes"),
    ({**refresh(), "token": 7}, "token is a value of type int"),
    ({**refresh(), "account_id": 123456789012}, "account_id is a value of type int"),
    ({**refresh(), "expiry_time": None}, "expiry_time is None: give an aware datetime"),
    ({**refresh(), "expiry_time": "2030-01-01T00:00:00"}, "is naive"),
    ({**refresh(), "expiry_time": datetime(2030, 1, 1)}, "is naive"),
    ({**refresh(), "expiry_time": "soon"}, "cannot be read"),
    (("AK", "SK", "T", END), "a value of type tuple, not a dict"),
    ("AKIA", "a value of type str, not a dict"),
    ({"Credentials": {}}, "that is AWS' own form"),
]


@pytest.mark.parametrize(("answer", "words"), BAD_ANSWERS, ids=[words for _, words in BAD_ANSWERS])
@pytest.mark.parametrize("mode", MODES)
def test_an_answer_that_will_not_do_is_named_with_botocores_classes(
    clock: Clock, mode: str, answer: Any, words: str
) -> None:
    credentials = deferred(Source(clock), mode=mode)
    credentials._refresh_using = lambda: answer
    with pytest.raises(BadAnswerError, match=words) as caught:
        credentials.get_frozen_credentials()
    assert isinstance(caught.value, botocore.exceptions.CredentialRetrievalError)
    assert isinstance(caught.value, RuntimeError)
    assert "SECRET" not in str(caught.value)


@pytest.mark.parametrize("mode", MODES)
def test_an_answer_that_has_expired_already_is_told_in_botocores_words(
    source: Source, mode: str
) -> None:
    source.lifetime = -1
    credentials = deferred(source, mode=mode)
    words = "Credentials were refreshed, but the refreshed credentials are still expired."
    with pytest.raises(RuntimeError, match=words):
        credentials.get_frozen_credentials()


@pytest.mark.parametrize("mode", MODES)
def test_an_answer_that_will_not_do_leaves_the_valid_session_in_place(
    source: Source, mode: str
) -> None:
    credentials = started(source, mode=mode)
    source.lifetime = -1
    with pytest.raises(BadAnswerError):
        credentials.refresh_now()
    assert credentials.get_frozen_credentials()[:3] == ("AKID-0", "SECRET-0", "TOKEN-0")
    assert (credentials.access_key, credentials.secret_key) == ("AKID-0", "SECRET-0")
    assert credentials._frozen_credentials == credentials.get_frozen_credentials()


def test_an_async_function_is_told_where_to_go() -> None:
    async def refresh_async() -> dict[str, Any]:
        return refresh()

    with pytest.raises(
        BadAnswerError, match=r"is an async function.* \(use the classes in rolekeeper.aio"
    ):
        DeferredRefreshableCredentials(refresh_async, "test").get_frozen_credentials()


@pytest.mark.parametrize(
    "metadata",
    [
        answer
        for answer, words in BAD_ANSWERS
        if "naive" not in words and "cannot" not in words and "expiry_time is None" not in words
    ],
)
def test_a_first_answer_that_will_not_do_is_refused_at_once(metadata: Any) -> None:
    with pytest.raises(BadAnswerError):
        RefreshableCredentials.create_from_metadata(metadata, refresh, "test")
