"""obstore reads S3 through session after session."""

from __future__ import annotations

import time
from collections.abc import Iterator
from datetime import datetime, timedelta, timezone
from typing import TYPE_CHECKING, Any

import pytest

import rolekeeper
from adapters_world import CSV, NOBODY, World, world
from rolekeeper.adapters import _reader
from rolekeeper.adapters.obstore import CredentialProvider, credential_provider

if TYPE_CHECKING:
    from rolekeeper.testing import Sandbox, SimulatedClock
    from servers import Moto

pytestmark = pytest.mark.needs(obstore="0.5", pyarrow="1")


@pytest.fixture
def s3(moto: Moto, unique: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[World]:
    for name, value in NOBODY.items():
        monkeypatch.setenv(name, value)
    with world(moto, unique) as made:
        yield made


def store(s3: World, provider: CredentialProvider) -> Any:
    from obstore.store import S3Store

    return S3Store(
        s3.bucket,
        endpoint=s3.gate.endpoint_url,
        client_options={"allow_http": True},
        credential_provider=provider,
    )


def read(opened: Any) -> bytes:
    return bytes(opened.get("a.csv").bytes())


def test_obstore_reads_and_writes_with_the_sessions_keys_in_its_region(s3: World) -> None:
    opened = store(s3, credential_provider(s3.session))
    opened.put("b.csv", CSV)
    assert read(opened) == CSV
    assert s3.gate.keys_since_last_asked() == {s3.key}
    assert opened.config["region"] == "us-east-1"


def test_obstore_goes_on_reading_when_the_session_has_changed(
    s3: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    # obstore's own clock can't be turned: so a copy is good for a second, and not a minute.
    monkeypatch.setattr(_reader, "_LONGEST_COPY", _reader._SHORTEST_COPY)
    provider = credential_provider(s3.session)
    opened = store(s3, provider)
    assert read(opened) == CSV
    for _ in range(2):
        runs_out = time.monotonic() + _reader._SHORTEST_COPY
        new = s3.end_the_session()
        while time.monotonic() <= runs_out:
            time.sleep(0.05)
        assert read(opened) == CSV
        assert s3.gate.keys_since_last_asked() == {new}


def test_obstore_asks_once_for_many_requests(s3: World) -> None:
    provider = Counting(s3.session)
    opened = store(s3, provider)
    for _ in range(20):
        read(opened)
    assert provider.calls == 1


class Counting(CredentialProvider):
    calls = 0

    def __call__(self) -> Any:
        self.calls += 1
        return super().__call__()


def test_obstore_is_told_to_come_back_within_a_minute_and_before_the_end(
    rolekeeper_sandbox: Sandbox, rolekeeper_clock: SimulatedClock
) -> None:
    role = rolekeeper_sandbox.role_arn("demo")
    with rolekeeper.Session(role_arn=role, refresh="on-demand") as session:
        provider = credential_provider(session)

        def asks_again_after() -> float:
            # It asks again when less than 300 s are left of what it was told.
            told = provider()["expires_at"] - datetime.now(timezone.utc)
            return (told - timedelta(seconds=300)).total_seconds()

        assert 55 < asks_again_after() <= 60
        rolekeeper_sandbox.down()  # From here on the session only grows older.
        rolekeeper_clock.advance(session.remaining - 40)
        assert 25 < asks_again_after() <= 30
        rolekeeper_clock.advance(session.remaining - 5)
        assert 0 < asks_again_after() <= 1


def test_a_provider_shows_no_secret(s3: World) -> None:
    provider = credential_provider(s3.session)
    assert provider()["secret_access_key"] not in repr(provider)


def test_what_gives_no_credentials_is_refused_at_once() -> None:
    with pytest.raises(rolekeeper.ConfigurationError, match="int gives no credentials"):
        credential_provider(42)
