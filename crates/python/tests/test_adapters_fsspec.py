"""s3fs, fsspec and pyarrow read S3 through session after session."""

from __future__ import annotations

import asyncio
import pickle
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import pytest

import rolekeeper
from adapters_world import CSV, NOBODY, ROWS, World, world

if TYPE_CHECKING:
    from rolekeeper.testing import Sandbox
    from servers import Moto

pytestmark = pytest.mark.needs(s3fs="2024", pyarrow="1")


@pytest.fixture
def s3(moto: Moto, unique: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[World]:
    for name, value in NOBODY.items():
        monkeypatch.setenv(name, value)
    with world(moto, unique) as made:
        yield made


# === s3fs ===


def test_one_s3fs_file_system_reads_through_many_sessions(s3: World) -> None:
    from rolekeeper.adapters.fsspec import filesystem

    files = filesystem(s3.session, endpoint_url=s3.gate.endpoint_url)
    for _ in range(3):
        assert files.cat_file(f"{s3.bucket}/a.csv") == CSV
        assert s3.gate.keys_since_last_asked() == {s3.key}
        s3.end_the_session()
    assert s3.gate.refused == 0


def test_storage_options_open_s3_urls(s3: World) -> None:
    import fsspec

    from rolekeeper.adapters.fsspec import storage_options

    options = storage_options(s3.session, endpoint_url=s3.gate.endpoint_url)
    with fsspec.open(f"s3://{s3.bucket}/b.csv", "wb", **options) as file:
        file.write(CSV)
    s3.end_the_session()
    with fsspec.open(f"s3://{s3.bucket}/b.csv", "rb", **options) as file:
        assert file.read() == CSV


def test_the_same_source_gives_the_same_file_system(s3: World) -> None:
    """fsspec keeps every file system for ever: a loop must not make one each time."""
    from rolekeeper.adapters.fsspec import filesystem

    assert filesystem(s3.session) is filesystem(s3.session)
    other = rolekeeper.Session(role_arn=s3.session.role_arn, region_name="us-east-1")
    assert filesystem(other) is not filesystem(s3.session)


def test_a_file_system_is_pickled_without_a_secret(rolekeeper_sandbox: Sandbox) -> None:
    from rolekeeper.adapters.fsspec import filesystem

    with rolekeeper.Session(role_arn=rolekeeper_sandbox.role_arn("demo")) as session:
        credentials: Any = session.get_credentials()
        frozen = credentials.get_frozen_credentials()
        files = filesystem(session)
        carried = pickle.dumps(files)
        for secret in (frozen.secret_key, frozen.token):
            assert secret.encode() not in carried
        # As another process would have it: the same recipe, another session.
        type(files).clear_instance_cache()
        again: Any = pickle.loads(carried)
        there = asyncio.run(again.session._credentials.get_frozen_credentials())
        assert there.access_key != frozen.access_key
        type(files).clear_instance_cache()


# === aiobotocore ===


def test_an_aiobotocore_session_follows_a_session_that_is_not_async(s3: World) -> None:
    from rolekeeper.adapters.aiobotocore import session as following

    async def read() -> None:
        made = following(s3.session)
        async with made.create_client("s3", endpoint_url=s3.gate.endpoint_url) as client:
            for _ in range(3):
                answer = await client.get_object(Bucket=s3.bucket, Key="a.csv")
                assert await answer["Body"].read() == CSV
                assert s3.gate.keys_since_last_asked() == {s3.key}
                await asyncio.to_thread(s3.end_the_session)

    asyncio.run(read())
    assert s3.gate.refused == 0


def test_a_following_session_reads_botocores_own_credentials(s3: World) -> None:
    import boto3

    from rolekeeper.adapters.aiobotocore import session as following

    plain = boto3.Session("a key", "a secret", "a token")

    async def read() -> Any:
        credentials = following(plain)._credentials
        assert await credentials.get_access_key() == "a key"
        assert await credentials.get_secret_key() == "a secret"
        assert await credentials.get_token() == "a token"
        return await credentials.get_account_id()

    assert asyncio.run(read()) is None


# === pyarrow ===


def test_pyarrow_reads_a_dataset_through_many_sessions(s3: World) -> None:
    import pyarrow.dataset

    from rolekeeper.adapters.pyarrow import filesystem

    files = filesystem(s3.session, endpoint_url=s3.gate.endpoint_url)
    for _ in range(2):
        data = pyarrow.dataset.dataset(f"{s3.bucket}/a.parquet", filesystem=files)
        assert [tuple(row.values()) for row in data.to_table().to_pylist()] == ROWS
        assert s3.gate.keys_since_last_asked() == {s3.key}
        s3.end_the_session()
    assert s3.gate.refused == 0


def test_arrows_own_file_system_has_the_session_of_the_moment(s3: World) -> None:
    from rolekeeper.adapters.pyarrow import short_lived_filesystem

    def read() -> bytes:
        made = short_lived_filesystem(s3.session, endpoint_override=s3.gate.address, scheme="http")
        with made.open_input_stream(f"{s3.bucket}/a.csv") as file:
            return bytes(file.read())

    assert read() == CSV
    assert s3.gate.keys_since_last_asked() == {s3.key}
    new = s3.end_the_session()
    assert read() == CSV
    assert s3.gate.keys_since_last_asked() == {new}
