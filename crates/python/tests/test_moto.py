"""Against moto, an STS that others wrote: over several services with IAM enforced, and in-process."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import boto3
import pytest
from botocore.exceptions import ClientError

import rolekeeper
from rolekeeper.testing import SimulatedClock

if TYPE_CHECKING:
    from servers import Moto


@pytest.fixture(params=["native", "boto3", "profile"])
def session(
    moto: Moto, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch, tmp_path: Any
) -> rolekeeper.Session:
    """The job's role, by each of the ways to it."""
    if request.param == "profile":
        config = tmp_path / "config"
        config.write_text(
            f"[profile job]\nrole_arn = {moto.role_arn}\ncredential_source = Environment\n"
        )
        monkeypatch.setenv("AWS_CONFIG_FILE", str(config))
        return rolekeeper.Session(profile_name="job")
    if request.param == "boto3":
        return rolekeeper.assume_role(boto3.Session(), moto.role_arn)
    return rolekeeper.Session(role_arn=moto.role_arn)


def work(s3: Any, rds: Any, dynamodb: Any, sts: Any, name: str) -> str:
    s3.put_object(Bucket=name, Key="a key+with=signs", Body=b"text")
    assert s3.get_object(Bucket=name, Key="a key+with=signs")["Body"].read() == b"text"
    rds.describe_db_instances()
    dynamodb.put_item(TableName=name, Item={"id": {"S": name}})
    assert dynamodb.get_item(TableName=name, Key={"id": {"S": name}})["Item"]
    return str(sts.get_caller_identity()["Arn"])


def test_clients_made_once_work_in_every_service_through_many_sessions(
    session: rolekeeper.Session, unique: str
) -> None:
    """moto checks each signature and token; its sessions don't end, so ours are replaced by hand."""
    s3, rds, dynamodb, sts = (session.client(name) for name in ("s3", "rds", "dynamodb", "sts"))
    s3.create_bucket(Bucket=unique)
    dynamodb.create_table(
        TableName=unique,
        KeySchema=[{"AttributeName": "id", "KeyType": "HASH"}],
        AttributeDefinitions=[{"AttributeName": "id", "AttributeType": "S"}],
        BillingMode="PAY_PER_REQUEST",
    )
    for _ in range(3):
        assert ":assumed-role/job/" in work(s3, rds, dynamodb, sts, unique)
        session.refresh_now()
    assert session.generation == 4


def test_a_session_may_do_what_its_role_may_and_nothing_else(session: rolekeeper.Session) -> None:
    with pytest.raises(ClientError) as caught:
        session.client("sqs").list_queues()
    assert caught.value.response["ResponseMetadata"]["HTTPStatusCode"] == 403


def test_threads_share_clients_while_sessions_end_by_the_clock(moto: Moto) -> None:
    """What is told of the session's end is what counts, not what the server thinks of it."""
    with SimulatedClock() as clock, rolekeeper.Session(role_arn=moto.role_arn) as session:
        rds, s3 = session.client("rds"), session.client("s3")

        def call(which: int) -> int:
            (rds.describe_db_instances if which % 2 else s3.list_buckets)()
            return 1

        with ThreadPoolExecutor(8) as pool:
            for _ in range(5):
                assert sum(pool.map(call, range(16))) == 16
                clock.advance(session.remaining + 1)
        assert session.generation >= 5


def test_a_role_is_chained_on_another(moto: Moto) -> None:
    first = rolekeeper.Session(role_arn=moto.role_arn)
    second = rolekeeper.assume_role(first, moto.chained_role_arn, role_session_name="second")
    assert second.whoami().arn.endswith(":assumed-role/chained/second")
    second.client("s3").list_buckets()


def test_a_role_that_we_may_not_assume_is_denied(moto: Moto) -> None:
    session = rolekeeper.Session(role_arn="arn:aws:iam::123456789012:role/another")
    with pytest.raises(rolekeeper.DeniedError) as caught:
        session.refresh_now()
    assert caught.value.code == "AccessDenied"


# === in-process ===


@pytest.mark.needs(moto="5.0")
def test_motos_mock_sees_the_calls_of_a_boto3_source(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Nothing listens anywhere: the mock is within botocore."""
    from moto import mock_aws

    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    role = "arn:aws:iam::123456789012:role/etl"
    with mock_aws():
        session = rolekeeper.assume_role(boto3.Session(), role, role_session_name="mocked")
        s3 = session.client("s3")
        s3.create_bucket(Bucket="in-memory")
        for _ in range(2):
            assert [each["Name"] for each in s3.list_buckets()["Buckets"]] == ["in-memory"]
            session.refresh_now()
        assert session.whoami().arn.endswith(":assumed-role/etl/mocked")
        chained = rolekeeper.assume_role(session, role, role_session_name="chained")
        assert chained.whoami().arn.endswith(":assumed-role/etl/chained")
        again = rolekeeper.Role(role, source=boto3.Session(), role_session_name="boto-free")
        assert again.whoami().arn.endswith(":assumed-role/etl/boto-free")
