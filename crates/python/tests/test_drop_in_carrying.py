"""Drop-in credentials that are pickled, copied, dropped: the recipe goes along, the session never,
and nothing refreshes what nobody holds.
"""

from __future__ import annotations

import copy
import functools
import gc
import pickle
import subprocess
import sys
import weakref
from collections.abc import Callable
from datetime import datetime, timedelta, timezone
from typing import Any

import pytest

from drop_in_source import Source, at, deferred, key, started, wait_until
from rolekeeper import ConfigurationError, DeferredRefreshableCredentials, RefreshableCredentials
from rolekeeper._rolekeeper import Clock

MODES = ["background", "on-demand"]


def refresh(prefix: str = "NEW") -> dict[str, Any]:
    end = datetime.now(timezone.utc) + timedelta(hours=1)
    return {
        "access_key": f"{prefix}-ACCESS",
        "secret_key": f"{prefix}-SECRET",
        "token": f"{prefix}-TOKEN",
        "expiry_time": end,
    }


class OnDemand(RefreshableCredentials):
    refresh_mode = "on-demand"


class Counting(RefreshableCredentials):
    """Refreshes by a method of its own."""

    def __init__(self) -> None:
        end = datetime.now(timezone.utc) + timedelta(hours=1)
        super().__init__("OLD-ACCESS", "OLD-SECRET", "OLD-TOKEN", end, self.refresh, "count")
        self.count = 0

    def refresh(self) -> dict[str, Any]:
        self.count += 1
        return refresh(str(self.count))


@pytest.fixture
def source() -> Source:
    return Source(Clock())


def made(**more: Any) -> RefreshableCredentials:
    end = datetime.now(timezone.utc) + timedelta(hours=1)
    return OnDemand("OLD-ACCESS", "OLD-SECRET", "OLD-TOKEN", end, refresh, "test", **more)


def pickled(value: Any) -> Any:
    return pickle.loads(pickle.dumps(value))


# === Pickling and copying ===


@pytest.mark.parametrize("protocol", range(2, pickle.HIGHEST_PROTOCOL + 1))
def test_no_secret_is_in_a_pickle(protocol: int) -> None:
    credentials = made()
    key(credentials)
    data = pickle.dumps(credentials, protocol)
    for secret in (b"OLD-ACCESS", b"OLD-SECRET", b"OLD-TOKEN"):
        assert secret not in data
    credentials.refresh_now()
    assert b"NEW-SECRET" not in pickle.dumps(credentials, protocol)


@pytest.mark.parametrize("carry", [pickled, copy.copy, copy.deepcopy])
def test_what_arrives_fetches_its_own_session_at_the_first_read(
    carry: Callable[[Any], Any],
) -> None:
    credentials = made(advisory_timeout=1200, mandatory_timeout=120)
    twin = carry(credentials)
    assert type(twin) is OnDemand
    assert (twin.generation, twin._frozen_credentials) == (0, None)
    assert twin.refresh_needed()
    assert twin.get_frozen_credentials()[:3] == ("NEW-ACCESS", "NEW-SECRET", "NEW-TOKEN")
    assert key(credentials) == "OLD-ACCESS"


@pytest.mark.parametrize("carry", [pickled, copy.copy, copy.deepcopy])
def test_the_whole_recipe_goes_along(carry: Callable[[Any], Any]) -> None:
    credentials = made(advisory_timeout=1200, mandatory_timeout=120)
    credentials.refresh_policy = "sdk-standard"
    credentials.read_deadline = 5.0
    twin = carry(credentials)
    assert (twin._advisory_refresh_timeout, twin._mandatory_refresh_timeout) == (1200, 120)
    assert (twin.method, twin.refresh_policy, twin.read_deadline) == ("test", "sdk-standard", 5.0)
    assert twin._refresh_using is refresh
    assert twin._time_fetcher is credentials._time_fetcher


@pytest.mark.parametrize("carry", [pickled, copy.copy, copy.deepcopy])
def test_deferred_credentials_go_along_as_such(carry: Callable[[Any], Any]) -> None:
    twin = carry(DeferredRefreshableCredentials(refresh, "test", advisory_timeout=1200))
    assert type(twin) is DeferredRefreshableCredentials
    assert twin._advisory_refresh_timeout == 1200
    assert key(twin) == "NEW-ACCESS"


@pytest.mark.parametrize("carry", [pickled, copy.deepcopy])
def test_credentials_that_refresh_by_their_own_method_can_be_carried(
    carry: Callable[[Any], Any],
) -> None:
    credentials = Counting()
    credentials.count = 41
    twin = carry(credentials)
    assert key(twin) == "42-ACCESS"
    assert (twin.count, credentials.count) == (42, 41)


def test_a_partial_function_can_be_carried() -> None:
    credentials = DeferredRefreshableCredentials(functools.partial(refresh, "PART"), "test")
    assert key(pickled(credentials)) == "PART-ACCESS"


def test_another_process_makes_its_own_session() -> None:
    code = """
import pickle, sys
credentials = pickle.loads(sys.stdin.buffer.read())
print(credentials.generation, credentials.get_frozen_credentials().access_key)
"""
    run = subprocess.run(
        [sys.executable, "-c", code],
        input=pickle.dumps(made()),
        capture_output=True,
        check=True,
        cwd=__file__.rpartition("/")[0],
    )
    assert run.stdout == b"0 NEW-ACCESS\n"


