"""A `rolekeeper.Session` is a boto3 session whose clients stay valid for ever."""

from __future__ import annotations

import gc
import inspect
import threading
import time
import weakref
from datetime import datetime, timezone
from typing import TYPE_CHECKING, Any

import boto3
import botocore.session
import pytest
from botocore.config import Config
from botocore.credentials import RefreshableCredentials
from botocore.exceptions import BotoCoreError, ClientError

import rolekeeper
from rolekeeper._rolekeeper import Clock, Keeper

if TYPE_CHECKING:
    from collections.abc import Iterator

    from rolekeeper.testing import Sandbox, SimulatedClock

# Seconds, for what happens at once on a machine that is not busy.
SOON = 30


@pytest.fixture
def session(rolekeeper_sandbox: Sandbox) -> Iterator[rolekeeper.Session]:
    with rolekeeper.Session(role_arn=rolekeeper_sandbox.role_arn("demo")) as session:
        yield session


# === the client that is made once ===


def test_one_client_works_through_many_sessions(
    rolekeeper_sandbox: Sandbox, rolekeeper_clock: SimulatedClock, session: rolekeeper.Session
) -> None:
    buckets = session.client("s3")
    for _ in range(20):
        buckets.list_buckets()
        rolekeeper_clock.advance(session.remaining + 1)
    assert session.generation >= 20
    assert rolekeeper_sandbox.counts().failed("ListBuckets") == 0


def test_a_resource_works_through_many_sessions(
    rolekeeper_sandbox: Sandbox, rolekeeper_clock: SimulatedClock, session: rolekeeper.Session
) -> None:
    buckets = session.resource("s3").buckets
    for _ in range(3):
        assert isinstance(list(buckets.all()), list)
        rolekeeper_clock.advance(session.remaining + 1)
    assert session.generation >= 3


