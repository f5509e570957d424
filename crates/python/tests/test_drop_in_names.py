"""botocore's private names on the drop-in classes: what others read, assign and override."""

from __future__ import annotations

import contextvars
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta, timezone
from typing import Any

import botocore.credentials
import botocore.exceptions
import pytest

from drop_in_source import FAR_TOO_LONG, Source, at, deferred, key, started, wait_until
from rolekeeper import (
    ConfigurationError,
    DeferredRefreshableCredentials,
    RefreshableCredentials,
    UnavailableError,
)
from rolekeeper._rolekeeper import Clock

MODES = ["background", "on-demand"]


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def source(clock: Clock) -> Source:
    return Source(clock)


@pytest.fixture(params=MODES)
def credentials(request: pytest.FixtureRequest, source: Source) -> RefreshableCredentials:
    return started(source, mode=request.param)


# === Reading ===


def test_the_private_names_tell_of_the_session_that_is_held(
    credentials: RefreshableCredentials, source: Source
) -> None:
    for number in (0, 1):
        frozen = credentials.get_frozen_credentials()
        assert frozen[:3] == (f"AKID-{number}", f"SECRET-{number}", f"TOKEN-{number}")
        assert credentials._frozen_credentials is frozen
        assert credentials._access_key == f"AKID-{number}"
        assert credentials._secret_key == f"SECRET-{number}"
        assert credentials._token == f"TOKEN-{number}"
        assert credentials._expiry_time == credentials.expiration
        assert credentials._seconds_remaining() == pytest.approx(3600, abs=10)
        assert credentials.remaining == pytest.approx(3600, abs=10)
        credentials.refresh_now()
    assert credentials._staged_expiry_time is None


def test_properties_read_like_botocores(
    credentials: RefreshableCredentials, source: Source
) -> None:
    assert (credentials.access_key, credentials.secret_key) == ("AKID-0", "SECRET-0")
    assert credentials.token == "TOKEN-0"
    assert credentials.account_id is None
    source.clock.advance(4000)
    assert credentials.access_key == "AKID-1"


def test_a_deferred_property_is_read_when_it_is_called(
    credentials: RefreshableCredentials, source: Source
) -> None:
    read_key = credentials.get_deferred_property("access_key")
    credentials.refresh_now()
    assert read_key() == "AKID-1"
    assert credentials.get_deferred_property("no_such_thing")() is None


def test_the_account_id_comes_with_the_answer(source: Source) -> None:
    credentials = deferred(source, mode="on-demand")
    credentials._refresh_using = lambda: {**source(), "account_id": "123456789012"}
    assert credentials.account_id == "123456789012"
    assert credentials.get_deferred_property("account_id")() == "123456789012"


def test_refresh_needed_goes_by_the_time_and_the_window(
    credentials: RefreshableCredentials, clock: Clock
) -> None:
    assert not credentials.refresh_needed()
    assert credentials.refresh_needed(refresh_in=3700)
    assert not credentials._is_expired()


def test_a_time_fetcher_of_ones_own_is_the_clock() -> None:
    now = [datetime(2031, 1, 1, tzinfo=timezone.utc)]

    class OnDemand(RefreshableCredentials):
        refresh_mode = "on-demand"

    def refresh() -> dict[str, Any]:
        end = now[0] + timedelta(hours=1)
        return {"access_key": "NEW", "secret_key": "S", "token": "T", "expiry_time": end}

    credentials = OnDemand(
        "OLD", "S", "T", now[0] + timedelta(hours=1), refresh, "test", time_fetcher=lambda: now[0]
    )
    assert (key(credentials), credentials._seconds_remaining()) == ("OLD", 3600)
    now[0] += timedelta(minutes=59)
    assert credentials._seconds_remaining() == 60
    assert key(credentials) == "NEW"


# === Windows ===


def test_the_windows_show_botocores_numbers_where_nobody_has_set_them(
    credentials: RefreshableCredentials,
) -> None:
    for group in (RefreshableCredentials, DeferredRefreshableCredentials):
        assert group._advisory_refresh_timeout == 900
        assert group._mandatory_refresh_timeout == 600
    assert credentials._advisory_refresh_timeout == 900
    assert credentials._mandatory_refresh_timeout == 600


