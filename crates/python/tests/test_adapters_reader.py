"""The adapters take whatever gives credentials."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from datetime import datetime, timedelta, timezone
from typing import TYPE_CHECKING, Any

import pytest

import rolekeeper
from rolekeeper.adapters._reader import Reader

if TYPE_CHECKING:
    from rolekeeper.testing import Sandbox

HOUR = 3600


def answer(life: float = HOUR) -> dict[str, Any]:
    return {
        "access_key": "KEY",
        "secret_key": "secret",
        "token": "token",
        "expiry_time": datetime.now(timezone.utc) + timedelta(seconds=life),
    }


@pytest.fixture
def session(rolekeeper_sandbox: Sandbox) -> Any:
    with rolekeeper.Session(role_arn=rolekeeper_sandbox.role_arn("demo")) as session:
        yield session


def test_a_session_its_credentials_and_its_botocore_session_are_one(session: Any) -> None:
    sources = (session, session.get_credentials(), session._session)
    keys = {Reader(source).read().access_key for source in sources}
    assert keys == {session.get_credentials().get_frozen_credentials().access_key}


def test_a_role_needs_no_boto3(rolekeeper_sandbox: Sandbox) -> None:
    role = rolekeeper.Role(rolekeeper_sandbox.role_arn("demo"), region_name="eu-west-1")
    reader = Reader(role)
    assert reader.read().access_key == role.get_frozen_credentials().access_key
    assert reader.region == "eu-west-1"
    program = (
        "import sys; import rolekeeper.adapters.polars, rolekeeper.adapters.obstore, "
        "rolekeeper.adapters.environment, rolekeeper.adapters.process, rolekeeper.adapters.duckdb, "
        "rolekeeper.adapters.pyarrow; "
        "assert not {'boto3', 'polars', 'obstore', 'duckdb', 'pyarrow'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", program], check=True, timeout=60)


def test_every_adapter_is_reached_from_the_package() -> None:
    from rolekeeper import adapters

    for name in ("polars", "obstore", "duckdb", "pyarrow", "environment", "process"):
        assert getattr(adapters, name).__name__ == f"rolekeeper.adapters.{name}"
    with pytest.raises(AttributeError, match="pandas"):
        _ = adapters.pandas


def test_botocores_own_credentials_and_sessions_are_read() -> None:
    boto3 = pytest.importorskip("boto3")
    plain = boto3.Session("a key", "a secret", "a token", region_name="eu-west-1")
    for source in (plain, plain._session, plain.get_credentials()):
        reading = Reader(source).read()
        assert reading[:3] == ("a key", "a secret", "a token")
        assert reading.expiration is None
    assert Reader(plain).region == Reader(plain._session).region == "eu-west-1"


def test_a_session_with_our_credentials_put_in_is_read_through_them() -> None:
    botocore_session = pytest.importorskip("botocore.session")
    session = botocore_session.get_session()
    session._credentials = rolekeeper.DeferredRefreshableCredentials(answer, "vault")
    reading = Reader(session).read()
    assert reading.access_key == "KEY"
    assert reading.expiration is not None


@pytest.mark.parametrize("life", [HOUR, 40, 5])
@pytest.mark.parametrize("theirs", [False, True])
def test_a_copy_is_for_a_minute_at_most_and_not_for_the_last_seconds(
    life: float, theirs: bool
) -> None:
    botocore = pytest.importorskip("botocore.credentials")
    group = botocore.RefreshableCredentials if theirs else rolekeeper.RefreshableCredentials

    class OnDemand(group):  # type: ignore[misc, valid-type]
        _advisory_refresh_timeout = _mandatory_refresh_timeout = 0
        refresh_mode = "on-demand"

    first = answer(life)
    credentials = OnDemand(
        first["access_key"],
        first["secret_key"],
        first["token"],
        first["expiry_time"],
        lambda: answer(life),
        "test",
    )
    wanted = {HOUR: 60, 40: 30, 5: 1}[int(life)]
    assert Reader(credentials).read().copy_for == pytest.approx(wanted, abs=1)


def test_a_session_without_credentials_is_refused() -> None:
    boto3 = pytest.importorskip("boto3")
    with pytest.raises(rolekeeper.ConfigurationError, match="finds no credentials"):
        Reader(boto3.Session())


@pytest.mark.needs(aiobotocore="2.25")
def test_our_sessions_for_asyncio_are_read_from_any_thread(rolekeeper_sandbox: Sandbox) -> None:
    async def read() -> None:
        session = rolekeeper.aio.AioSession(role_arn=rolekeeper_sandbox.role_arn("demo"))
        reading = await asyncio.to_thread(Reader(session).read)
        assert reading.access_key == await session.refreshable_credentials.get_access_key()

    asyncio.run(read())


@pytest.mark.needs(aiobotocore="2.25")
def test_others_sessions_for_asyncio_are_refused_at_once() -> None:
    from aiobotocore.session import get_session

    session = get_session()
    with pytest.raises(rolekeeper.ConfigurationError, match="event loop"):
        Reader(session)
    session.set_credentials("a", "b")
    with pytest.raises(rolekeeper.ConfigurationError, match="event loop"):
        Reader(session._credentials)


def test_a_reading_shows_no_secret(session: Any) -> None:
    reading = Reader(session).read()
    assert reading.secret_key not in repr(reading)
    assert str(reading.token) not in repr(reading)