@pytest.mark.rolekeeper_sandbox(session_lifetime=3)
def test_a_job_of_16_threads_on_one_client_outlives_20_sessions_without_a_failed_call(
    rolekeeper_sandbox: Sandbox, session: rolekeeper.Session
) -> None:
    """Real time and real expiry: what the sandbox says is over, it refuses."""
    once = Config(retries={"total_max_attempts": 1}, max_pool_connections=16)
    db = session.client("rds", config=once)
    failed: list[Exception] = []
    calls = [0] * 16

    def work(which: int) -> None:
        try:
            while session.generation < 20 and not failed:
                db.describe_db_instances()
                calls[which] += 1
        except (BotoCoreError, ClientError) as error:
            failed.append(error)

    threads = [threading.Thread(target=work, args=(which,)) for which in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failed
    assert session.generation >= 20
    assert all(calls), "each thread had its part"
    counts = rolekeeper_sandbox.counts()
    assert counts.failed("DescribeDBInstances") == 0
    assert counts.ok("DescribeDBInstances") == sum(calls)
    assert counts.calls("AssumeRole") <= session.generation + 1, "one fetch a session"


def test_a_client_works_on_while_sts_is_down(
    rolekeeper_sandbox: Sandbox, rolekeeper_clock: SimulatedClock, session: rolekeeper.Session
) -> None:
    buckets = session.client("s3")
    buckets.list_buckets()
    rolekeeper_sandbox.down()
    with pytest.raises(rolekeeper.UnavailableError):
        session.refresh_now()
    buckets.list_buckets()
    assert isinstance(session.last_error, rolekeeper.UnavailableError)
    rolekeeper_sandbox.clear_faults()
    session.refresh_now()
    assert session.last_error is None


def test_a_revoked_session_is_replaced_once_it_is_told(
    rolekeeper_sandbox: Sandbox, session: rolekeeper.Session
) -> None:
    buckets = session.client("s3")
    buckets.list_buckets()
    key = session.get_credentials().get_frozen_credentials().access_key
    rolekeeper_sandbox.revoke_sessions(role="demo")
    session.rejected(key)
    buckets.list_buckets()
    assert session.generation == 2
    session.rejected(key)
    buckets.list_buckets()
    assert session.generation == 2, "that key was gone already"


# === a boto3 session ===


def test_it_is_a_boto3_session_with_botocores_credentials(session: rolekeeper.Session) -> None:
    assert isinstance(session, boto3.Session)
    credentials = session.get_credentials()
    assert isinstance(credentials, RefreshableCredentials)
    assert credentials is session.refreshable_credentials
    assert session.region_name == "us-east-1"
    assert session.profile_name == "default"
    assert "rds" in session.get_available_services()


def test_it_takes_the_arguments_of_boto3_in_the_same_order() -> None:
    theirs = list(inspect.signature(boto3.Session.__init__).parameters)
    ours = list(inspect.signature(rolekeeper.Session.__init__).parameters)
    # Old ones lack the last one, aws_account_id.
    assert ours[: len(theirs)] == theirs
    assert ours[len(theirs) :] in (
        ["role_arn", "options"],
        ["aws_account_id", "role_arn", "options"],
    )


def test_botocores_private_names_follow_the_session(
    rolekeeper_sandbox: Sandbox, rolekeeper_clock: SimulatedClock, session: rolekeeper.Session
) -> None:
    credentials: Any = session.get_credentials()
    for _ in range(2):
        frozen = credentials.get_frozen_credentials()
        assert credentials._frozen_credentials == frozen
        assert (credentials.access_key, credentials.secret_key, credentials.token) == frozen[:3]
        assert credentials._expiry_time == session.expiration
        assert credentials.account_id == "123456789012"
        assert not credentials.refresh_needed(60)
        assert credentials.method == "assume-role"
        rolekeeper_clock.advance(session.remaining + 1)
    assert session.generation == 2


def test_who_calls_botocores_refresh_function_gets_a_new_session(
    session: rolekeeper.Session,
) -> None:
    credentials: Any = session.get_credentials()
    before = credentials.get_frozen_credentials()
    metadata = credentials._refresh_using()
    assert metadata["access_key"] != before.access_key
    assert metadata["access_key"] == credentials.get_frozen_credentials().access_key
    assert metadata["expiry_time"] == session.expiration


# === what is known of it ===


def test_nobody_is_called_and_no_thread_started_before_the_first_read(
    rolekeeper_sandbox: Sandbox,
) -> None:
    before = threading.active_count()
    session = rolekeeper.Session(role_arn=rolekeeper_sandbox.role_arn("demo"))
    session.client("s3")
    assert (session.expiration, session.remaining, session.generation) == (None, 0.0, 0)
    assert session.last_error is None
    assert threading.active_count() == before
    assert rolekeeper_sandbox.counts().total() == 0


def test_its_end_and_what_remains_are_told(session: rolekeeper.Session) -> None:
    session.refresh_now()
    assert session.expiration is not None
    assert session.expiration.tzinfo is timezone.utc
    until = (session.expiration - datetime.now(timezone.utc)).total_seconds()
    assert abs(until - session.remaining) < 2
    assert 3500 < session.remaining <= 3601, "STS' Date has whole seconds"
    assert session.generation >= 1


def test_it_says_who_it_is(rolekeeper_sandbox: Sandbox) -> None:
    session = rolekeeper.Session(
        role_arn=rolekeeper_sandbox.role_arn("demo"), role_session_name="nightly"
    )
    account, arn, user_id = session.whoami()
    assert account == "123456789012"
    assert arn == "arn:aws:sts::123456789012:assumed-role/demo/nightly"
    assert user_id.endswith(":nightly")


def test_every_parameter_reaches_sts_in_either_spelling(rolekeeper_sandbox: Sandbox) -> None:
    role = rolekeeper_sandbox.role_arn("external")
    snake = rolekeeper.Session(role_arn=role, external_id="sandbox-external-id")
    camel = rolekeeper.Session(
        assume_role_kwargs={
            "RoleArn": role,
            "ExternalId": "sandbox-external-id",
            "DurationSeconds": 900,
        }
    )
    wrong = rolekeeper.Session(role_arn=role, external_id="another-one")
    snake.refresh_now()
    camel.refresh_now()
    assert 3000 < snake.remaining
    assert 800 < camel.remaining <= 901
    with pytest.raises(rolekeeper.DeniedError) as caught:
        wrong.refresh_now()
    assert caught.value.code == "AccessDenied"
    assert caught.value.role_arn == role
    assert caught.value.valid_until is None
    assert not caught.value.retryable


def test_a_failed_call_of_a_client_raises_our_error_which_is_botocores_too(
    rolekeeper_sandbox: Sandbox,
) -> None:
    from botocore.exceptions import CredentialRetrievalError

    session = rolekeeper.Session(role_arn=rolekeeper_sandbox.role_arn("forbidden"))
    with pytest.raises(CredentialRetrievalError) as caught:
        session.client("s3").list_buckets()
    assert isinstance(caught.value, rolekeeper.DeniedError)


def test_repr_shows_role_and_region_and_what_remains(session: rolekeeper.Session) -> None:
    role = session.role_arn
    assert repr(session) == f"Session(region_name='us-east-1', {role}, no session yet)"
    session.refresh_now()
    assert repr(session).startswith(f"Session(region_name='us-east-1', {role}, ")
    assert repr(session).endswith(" min remaining)")


# === where and how it refreshes ===


def test_sts_can_be_called_elsewhere(
    rolekeeper_sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL_STS", "http://127.0.0.1:9")
    session = rolekeeper.Session(
        role_arn=rolekeeper_sandbox.role_arn("demo"),
        region_name="eu-west-1",
        sts_region_name="us-east-1",
        sts_endpoint_url=rolekeeper_sandbox.endpoint_url,
    )
    assert session.whoami().arn.startswith("arn:aws:sts::123456789012:assumed-role/demo/")
    assert session.client("s3").meta.region_name == "eu-west-1"


def test_a_region_that_only_other_sdks_know_is_the_clients_too(
    rolekeeper_sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("AWS_DEFAULT_REGION")
    monkeypatch.setenv("AWS_REGION", "eu-central-1")
    session = rolekeeper.Session(role_arn=rolekeeper_sandbox.role_arn("demo"))
    assert session.region_name == "eu-central-1"
    session.client("rds").describe_db_instances()


@pytest.mark.parametrize("refresh", ["background", "on-demand"])
def test_both_ways_of_refreshing_keep_a_client_alive(
    rolekeeper_sandbox: Sandbox, rolekeeper_clock: SimulatedClock, refresh: Any
) -> None:
    role = rolekeeper_sandbox.role_arn("demo")
    with rolekeeper.Session(role_arn=role, refresh=refresh) as session:
        buckets = session.client("s3")
        for _ in range(3):
            buckets.list_buckets()
            rolekeeper_clock.advance(session.remaining + 1)
        assert session.generation >= 3


@pytest.mark.parametrize("kind", [rolekeeper.Session, rolekeeper.Role])
@pytest.mark.parametrize(
    ("refresh", "in_lambda", "mode"),
    [
        ("auto", False, "background"),
        ("auto", True, "on-demand"),
        ("background", True, "background"),
        ("on-demand", False, "on-demand"),
    ],
)
def test_in_lambda_the_readers_refresh_unless_it_is_said_otherwise(
    rolekeeper_sandbox: Sandbox,
    monkeypatch: pytest.MonkeyPatch,
    kind: Any,
    refresh: str,
    in_lambda: bool,
    mode: str,
) -> None:
    if in_lambda:
        monkeypatch.setenv("AWS_LAMBDA_FUNCTION_NAME", "a-function")
    seen: list[Any] = []

    def opened(keeper: Any, *arguments: Any, **named: Any) -> None:
        seen.append(named["mode"])
        Keeper._open(keeper, *arguments, **named)

    with kind(role_arn=rolekeeper_sandbox.role_arn("demo"), refresh=refresh) as session:
        monkeypatch.setattr(type(session._keeper), "_open", opened, raising=False)
        session.refresh_now()
    assert seen == [mode]


# === its end ===


def test_a_closed_session_serves_nobody(session: rolekeeper.Session) -> None:
    buckets = session.client("s3")
    buckets.list_buckets()
    session.close()
    with pytest.raises(rolekeeper.Error):
        buckets.list_buckets()
    with pytest.raises(rolekeeper.Error):
        session.refresh_now()
    session.close()


def test_a_session_that_is_closed_before_its_first_read_serves_nobody(
    rolekeeper_sandbox: Sandbox,
) -> None:
    with rolekeeper.Session(role_arn=rolekeeper_sandbox.role_arn("demo")) as session:
        buckets = session.client("s3")
    with pytest.raises(rolekeeper.Error, match="closed"):
        buckets.list_buckets()
    assert rolekeeper_sandbox.counts().total() == 0


@pytest.mark.parametrize("source", ["native", "boto3", "botocore", "chained", "boto3, chained"])
def test_a_session_that_nobody_holds_goes_and_takes_its_refresher_along(
    rolekeeper_sandbox: Sandbox, rolekeeper_clock: SimulatedClock, source: str
) -> None:
    role, next_role = (rolekeeper_sandbox.role_arn(name) for name in ("demo", "chained"))
    given = botocore.session.Session()
    if source == "botocore":
        sessions = [rolekeeper.Session(botocore_session=given, role_arn=role, on_event=print)]
    elif source.startswith("boto3"):
        sessions = [rolekeeper.assume_role(boto3.Session(), role)]
    else:
        sessions = [rolekeeper.Session(role_arn=role, on_event=print)]
    if source.endswith("chained"):
        sessions.append(rolekeeper.assume_role(sessions[0], next_role))
    sessions[-1].client("s3").list_buckets()
    gone = [weakref.ref(session.refreshable_credentials) for session in sessions]
    calls = rolekeeper_sandbox.counts().calls("AssumeRole")
    assert calls == len(sessions)
    sessions.clear()
    end = time.monotonic() + SOON
    while any(credentials() is not None for credentials in gone) and time.monotonic() < end:
        gc.collect()
        # What the native side has let go of goes when somebody enters it.
        Clock()
    assert not any(credentials() is not None for credentials in gone)
    rolekeeper_clock.advance(3500)
    assert rolekeeper_sandbox.counts().calls("AssumeRole") == calls


def test_a_client_outlives_the_session_object_that_made_it(
    rolekeeper_sandbox: Sandbox, rolekeeper_clock: SimulatedClock
) -> None:
    role = rolekeeper_sandbox.role_arn("demo")
    buckets = rolekeeper.Session(role_arn=role).client("s3")
    for _ in range(3):
        gc.collect()
        buckets.list_buckets()
        rolekeeper_clock.advance(4000)
    assert rolekeeper_sandbox.counts().failed("ListBuckets") == 0
