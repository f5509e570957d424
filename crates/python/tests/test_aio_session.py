"""`rolekeeper.aio.Session` and `AioSession`: clients for asyncio that stay valid for ever."""

from __future__ import annotations

import asyncio
import copy
import gc
import pickle
import subprocess
import sys
import weakref
from collections.abc import Coroutine
from typing import TYPE_CHECKING, Any

import pytest

import rolekeeper
from gate import Gate

if TYPE_CHECKING:
    from rolekeeper.testing import Sandbox, SimulatedClock
    from servers import Moto

pytestmark = pytest.mark.needs(aiobotocore="2.25")
with_aioboto3 = pytest.mark.needs(aioboto3="15")

REGION = "us-east-1"
ROLE = "arn:aws:iam::123456789012:role/etl"


def run(work: Coroutine[Any, Any, Any]) -> Any:
    return asyncio.run(work)


@pytest.fixture(params=["Session", "AioSession"])
def make(request: pytest.FixtureRequest) -> Any:
    """Both classes; without aioboto3 they are one."""
    from rolekeeper import aio

    return getattr(aio, request.param)


def name_of(identity: Any) -> str:
    return str(identity.arn).split("assumed-role/")[1].split("/")[0]


# === what they are ===


def test_an_aio_session_is_an_aiobotocore_session(make: Any) -> None:
    import aiobotocore.session

    session = make(role_arn=ROLE, region_name=REGION)
    inner = getattr(session, "_session", session)
    assert isinstance(inner, aiobotocore.session.AioSession)
    assert session.region_name == REGION


@with_aioboto3
def test_with_aioboto3_a_session_is_an_aioboto3_session_and_one_of_ours() -> None:
    import aioboto3

    session = rolekeeper.aio.Session(role_arn=ROLE, region_name=REGION)
    assert isinstance(session, aioboto3.Session)
    assert isinstance(session, rolekeeper.Session)


def test_without_aioboto3_and_boto3_there_is_a_session_still() -> None:
    """aiobotocore needs neither."""
    program = f"""
import sys
sys.modules["boto3"] = sys.modules["aioboto3"] = None
import importlib.util
importlib.util.find_spec = lambda name, find=importlib.util.find_spec: (
    None if name == "aioboto3" else find(name)
)
from rolekeeper.aio import AioSession, Session
assert Session is AioSession
session = Session(role_arn={ROLE!r}, region_name={REGION!r})
session.client("rds")
"""
    subprocess.run([sys.executable, "-c", program], check=True, timeout=60)


def test_making_a_session_calls_nobody(rolekeeper_sandbox: Sandbox, make: Any) -> None:
    make(role_arn=rolekeeper_sandbox.role_arn("demo"))
    assert rolekeeper_sandbox.counts().total() == 0


def test_a_wrong_parameter_is_refused_when_the_session_is_made(make: Any) -> None:
    with pytest.raises(rolekeeper.ConfigurationError, match="did you mean role_session_name"):
        make(role_arn=ROLE, region_name=REGION, role_sesion_name="x")
    with pytest.raises(rolekeeper.ConfigurationError):
        make(role_arn="etl", region_name=REGION)


# === the client that is made once ===


def test_one_client_works_through_many_sessions(
    rolekeeper_sandbox: Sandbox, rolekeeper_clock: SimulatedClock, make: Any
) -> None:
    async def work() -> None:
        session = make(role_arn=rolekeeper_sandbox.role_arn("demo"))
        async with session.client("rds") as db:
            for _ in range(20):
                await db.describe_db_instances()
                rolekeeper_clock.advance(session.remaining + 1)
        assert session.generation >= 20

    run(work())
    assert rolekeeper_sandbox.counts().failed("DescribeDBInstances") == 0


@pytest.mark.rolekeeper_sandbox(session_lifetime=2)
def test_tasks_on_one_client_outlive_4_sessions_without_a_failed_call(
    rolekeeper_sandbox: Sandbox, make: Any
) -> None:
    """Real time and real expiry: what the sandbox says is over, it refuses."""
    from aiobotocore.config import AioConfig

    async def work() -> None:
        session = make(role_arn=rolekeeper_sandbox.role_arn("demo"))
        once = AioConfig(retries={"total_max_attempts": 1})

        async def call(db: Any) -> None:
            while session.generation < 4:
                await db.describe_db_instances()

        async with session.client("rds", config=once) as db:
            await asyncio.gather(*(call(db) for _ in range(10)))

    run(work())
    assert rolekeeper_sandbox.counts().failed("DescribeDBInstances") == 0