@pytest.mark.parametrize(
    ("lifetime", "window"),
    [(900, 300), (1200, 300), (1201, 900), (3600, 900), (5399, 900), (5410, 3600), (43200, 3600)],
)
@pytest.mark.parametrize("mode", MODES)
def test_in_sdk_standard_the_window_tells_what_is_in_force_for_the_session_held(
    clock: Clock, mode: str, lifetime: float, window: float
) -> None:
    credentials = deferred(Source(clock, lifetime), mode=mode, policy="sdk-standard")
    assert credentials._advisory_refresh_timeout == 900
    key(credentials)
    assert credentials._advisory_refresh_timeout == window
    assert credentials._mandatory_refresh_timeout == 60
    assert type(credentials)._advisory_refresh_timeout == 900


def test_in_sdk_standard_the_window_changes_with_the_session(clock: Clock) -> None:
    source = Source(clock, 43200)
    credentials = started(source, mode="on-demand", policy="sdk-standard")
    assert credentials._advisory_refresh_timeout == 3600
    source.lifetime = 900
    credentials.refresh_now()
    assert credentials._advisory_refresh_timeout == 300


def test_in_sdk_standard_a_window_that_is_set_stands(source: Source) -> None:
    credentials = started(source, mode="on-demand", policy="sdk-standard", advisory_timeout=1234)
    assert credentials._advisory_refresh_timeout == 1234


def by_argument(source: Source) -> RefreshableCredentials:
    return started(source, mode="on-demand", advisory_timeout=1500)


def by_assignment(source: Source) -> RefreshableCredentials:
    credentials = started(source, mode="on-demand")
    key(credentials)
    credentials._advisory_refresh_timeout = 1500
    return credentials


def by_subclass(source: Source) -> RefreshableCredentials:
    class Mine(RefreshableCredentials):
        refresh_mode = "on-demand"
        _advisory_refresh_timeout = 1500  # type: ignore[assignment]
        _clock = source.clock

    return Mine.create_from_metadata(source.metadata(0), source, "test")


def by_botocores_class(source: Source) -> RefreshableCredentials:
    botocore.credentials.RefreshableCredentials._advisory_refresh_timeout = 1500
    return started(source, mode="on-demand")


@pytest.fixture
def botocores_windows() -> Any:
    theirs = botocore.credentials.RefreshableCredentials
    before = theirs._advisory_refresh_timeout
    yield
    theirs._advisory_refresh_timeout = before


@pytest.mark.usefixtures("botocores_windows")
@pytest.mark.parametrize("make", [by_argument, by_assignment, by_subclass, by_botocores_class])
def test_a_window_counts_however_it_is_set(
    source: Source, make: Callable[[Source], RefreshableCredentials]
) -> None:
    credentials = make(source)
    assert credentials._advisory_refresh_timeout == 1500
    source.clock.advance(3600 - 1600)
    assert key(credentials) == "AKID-0"
    source.clock.advance(200)
    assert key(credentials) == "AKID-1"


# === Assigning from outside ===


def test_an_expiration_that_is_assigned_counts_from_then_on(
    credentials: RefreshableCredentials, source: Source
) -> None:
    key(credentials)
    credentials._expiry_time = at(source.clock.time() - 1)
    assert key(credentials) == "AKID-1"
    assert credentials.expiration is not None
    assert credentials.remaining == pytest.approx(3600, abs=10)


def test_an_expiration_that_is_assigned_without_a_time_zone_is_refused(
    credentials: RefreshableCredentials,
) -> None:
    with pytest.raises(ConfigurationError, match="naive"):
        credentials._expiry_time = datetime(2030, 1, 1)


def test_a_time_fetcher_that_is_assigned_is_the_clock_from_then_on(source: Source) -> None:
    class OnDemand(RefreshableCredentials):
        refresh_mode = "on-demand"

    now = datetime.now(timezone.utc)
    credentials = OnDemand("OLD", "S", "T", now + timedelta(hours=1), source, "test")
    assert key(credentials) == "OLD"
    source.lifetime = 90000
    credentials._time_fetcher = lambda: now + timedelta(hours=2)
    assert key(credentials) == "AKID-1"


def test_a_callable_that_is_assigned_makes_the_next_session(
    credentials: RefreshableCredentials, source: Source
) -> None:
    key(credentials)
    credentials._refresh_using = lambda: {**source(), "access_key": "OTHER"}
    credentials.refresh_now()
    assert key(credentials) == "OTHER"


def test_frozen_credentials_that_are_taken_away_are_fetched_anew(
    credentials: RefreshableCredentials,
) -> None:
    key(credentials)
    credentials._frozen_credentials = None
    assert key(credentials) == "AKID-1"


