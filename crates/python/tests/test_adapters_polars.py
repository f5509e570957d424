"""polars reads S3 through session after session."""

from __future__ import annotations

import json
import pickle
import time
from typing import TYPE_CHECKING, Any

import pytest

import rolekeeper
from adapters_world import NOBODY
from processes import succeeds
from rolekeeper.adapters.polars import credential_provider

if TYPE_CHECKING:
    from rolekeeper.testing import Sandbox, SimulatedClock
    from servers import Moto

pytestmark = pytest.mark.needs(polars="1", pyarrow="1")


@pytest.mark.parametrize(
    "reads",
    [
        "parquet_and_csv_with_the_sessions_keys",
        "on_when_the_session_has_changed",
        "by_a_second_session_of_the_same_recipe",
    ],
)
def test_polars_reads(reads: str, moto: Moto, monkeypatch: pytest.MonkeyPatch) -> None:
    names = ("endpoint_url", "role_arn", "access_key_id", "secret_access_key")
    server = json.dumps({name: getattr(moto, name) for name in names})
    monkeypatch.setenv("ROLEKEEPER_TEST_SERVER", server)
    for name, value in NOBODY.items():
        monkeypatch.setenv(name, value)
    succeeds("polars_reads.py", reads)


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


def test_the_keys_are_those_of_the_session_by_object_stores_names(
    rolekeeper_sandbox: Sandbox,
) -> None:
    with rolekeeper.Session(role_arn=rolekeeper_sandbox.role_arn("demo")) as session:
        keys, _ = credential_provider(session)()
        credentials: Any = session.get_credentials()
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