def test_moto_takes_the_sessions_signatures_before_and_after_a_refresh(
    moto: Moto, unique: str, make: Any
) -> None:
    async def work(gate: Gate) -> None:
        session = make(role_arn=moto.role_arn, region_name=REGION)
        async with session.client("s3", endpoint_url=gate.endpoint_url) as s3:
            await s3.create_bucket(Bucket=unique)
            for number in range(3):
                body = b"%d" % number
                await s3.put_object(Bucket=unique, Key="a", Body=body)
                answer = await s3.get_object(Bucket=unique, Key="a")
                assert await answer["Body"].read() == body
                credentials = session.refreshable_credentials
                old = await credentials.get_access_key()
                assert gate.keys_since_last_asked() == {old}
                await session.refresh_now()
                gate.revoke(old)
        assert gate.refused == 0

    with Gate(moto.endpoint_url) as gate:
        run(work(gate))


@with_aioboto3
def test_a_resource_works_through_many_sessions(
    rolekeeper_sandbox: Sandbox, rolekeeper_clock: SimulatedClock
) -> None:
    async def work() -> None:
        session = rolekeeper.aio.Session(role_arn=rolekeeper_sandbox.role_arn("demo"))
        async with session.resource("s3") as s3:
            for _ in range(3):
                assert [bucket async for bucket in s3.buckets.all()] != None
                rolekeeper_clock.advance(session.remaining + 1)
        assert session.generation >= 3

    run(work())
    assert rolekeeper_sandbox.counts().failed("ListBuckets") == 0


def test_a_thousand_tasks_make_one_call_to_sts(rolekeeper_sandbox: Sandbox, make: Any) -> None:
    async def work() -> None:
        session = make(role_arn=rolekeeper_sandbox.role_arn("demo"))
        credentials = (
            await session._session.get_credentials()
            if hasattr(session, "_session")
            else await session.get_credentials()
        )
        read = [credentials.get_frozen_credentials() for _ in range(1_000)]
        assert len({frozen.access_key for frozen in await asyncio.gather(*read)}) == 1

    run(work())
    assert rolekeeper_sandbox.counts().calls("AssumeRole") == 1


# === what is known of it ===


def test_whoami_and_refresh_now_are_awaited(rolekeeper_sandbox: Sandbox, make: Any) -> None:
    async def work() -> None:
        async with make(
            role_arn=rolekeeper_sandbox.role_arn("demo"), role_session_name="me"
        ) as session:
            assert (await session.whoami()).arn.endswith(":assumed-role/demo/me")
            assert session.generation == 1
            await session.refresh_now()
            assert session.generation == 2
            assert session.last_error is None
            assert session.remaining > 3000
        with pytest.raises(rolekeeper.Error, match="closed"):
            await session.refreshable_credentials.get_frozen_credentials()

    run(work())


def test_a_refusal_reaches_the_reader_and_last_error(
    rolekeeper_sandbox: Sandbox, make: Any
) -> None:
    async def work() -> None:
        session = make(role_arn=rolekeeper_sandbox.role_arn("forbidden"))
        async with session.client("s3") as s3:
            with pytest.raises(rolekeeper.DeniedError) as raised:
                await s3.list_buckets()
        assert raised.value.code == "AccessDenied"
        assert isinstance(session.last_error, rolekeeper.DeniedError)

    run(work())


def test_a_test_can_end_its_session_and_make_its_refreshes_fail(
    rolekeeper_sandbox: Sandbox, make: Any
) -> None:
    from rolekeeper.testing import expire, fail_refreshes

    async def work() -> None:
        session = make(role_arn=rolekeeper_sandbox.role_arn("demo"))
        async with session.client("s3") as s3:
            await s3.list_buckets()
            with fail_refreshes(session, rolekeeper.DeniedError("gone")):
                expire(session)
                with pytest.raises(rolekeeper.DeniedError, match="gone"):
                    await s3.list_buckets()
            await s3.list_buckets()

    run(work())
    assert rolekeeper_sandbox.counts().ok("AssumeRole") == 2


def test_no_secret_shows(rolekeeper_sandbox: Sandbox, make: Any) -> None:
    async def work() -> None:
        session = make(role_arn=rolekeeper_sandbox.role_arn("demo"))
        frozen = await session.refreshable_credentials.get_frozen_credentials()
        for secret in (frozen.secret_key, frozen.token):
            assert secret not in repr(session)
            assert secret not in repr(session.refreshable_credentials)

    run(work())


def test_a_session_that_nobody_holds_is_let_go(rolekeeper_sandbox: Sandbox, make: Any) -> None:
    async def work() -> weakref.ref[Any]:
        session = make(role_arn=rolekeeper_sandbox.role_arn("demo"))
        await session.whoami()
        return weakref.ref(session.refreshable_credentials)

    held = run(work())
    gc.collect()
    assert held() is None