@pytest.mark.parametrize("where", ["lambda", "local"])
def test_a_callable_that_cannot_be_pickled_is_named_with_what_to_do(
    where: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Where cloudpickle is in use, nobody can tell who asks.
    for module in ("cloudpickle", "dill"):
        monkeypatch.delitem(sys.modules, module, raising=False)

    def local() -> dict[str, Any]:
        return refresh()

    credentials = DeferredRefreshableCredentials(
        local if where == "local" else lambda: refresh(), "test"
    )
    with pytest.raises(pickle.PicklingError, match="refresh_using cannot be pickled .* top level"):
        pickle.dumps(credentials)
    assert key(copy.copy(credentials)) == key(copy.deepcopy(credentials)) == "NEW-ACCESS"


@pytest.mark.needs(cloudpickle="1")
def test_cloudpickle_carries_what_pickle_cannot() -> None:
    import cloudpickle

    credentials = DeferredRefreshableCredentials(lambda: refresh("CLOUD"), "test")
    twin = pickle.loads(cloudpickle.dumps(credentials))
    assert key(twin) == "CLOUD-ACCESS"


def test_repr_and_vars_of_the_class_show_no_secret() -> None:
    credentials = made()
    key(credentials)
    assert "OLD" not in repr(credentials)
    assert "OLD" not in str(credentials)


# === Dropping ===


def drop(box: list[RefreshableCredentials]) -> None:
    """The last reference goes."""
    gone = weakref.ref(box.pop())
    gc.collect()
    wait_until(lambda: gone() is None)


def assert_silent(source: Source) -> None:
    """Nobody asks any more, however much time passes."""
    calls = source.calls
    for _ in range(20):
        source.clock.advance(600)
    # A refresher that is still there answers to a call of another keeper of the same clock first.
    witness = Source(source.clock)
    other = started(witness, mode="background")
    source.clock.advance(4000)
    witness.wait_for_call(1)
    other.close()
    assert source.calls == calls


def test_dropped_credentials_are_not_refreshed(source: Source) -> None:
    box = [started(source, mode="background")]
    assert key(box[0]) == "AKID-0"
    drop(box)
    assert_silent(source)


def test_dropped_credentials_whose_fetches_fail_are_not_refreshed(source: Source) -> None:
    source.error = OSError("down")
    box = [started(source, mode="background")]
    source.clock.advance(3000)
    source.wait_for_call(1)
    wait_until(lambda: box[0].last_error is not None)
    assert box[0].last_error is not None
    assert box[0].last_error.__cause__ is source.error
    drop(box)
    assert_silent(source)


@pytest.mark.parametrize("fails", [False, True])
def test_credentials_that_a_cycle_leads_to_are_dropped_with_it(source: Source, fails: bool) -> None:
    class Owner:
        """As many write it: the object that has credentials refreshes them."""

        def __init__(self) -> None:
            self.credentials = started(source, mode="background")
            self.credentials._refresh_using = self.refresh

        def refresh(self) -> dict[str, Any]:
            return source()

    def has_been_asked(owner: Owner) -> bool:
        credentials = owner.credentials
        return credentials.last_error is not None if fails else credentials.remaining > 3000

    source.error = OSError("down") if fails else None
    owner = Owner()
    owner.credentials._expiry_time = at(source.clock.time() + 60)
    source.clock.advance(50)
    source.wait_for_call(1)
    wait_until(functools.partial(has_been_asked, owner))
    gone = weakref.ref(owner.credentials)
    del owner
    wait_until(lambda: gc.collect() >= 0 and gone() is None)
    assert_silent(source)


def test_credentials_that_are_dropped_during_a_fetch_are_gone_after_it(source: Source) -> None:
    source.hold()
    box = [deferred(source, mode="background")]
    gone = weakref.ref(box[0])
    box[0]._start()
    source.wait_for_call(1)
    box.clear()
    gc.collect()
    assert gone() is None
    source.let_go()
    assert_silent(source)


def test_an_error_that_was_raised_does_not_keep_the_credentials(source: Source) -> None:
    source.error = OSError("down")
    box: list[RefreshableCredentials] = [deferred(source, mode="on-demand")]
    with pytest.raises(OSError, match="down") as caught:
        key(box[0])
    error = caught.value
    del caught
    error.__traceback__ = None
    drop(box)
    assert str(error) == "down"


# === Closing ===


@pytest.mark.parametrize("mode", MODES)
def test_closed_credentials_say_so_and_ask_nobody(source: Source, mode: str) -> None:
    credentials = started(source, mode=mode)
    key(credentials)
    credentials.close()
    with pytest.raises(ConfigurationError, match="make new ones"):
        credentials.get_frozen_credentials()
    credentials.close()
    assert_silent(source)


def test_credentials_that_are_closed_before_the_first_read_never_ask(source: Source) -> None:
    credentials = deferred(source, mode="background")
    credentials.close()
    with pytest.raises(ConfigurationError, match="closed"):
        credentials.get_frozen_credentials()
    with pytest.raises(ConfigurationError, match="closed"):
        credentials.refresh_now()
    assert source.calls == 0
