"""polars reads S3 through session after session."""

from __future__ import annotations

import pickle
import time
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import pytest

import rolekeeper
from adapters_world import ROWS, World, world
from rolekeeper.adapters import _reader
from rolekeeper.adapters.polars import credential_provider

if TYPE_CHECKING:
    from rolekeeper.testing import Sandbox, SimulatedClock
    from servers import Moto

pytestmark = pytest.mark.needs(polars="1", pyarrow="1")


@pytest.fixture
def s3(moto: Moto, unique: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[World]:
    with world(moto, unique, monkeypatch) as made:
        yield made


def options(s3: World) -> dict[str, str]:
    return {
        "aws_endpoint_url": s3.gate.endpoint_url,
        "aws_region": "us-east-1",
        "aws_allow_http": "true",
    }


def rows(s3: World, provider: Any, name: str = "a.parquet") -> list[tuple[Any, ...]]:
    import polars

    read: Any = polars.scan_parquet if name.endswith(".parquet") else polars.scan_csv
    frame = read(
        f"s3://{s3.bucket}/{name}", credential_provider=provider, storage_options=options(s3)
    )
    return list(frame.collect().rows())


def test_polars_reads_parquet_and_csv_with_the_sessions_keys(s3: World) -> None:
    provider = credential_provider(s3.session)
    assert rows(s3, provider) == ROWS
    assert rows(s3, provider, "a.csv") == ROWS
    assert s3.gate.keys_since_last_asked() == {s3.key}


def test_polars_goes_on_reading_when_the_session_has_changed(
    s3: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    # polars' own clock can't be turned: so a copy is good for a second, and not a minute.
    monkeypatch.setattr(_reader, "_LONGEST_COPY", _reader._SHORTEST_COPY)
    provider = credential_provider(s3.session)
    assert rows(s3, provider) == ROWS
    new = s3.key
    for _ in range(2):
        _, told = provider()
        new = s3.end_the_session()
        # The copy runs out; till then polars may sign with the old key, and be refused.
        while time.time() <= told:
            time.sleep(0.05)
        assert rows(s3, provider) == ROWS
        assert s3.gate.keys_since_last_asked() == {new}


def test_a_second_session_by_the_same_recipe_does_not_lean_on_the_first(
    s3: World, moto: Moto, monkeypatch: pytest.MonkeyPatch
) -> None:
    """polars shares connections between providers that look the same when pickled."""
    monkeypatch.setattr(_reader, "_LONGEST_COPY", _reader._SHORTEST_COPY)
    for name, value in moto.environment.items():
        monkeypatch.setenv(name, value)
    recipe: dict[str, Any] = {"role_arn": moto.role_arn, "region_name": "us-east-1"}
    with rolekeeper.Session(**recipe) as first:
        provider = credential_provider(first)
        assert rows(s3, provider) == ROWS
        _, told = provider()
        s3.gate.revoke(provider()[0]["aws_access_key_id"])
    while time.time() <= told:  # The first one's copy runs out.
        time.sleep(0.05)
    with rolekeeper.Session(**recipe) as second:
        assert rows(s3, credential_provider(second)) == ROWS


def test_polars_is_told_to_come_back_within_a_minute_and_before_the_end(
    rolekeeper_sandbox: Sandbox, rolekeeper_clock: SimulatedClock
) -> None:
    role = rolekeeper_sandbox.role_arn("demo")
    with rolekeeper.Session(role_arn=role, refresh="on-demand") as session:
        provider = credential_provider(session)

        def told_for() -> float:
            before = time.time()
            _, at = provider()
            return at - before

        assert 55 < told_for() <= 61
        rolekeeper_sandbox.down()  # From here on the session only grows older.
        rolekeeper_clock.advance(session.remaining - 40)
        assert 25 < told_for() <= 31
        rolekeeper_clock.advance(session.remaining - 5)
        assert 0 < told_for() <= 2


def test_the_keys_are_those_of_the_session_by_object_stores_names(s3: World) -> None:
    keys, _ = credential_provider(s3.session)()
    credentials: Any = s3.session.get_credentials()
    frozen = credentials.get_frozen_credentials()
    assert keys == {
        "aws_access_key_id": frozen.access_key,
        "aws_secret_access_key": frozen.secret_key,
        "aws_session_token": frozen.token,
    }


def test_a_provider_shows_and_carries_no_secret(rolekeeper_sandbox: Sandbox) -> None:
    with rolekeeper.Session(role_arn=rolekeeper_sandbox.role_arn("demo")) as session:
        provider = credential_provider(session)
        keys, _ = provider()
        carried = pickle.dumps(provider)
        for secret in (keys["aws_secret_access_key"], keys["aws_session_token"]):
            assert secret not in repr(provider)
            assert secret.encode() not in carried
        with pickle.loads(carried)._reader.source as elsewhere:
            assert elsewhere.role_arn == session.role_arn


def test_what_gives_no_credentials_is_refused_at_once() -> None:
    with pytest.raises(rolekeeper.ConfigurationError, match="str gives no credentials"):
        credential_provider("a profile's name")
