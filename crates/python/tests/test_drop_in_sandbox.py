"""The code that everybody copies from the blog, with only the import replaced, against an STS that
really expires sessions.
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError, ConnectionClosedError
from botocore.session import get_session

from drop_in_source import FAR_TOO_LONG, key
from rolekeeper import (
    DeferredRefreshableCredentials,
    DeniedError,
    RefreshableCredentials,
    UnavailableError,
)
from rolekeeper.testing import Sandbox, SimulatedClock, expire

MODES = ["background", "on-demand"]


@pytest.fixture(params=MODES)
def mode(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.setattr(RefreshableCredentials, "refresh_mode", request.param)
    mode: str = request.param
    return mode


def refresher(role_arn: str) -> Callable[[], dict[str, Any]]:
    # One attempt a call: what the tests make fail is not to be hidden by botocore's own retries.
    config = boto3.session.Config(retries={"total_max_attempts": 1}, read_timeout=10)
    sts = boto3.client("sts", config=config)

    def refresh() -> dict[str, Any]:
        response = sts.assume_role(RoleArn=role_arn, RoleSessionName="blog")["Credentials"]
        return {
            "access_key": response.get("AccessKeyId"),
            "secret_key": response.get("SecretAccessKey"),
            "token": response.get("SessionToken"),
            "expiry_time": response.get("Expiration").isoformat(),
        }

    return refresh


def blog(refresh: Callable[[], dict[str, Any]]) -> tuple[RefreshableCredentials, boto3.Session]:
    """As in the blog."""
    session = get_session()
    session._credentials = RefreshableCredentials.create_from_metadata(
        metadata=refresh(), refresh_using=refresh, method="sts-assume-role"
    )
    autorefresh = boto3.Session(botocore_session=session)
    return session._credentials, autorefresh


def client_of(autorefresh: boto3.Session, service: str = "rds") -> Any:
    config = boto3.session.Config(retries={"total_max_attempts": 1}, max_pool_connections=16)
    return autorefresh.client(service, config=config)


@pytest.mark.rolekeeper_sandbox(session_lifetime=2)
def test_one_client_of_the_blogs_session_outlives_its_sessions_in_many_threads(
    rolekeeper_sandbox: Sandbox, mode: str
) -> None:
    credentials, autorefresh = blog(refresher(rolekeeper_sandbox.role_arn()))
    db = client_of(autorefresh)

    def work() -> int:
        calls = 0
        while credentials.generation < 4:
            db.describe_db_instances()
            calls += 1
        return calls

    with ThreadPoolExecutor(8) as threads:
        calls = [threads.submit(work) for _ in range(8)]
        assert all(call.result(FAR_TOO_LONG) > 0 for call in calls)
    counts = rolekeeper_sandbox.counts()
    assert counts.ok("DescribeDBInstances") == sum(call.result() for call in calls)
    assert counts.failed("DescribeDBInstances") == 0
    assert counts.calls("AssumeRole") <= 6


def test_the_blogs_session_goes_on_after_each_of_twenty_ends(
    rolekeeper_sandbox: Sandbox, mode: str
) -> None:
    credentials, autorefresh = blog(refresher(rolekeeper_sandbox.role_arn()))
    db = client_of(autorefresh)
    keys = set()
    for _ in range(20):
        db.describe_db_instances()
        keys.add(key(credentials))
        # For the service they are over, and for us as well.
        rolekeeper_sandbox.advance(3600)
        expire(credentials)
    db.describe_db_instances()
    assert len(keys) == 20
    assert rolekeeper_sandbox.counts().failed("DescribeDBInstances") == 0


def test_clients_of_every_kind_share_the_session(rolekeeper_sandbox: Sandbox, mode: str) -> None:
    _, autorefresh = blog(refresher(rolekeeper_sandbox.role_arn()))
    client_of(autorefresh).describe_db_instances()
    client_of(autorefresh, "s3").list_buckets()
    arn = client_of(autorefresh, "sts").get_caller_identity()["Arn"]
    assert arn.endswith(":assumed-role/demo/blog")
    assert rolekeeper_sandbox.counts().calls("AssumeRole") == 1


def test_deferred_credentials_call_sts_with_the_first_call_of_a_client(
    rolekeeper_sandbox: Sandbox, mode: str
) -> None:
    session = get_session()
    session._credentials = DeferredRefreshableCredentials(
        refresher(rolekeeper_sandbox.role_arn()), "sts-assume-role"
    )
    db = client_of(boto3.Session(botocore_session=session))
    assert rolekeeper_sandbox.counts().calls("AssumeRole") == 0
    db.describe_db_instances()
    db.describe_db_instances()
    assert rolekeeper_sandbox.counts().calls("AssumeRole") == 1


def test_an_outage_of_sts_is_noticed_by_nobody_while_the_session_is_valid(
    rolekeeper_sandbox: Sandbox, mode: str
) -> None:
    credentials, autorefresh = blog(refresher(rolekeeper_sandbox.role_arn()))
    db = client_of(autorefresh)
    rolekeeper_sandbox.down()
    wanted = {"background": UnavailableError, "on-demand": ConnectionClosedError}[mode]
    with pytest.raises(wanted, match="Connection was closed"):
        credentials.refresh_now()
    assert isinstance(credentials.last_error, UnavailableError)
    for _ in range(20):
        db.describe_db_instances()
    assert rolekeeper_sandbox.counts().failed("DescribeDBInstances") == 0
    rolekeeper_sandbox.clear_faults()
    credentials.refresh_now()
    assert credentials.last_error is None
    db.describe_db_instances()


def test_a_refusal_of_sts_is_denied_in_the_background_and_itself_on_demand(
    rolekeeper_sandbox: Sandbox, mode: str
) -> None:
    credentials = DeferredRefreshableCredentials(
        refresher(rolekeeper_sandbox.role_arn("forbidden")), "sts-assume-role"
    )
    wanted = {"background": DeniedError, "on-demand": ClientError}[mode]
    with pytest.raises(wanted, match="AccessDenied"):
        credentials.get_frozen_credentials()
    error = credentials.last_error
    assert isinstance(error, DeniedError)
    assert (error.code, error.retryable) == ("AccessDenied", False)
    assert error.hint is not None
    assert "trust policy" in error.hint
    assert isinstance(error.__cause__, ClientError)


def test_a_revoked_session_is_replaced_when_somebody_says_that_it_was_rejected(
    rolekeeper_sandbox: Sandbox, mode: str
) -> None:
    credentials, autorefresh = blog(refresher(rolekeeper_sandbox.role_arn()))
    db = client_of(autorefresh)
    revoked = key(credentials)
    assert rolekeeper_sandbox.revoke_sessions(access_key_id=revoked) == 1
    with pytest.raises(ClientError):
        db.describe_db_instances()
    credentials.rejected(revoked)
    db.describe_db_instances()
    assert key(credentials) != revoked


def test_a_simulated_clock_moves_sessions_that_a_callable_makes_by_the_real_one(
    rolekeeper_sandbox: Sandbox, rolekeeper_clock: SimulatedClock, mode: str
) -> None:
    credentials, autorefresh = blog(refresher(rolekeeper_sandbox.role_arn()))
    db = client_of(autorefresh)
    keys = set()
    for _ in range(5):
        db.describe_db_instances()
        keys.add(key(credentials))
        assert credentials.remaining == pytest.approx(3600, abs=60)
        rolekeeper_clock.advance(4000)
    assert len(keys) == 5
    assert rolekeeper_sandbox.counts().failed("DescribeDBInstances") == 0