def test_a_mode_that_is_assigned_takes_effect(source: Source) -> None:
    credentials = started(source, mode="on-demand")
    key(credentials)
    credentials.refresh_mode = "background"
    source.clock.advance(3000)
    source.wait_for_call(1)


def test_a_call_that_is_under_way_when_something_is_assigned_stays_the_only_one(
    source: Source,
) -> None:
    source.hold()
    credentials = deferred(source, mode="on-demand")
    with ThreadPoolExecutor(1) as threads:
        early = threads.submit(key, credentials)
        source.wait_for_call(1)
        # Long enough for a second call to show, if there were one.
        credentials.attempt_timeout = 0.2
        # An attempt turns to the call before it gives up: no need to guess when it has.
        with pytest.raises(UnavailableError, match="no answer within"):
            key(credentials)
        assert source.calls == 1
        source.let_go()
        assert early.result(FAR_TOO_LONG) == "AKID-1"
    assert source.calls == 1


# === Calling ===


def test_refresh_does_nothing_while_there_is_no_need(
    credentials: RefreshableCredentials, source: Source
) -> None:
    credentials._refresh()
    assert source.calls == 0


def test_refresh_fetches_where_nothing_is_valid(
    credentials: RefreshableCredentials, source: Source
) -> None:
    source.clock.advance(4000)
    credentials._refresh()
    assert credentials._access_key == "AKID-1"


def test_protected_refresh_fetches_now(credentials: RefreshableCredentials, source: Source) -> None:
    with credentials._refresh_lock:
        credentials._protected_refresh(is_mandatory=True)
    assert (key(credentials), source.calls) == ("AKID-1", 1)


def test_protected_refresh_raises_only_if_it_is_mandatory(
    credentials: RefreshableCredentials, source: Source
) -> None:
    source.error = OSError("the network is down")
    credentials._protected_refresh(is_mandatory=False)
    with pytest.raises((OSError, botocore.exceptions.CredentialRetrievalError), match="network"):
        credentials._protected_refresh(is_mandatory=True)


# === Overriding ===


@pytest.mark.parametrize("mode", MODES)
def test_hooks_of_a_subclass_run_in_each_fetch(source: Source, mode: str) -> None:
    class Hooked(DeferredRefreshableCredentials):
        refresh_mode = mode  # type: ignore[assignment]
        _clock = source.clock
        seen: tuple[str, ...] = ()

        def _set_from_data(self, data: Any) -> None:
            self.seen += ("set",)
            super()._set_from_data({**data, "access_key": data["AccessKeyId"]})

        def _publish_refresh(self) -> None:
            self.seen += ("publish",)
            super()._publish_refresh()

    def refresh() -> dict[str, Any]:
        answer = source()
        return {**answer, "AccessKeyId": answer.pop("access_key")}

    credentials = Hooked(refresh, "test")
    assert key(credentials) == "AKID-1"
    assert credentials.seen == ("set", "publish")
    credentials.refresh_now()
    assert key(credentials) == "AKID-2"
    assert credentials.seen == ("set", "publish") * 2


def test_times_are_read_by_a_subclass_that_wants_to() -> None:
    class Mine(RefreshableCredentials):
        @staticmethod
        def _expiry_datetime(time_str: str) -> datetime:
            return datetime.strptime(time_str, "%d|%m|%Y").replace(tzinfo=timezone.utc)

    first = {"access_key": "A", "secret_key": "S", "token": "T", "expiry_time": "17|03|2130"}
    credentials = Mine.create_from_metadata(first, lambda: first, "test")
    assert credentials.expiration == datetime(2130, 3, 17, tzinfo=timezone.utc)


def test_frozen_credentials_of_a_subclass_of_its_own_making_are_what_readers_get(
    source: Source,
) -> None:
    class Mine(DeferredRefreshableCredentials):
        refresh_mode = "on-demand"
        _clock = source.clock

        def _publish_refresh(self) -> None:
            super()._publish_refresh()
            assert self._frozen_credentials is not None
            self._frozen_credentials = self._frozen_credentials._replace(token="CHANGED")

    assert Mine(source, "test").get_frozen_credentials().token == "CHANGED"