# === sources ===


def test_the_source_may_be_an_aiobotocore_session(rolekeeper_sandbox: Sandbox, make: Any) -> None:
    from aiobotocore.session import get_session

    async def work() -> None:
        session = make(
            role_arn=rolekeeper_sandbox.role_arn("demo"), source=get_session(), region_name=REGION
        )
        assert name_of(await session.whoami()) == "demo"
        await session.refresh_now()
        assert session.generation == 2

    run(work())


def test_the_region_is_that_of_the_source(rolekeeper_sandbox: Sandbox, make: Any) -> None:
    from aiobotocore.session import get_session

    there = get_session()
    there.set_config_variable("region", "eu-west-1")
    assert make(role_arn=ROLE, source=there).region_name == "eu-west-1"
    first = make(role_arn=ROLE, region_name="eu-north-1")
    assert make(role_arn=ROLE, source=first).region_name == "eu-north-1"


@with_aioboto3
def test_the_source_may_be_an_aioboto3_session(rolekeeper_sandbox: Sandbox) -> None:
    import aioboto3

    async def work() -> None:
        source = aioboto3.Session(region_name=REGION)
        for named in ({"source": source}, {"botocore_session": source._session}):
            session = rolekeeper.aio.Session(role_arn=rolekeeper_sandbox.role_arn("demo"), **named)
            assert name_of(await session.whoami()) == "demo"

    run(work())


def test_a_session_that_is_not_async_may_have_an_async_source(rolekeeper_sandbox: Sandbox) -> None:
    pytest.importorskip("boto3")
    from aiobotocore.session import get_session

    session = rolekeeper.Session(
        role_arn=rolekeeper_sandbox.role_arn("demo"), source=get_session(), region_name=REGION
    )
    assert name_of(session.whoami()) == "demo"


def test_roles_are_chained_through_sessions(rolekeeper_sandbox: Sandbox, make: Any) -> None:
    async def work() -> None:
        first = make(role_arn=rolekeeper_sandbox.role_arn("demo"))
        chained = make(role_arn=rolekeeper_sandbox.role_arn("chained"), source=first)
        assert name_of(await chained.whoami()) == "chained"

    run(work())


def test_a_profile_gives_the_role_and_the_settings(
    rolekeeper_sandbox: Sandbox, make: Any, tmp_path: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = tmp_path / "config"
    config.write_text(
        "[profile etl]\nregion = eu-west-1\ncredential_source = Environment\n"
        f"role_arn = {rolekeeper_sandbox.role_arn('demo')}\n"
    )
    monkeypatch.setenv("AWS_CONFIG_FILE", str(config))

    async def work() -> None:
        session = make(profile_name="etl")
        assert name_of(await session.whoami()) == "demo"
        assert session.region_name in ("eu-west-1", rolekeeper_sandbox.region)

    run(work())


def test_static_keys_are_a_source(
    rolekeeper_sandbox: Sandbox, make: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    given = {
        "aws_access_key_id": rolekeeper_sandbox.environment["AWS_ACCESS_KEY_ID"],
        "aws_secret_access_key": rolekeeper_sandbox.environment["AWS_SECRET_ACCESS_KEY"],
    }
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")

    async def work() -> None:
        session = make(role_arn=rolekeeper_sandbox.role_arn("demo"), **given)
        assert name_of(await session.whoami()) == "demo"

    run(work())


# === pickling and copying ===


def test_pickled_it_carries_its_recipe_and_no_secret(
    rolekeeper_sandbox: Sandbox, make: Any
) -> None:
    async def work() -> None:
        session = make(role_arn=rolekeeper_sandbox.role_arn("demo"), role_session_name="me")
        frozen = await session.refreshable_credentials.get_frozen_credentials()
        carried = pickle.dumps(session)
        for secret in (frozen.secret_key, frozen.token):
            assert secret.encode() not in carried
        for again in (pickle.loads(carried), copy.copy(session), copy.deepcopy(session)):
            assert type(again) is type(session)
            assert again.generation == 0
            assert (await again.whoami()).arn.endswith(":assumed-role/demo/me")
            assert again.region_name == session.region_name

    run(work())


def test_s3fs_takes_an_aio_session_for_one_and_the_same_file_system(
    rolekeeper_sandbox: Sandbox,
) -> None:
    """fsspec takes a session's `repr` for its name."""
    from rolekeeper.aio import AioSession

    session = AioSession(role_arn=rolekeeper_sandbox.role_arn("demo"))
    before = repr(session)
    run(session.refresh_now())
    assert repr(session) == before
    assert repr(copy.copy(session)) != before