def test_a_subclass_with_a_refresh_of_its_own_is_read_through_it(source: Source) -> None:
    class Mine(RefreshableCredentials):
        refresh_mode = "on-demand"
        _clock = source.clock
        refreshes = 0

        def _refresh(self) -> None:
            self.refreshes += 1
            super()._refresh()

    credentials = Mine.create_from_metadata(source.metadata(0), source, "test")
    assert key(credentials) == "AKID-0"
    assert credentials.refreshes == 1
    source.clock.advance(4000)
    assert (key(credentials), credentials.refreshes) == ("AKID-1", 2)


def test_a_subclass_that_sets_everything_by_itself_is_read_through_that() -> None:
    class Mine(RefreshableCredentials):
        refresh_mode = "on-demand"

        def _refresh(self) -> None:
            self._frozen_credentials = botocore.credentials.ReadOnlyCredentials("MY", "OWN", "KEYS")

    credentials = Mine(None, None, None, None, dict, "test")
    assert key(credentials) == "MY"


@pytest.mark.parametrize("name", ["_protected_refresh", "refresh_needed"])
def test_a_subclass_that_overrides_part_of_botocores_rules_is_read_by_them(
    source: Source, name: str
) -> None:
    class Mine(RefreshableCredentials):
        refresh_mode = "on-demand"
        _clock = source.clock

    seen: list[str] = []

    def override(self: Any, *arguments: Any, **named: Any) -> Any:
        seen.append(name)
        return getattr(RefreshableCredentials, name)(self, *arguments, **named)

    theirs = type("Theirs", (Mine,), {name: override})
    credentials = theirs.create_from_metadata(source.metadata(0), source, "test")  # type: ignore[attr-defined]
    source.clock.advance(3000)  # 600 s are left: in botocore's windows.
    assert key(credentials) == "AKID-1"
    assert name in seen


# === Where the callable runs ===


def test_a_call_for_a_reader_sees_the_context_of_that_reader(source: Source) -> None:
    tenant: contextvars.ContextVar[str] = contextvars.ContextVar("tenant")
    seen: list[str] = []

    def refresh() -> dict[str, Any]:
        seen.append(tenant.get("nobody's"))
        return source()

    credentials = deferred(source, mode="on-demand")
    credentials._refresh_using = refresh
    for reader in ("Ann's", "Bob's"):
        tenant.set(reader)
        key(credentials)
        source.clock.advance(4000)
    tenant.set("Cid's")
    credentials.refresh_now()
    assert seen == ["Ann's", "Bob's", "Cid's"]
    assert credentials._context is None


def test_the_context_of_a_reader_who_waited_with_others_is_not_kept(source: Source) -> None:
    source.hold()
    credentials = deferred(source, mode="on-demand")
    with ThreadPoolExecutor(2) as threads:
        first = threads.submit(key, credentials)
        source.wait_for_call(1)
        second = threads.submit(key, credentials)
        wait_until(lambda: credentials._context is not None)
        source.let_go()
        assert first.result(FAR_TOO_LONG) == second.result(FAR_TOO_LONG) == "AKID-1"
    assert credentials._context is None


def test_a_call_of_the_background_sees_no_readers_context(source: Source) -> None:
    tenant: contextvars.ContextVar[str] = contextvars.ContextVar("tenant")
    seen: list[str] = []

    def refresh() -> dict[str, Any]:
        seen.append(tenant.get("nobody's"))
        return source()

    tenant.set("Ann's")
    credentials = started(source, mode="background")
    credentials._refresh_using = refresh
    key(credentials)
    source.clock.advance(3000)
    source.wait_for_call(1)
    assert seen == ["nobody's"]


def test_the_callable_may_use_the_credentials_it_refreshes_by_their_private_names(
    source: Source,
) -> None:
    credentials = started(source, mode="on-demand")
    seen: list[Any] = []

    def refresh() -> dict[str, Any]:
        seen.append((credentials._access_key, threading.current_thread().daemon))
        return source()

    credentials._refresh_using = refresh
    credentials.refresh_now()
    wait_until(lambda: bool(seen))
    assert seen == [("AKID-0", True)]


@pytest.mark.parametrize("mode", MODES)
def test_a_callable_that_reads_the_credentials_it_refreshes_is_told_so_at_once(
    source: Source, mode: str
) -> None:
    credentials = deferred(source, mode=mode)
    credentials._refresh_using = credentials.get_frozen_credentials
    with pytest.raises((RuntimeError, UnavailableError), match="would wait for itself"):
        credentials.get_frozen_credentials()
