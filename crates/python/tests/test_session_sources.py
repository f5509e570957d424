"""With what a role can be assumed: profiles, sessions, keys, other roles, a web identity."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import multiprocessing
import os
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import boto3
import botocore.session
import pytest
from botocore.credentials import Credentials

import rolekeeper
from rolekeeper import sdk_source

if TYPE_CHECKING:
    from rolekeeper.testing import Sandbox, SimulatedClock


@pytest.fixture
def keys(rolekeeper_sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch) -> tuple[str, str]:
    """The sandbox's keys, which nobody finds in the environment any more."""
    found = rolekeeper_sandbox.environment
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"):
        monkeypatch.delenv(name)
    return found["AWS_ACCESS_KEY_ID"], found["AWS_SECRET_ACCESS_KEY"]


@pytest.fixture
def profiles(
    rolekeeper_sandbox: Sandbox,
    keys: tuple[str, str],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    """`base` has keys and a Region of its own, `etl` a role on top of it."""
    config = tmp_path / "config"
    config.write_text(
        f"""
[profile base]
region = eu-west-1
aws_access_key_id = {keys[0]}
aws_secret_access_key = {keys[1]}

[profile etl]
region = eu-central-1
role_arn = {rolekeeper_sandbox.role_arn("demo")}
role_session_name = from-the-profile
source_profile = base

[profile with-mfa]
region = us-east-1
role_arn = {rolekeeper_sandbox.role_arn("mfa")}
role_session_name = with-mfa
mfa_serial = arn:aws:iam::123456789012:mfa/demo
source_profile = base
"""
    )
    monkeypatch.setenv("AWS_CONFIG_FILE", str(config))
    for name in ("AWS_REGION", "AWS_DEFAULT_REGION"):
        monkeypatch.delenv(name)


def name_of(session: rolekeeper.Session | rolekeeper.Role) -> str:
    """Role and session name, as STS has them."""
    return session.whoami().arn.split("assumed-role/")[1]


# === profiles ===


@pytest.mark.parametrize("said", [{"source": "base"}, {"profile_name": "base"}])
def test_a_role_is_assumed_with_a_profile(
    rolekeeper_sandbox: Sandbox, profiles: None, said: dict[str, str]
) -> None:
    session = rolekeeper.Session(
        role_arn=rolekeeper_sandbox.role_arn("demo"), role_session_name="me", **said
    )
    assert name_of(session) == "demo/me"
    assert session.region_name == "eu-west-1", "the profile's"
    session.client("rds").describe_db_instances()


def test_a_profile_that_has_a_role_is_enough(profiles: None) -> None:
    session = rolekeeper.Session(profile_name="etl")
    assert name_of(session) == "demo/from-the-profile"
    assert session.region_name == "eu-central-1"
    assert session.profile_name == "etl"
    assert session.expiration is not None


@pytest.mark.parametrize("variable", ["AWS_PROFILE", "AWS_DEFAULT_PROFILE"])
def test_the_environment_can_name_the_profile(
    rolekeeper_sandbox: Sandbox, profiles: None, variable: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(variable, "etl")
    assert name_of(rolekeeper.Session()) == "demo/from-the-profile"
    monkeypatch.setenv(variable, "base")
    session = rolekeeper.Session(
        role_arn=rolekeeper_sandbox.role_arn("demo"), role_session_name="me"
    )
    assert name_of(session) == "demo/me"


def test_a_profiles_role_can_be_the_source_of_another_role(
    rolekeeper_sandbox: Sandbox, profiles: None
) -> None:
    session = rolekeeper.Session(
        profile_name="etl",
        role_arn=rolekeeper_sandbox.role_arn("chained"),
        role_session_name="next",
    )
    assert name_of(session) == "chained/next"


def test_a_profile_with_mfa_asks_for_codes(rolekeeper_sandbox: Sandbox, profiles: None) -> None:
    session = rolekeeper.Session(profile_name="with-mfa", mfa_token=rolekeeper_sandbox.mfa_code)
    assert name_of(session) == "mfa/with-mfa"


def test_keys_win_over_a_profile_which_gives_the_settings(
    rolekeeper_sandbox: Sandbox, profiles: None, keys: tuple[str, str]
) -> None:
    session = rolekeeper.Session(
        *keys,
        profile_name="with-mfa",
        region_name="us-east-1",
        role_arn=rolekeeper_sandbox.role_arn("demo"),
        role_session_name="me",
    )
    assert session.profile_name == "with-mfa"
    assert name_of(session) == "demo/me"


# === keys ===


@pytest.mark.parametrize(
    "form",
    [
        lambda key, secret: {"source": (key, secret)},
        lambda key, secret: {"source": [key, secret, None]},
        lambda key, secret: {"source": {"aws_access_key_id": key, "aws_secret_access_key": secret}},
        lambda key, secret: {
            "source": {"AccessKeyId": key, "SecretAccessKey": secret, "SessionToken": ""}
        },
        lambda key, secret: {"source": {"access_key": key, "secret_key": secret, "token": None}},
        lambda key, secret: {"source": Credentials(key, secret)},
        lambda key, secret: {"source": Credentials(key, secret).get_frozen_credentials()},
        lambda key, secret: {"aws_access_key_id": key, "aws_secret_access_key": secret},
    ],
)
def test_keys_are_taken_in_every_form_that_people_have_them_in(
    rolekeeper_sandbox: Sandbox, keys: tuple[str, str], form: Any
) -> None:
    session = rolekeeper.Session(
        role_arn=rolekeeper_sandbox.role_arn("demo"), role_session_name="me", **form(*keys)
    )
    assert name_of(session) == "demo/me"


def test_keys_with_a_token_are_taken_too(rolekeeper_sandbox: Sandbox) -> None:
    demo: Any = boto3.client("sts").assume_role(
        RoleArn=rolekeeper_sandbox.role_arn("demo"), RoleSessionName="first"
    )
    session = rolekeeper.Session(
        role_arn=rolekeeper_sandbox.role_arn("chained"),
        role_session_name="second",
        source=demo["Credentials"],
    )
    assert name_of(session) == "chained/second"


# === sessions of boto3's ===


def test_a_boto3_sessions_own_client_makes_the_call(
    rolekeeper_sandbox: Sandbox,
    rolekeeper_clock: SimulatedClock,
    keys: tuple[str, str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for name in ("AWS_REGION", "AWS_DEFAULT_REGION"):
        monkeypatch.setenv(name, "us-west-2")
    base = boto3.Session(*keys, region_name="ap-southeast-2")
    calls: list[Any] = []
    base.events.register("before-send.sts.AssumeRole", lambda request, **_: calls.append(request))
    session = rolekeeper.assume_role(
        base, rolekeeper_sandbox.role_arn("demo"), role_session_name="me"
    )
    assert not calls
    buckets = session.client("s3")
    for _ in range(3):
        buckets.list_buckets()
        rolekeeper_clock.advance(session.remaining + 1)
    assert len(calls) == session.generation >= 3
    assert session.region_name == "ap-southeast-2", "that of the session that it comes from"
    assert rolekeeper_sandbox.counts().failed("ListBuckets") == 0


def test_the_session_that_is_the_source_stays_who_it_is(
    rolekeeper_sandbox: Sandbox, keys: tuple[str, str]
) -> None:
    base = botocore.session.Session()
    base.set_credentials(*keys)
    for _ in range(2):
        session = rolekeeper.Session(
            botocore_session=base,
            role_arn=rolekeeper_sandbox.role_arn("demo"),
            role_session_name="me",
        )
        assert name_of(session) == "demo/me"
        session.client("s3").list_buckets()
    sts: Any = base.create_client("sts")
    assert sts.get_caller_identity()["Arn"].endswith(":user/demo")
    assert base.get_credentials().access_key == keys[0]


def test_a_botocore_session_is_a_source_too(
    rolekeeper_sandbox: Sandbox, keys: tuple[str, str]
) -> None:
    base = botocore.session.Session()
    base.set_credentials(*keys)
    session = rolekeeper.Session(
        role_arn=rolekeeper_sandbox.role_arn("demo"), source=base, role_session_name="me"
    )
    assert name_of(session) == "demo/me"


def test_a_boto3_source_says_all_parameters(rolekeeper_sandbox: Sandbox) -> None:
    base = boto3.Session()
    sent: dict[str, str] = {}

    def see(params: dict[str, Any], **_: Any) -> None:
        sent.update(params["body"])

    base.events.register("before-call.sts.AssumeRole", see)
    session = rolekeeper.assume_role(
        base,
        rolekeeper_sandbox.role_arn("external"),
        external_id="sandbox-external-id",
        duration_seconds=1800,
        policy={"Version": "2012-10-17", "Statement": []},
        tags={"team": "storage"},
        source_identity="alice",
    )
    session.refresh_now()
    assert 1700 < session.remaining <= 1801
    assert sent["Policy"] == '{"Version":"2012-10-17","Statement":[]}'
    assert (sent["Tags.member.1.Key"], sent["Tags.member.1.Value"]) == ("team", "storage")
    assert (sent["SourceIdentity"], sent["ExternalId"]) == ("alice", "sandbox-external-id")
    assert "@" in sent["RoleSessionName"], "made of user and host"


def test_a_forked_child_does_not_write_to_its_parents_connection(
    rolekeeper_sandbox: Sandbox,
) -> None:
    session = rolekeeper.assume_role(boto3.Session(), rolekeeper_sandbox.role_arn("demo"))
    session.refresh_now()
    context = multiprocessing.get_context("fork")
    here, there = context.Pipe()

    def child() -> None:
        session.refresh_now()
        there.send(session.whoami().arn)

    process = context.Process(target=child)
    process.start()
    assert here.poll(60)
    assert here.recv() == session.whoami().arn.replace(str(os.getpid()), str(process.pid))
    process.join()
    session.refresh_now()
    assert rolekeeper_sandbox.counts().failed("AssumeRole") == 0


def test_a_client_is_made_anew_in_a_forked_child_and_only_there(
    rolekeeper_sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    made: list[Any] = []
    base = boto3.Session()
    base.events.register("creating-client-class.sts", lambda **_: made.append(1))
    session = rolekeeper.assume_role(base, rolekeeper_sandbox.role_arn("demo"))
    for _ in range(2):
        session.refresh_now()
    assert len(made) == 1
    monkeypatch.setattr(sdk_source.os, "getpid", lambda: 1)
    for _ in range(2):
        session.refresh_now()
    assert len(made) == 2


def test_a_refusal_through_boto3_is_sorted_like_any_other(rolekeeper_sandbox: Sandbox) -> None:
    from botocore.exceptions import ClientError

    session = rolekeeper.assume_role(boto3.Session(), rolekeeper_sandbox.role_arn("forbidden"))
    with pytest.raises(rolekeeper.DeniedError) as caught:
        session.refresh_now()
    assert caught.value.code == "AccessDenied"
    assert isinstance(caught.value.__cause__, ClientError)


def test_a_wrong_clock_here_does_not_matter_to_a_boto3_source(
    rolekeeper_sandbox: Sandbox,
) -> None:
    """The answer's own Date says how long the session lives."""
    rolekeeper_sandbox.set_faults(clock_offset_seconds=-240)
    session = rolekeeper.assume_role(
        boto3.Session(), rolekeeper_sandbox.role_arn("demo"), duration_seconds=900
    )
    session.refresh_now()
    assert 850 < session.remaining <= 901


# === other roles ===


@pytest.mark.parametrize("first_source", ["native", "boto3"])
def test_a_role_is_assumed_with_another_sessions_role_for_as_long_as_it_takes(
    rolekeeper_sandbox: Sandbox, rolekeeper_clock: SimulatedClock, first_source: str
) -> None:
    first = rolekeeper.Session(
        role_arn=rolekeeper_sandbox.role_arn("demo"),
        source=boto3.Session() if first_source == "boto3" else None,
    )
    second = rolekeeper.assume_role(
        first, rolekeeper_sandbox.role_arn("chained"), role_session_name="second"
    )
    assert rolekeeper_sandbox.counts().total() == 0
    buckets = second.client("s3")
    for _ in range(4):
        buckets.list_buckets()
        rolekeeper_clock.advance(max(first.remaining, second.remaining) + 1)
    assert name_of(second) == "chained/second"
    assert min(first.generation, second.generation) >= 4
    assert rolekeeper_sandbox.counts().failed("ListBuckets") == 0


def test_chaining_goes_through_the_same_door_as_the_first_role(
    rolekeeper_sandbox: Sandbox,
) -> None:
    base = boto3.Session()
    roles: list[str] = []
    base.events.register(
        "before-call.sts.AssumeRole", lambda params, **_: roles.append(params["body"]["RoleArn"])
    )
    first = rolekeeper.assume_role(base, rolekeeper_sandbox.role_arn("demo"))
    first.events.register(
        "before-call.sts.AssumeRole", lambda params, **_: roles.append(params["body"]["RoleArn"])
    )
    second = rolekeeper.assume_role(first, rolekeeper_sandbox.role_arn("chained"))
    second.refresh_now()
    assert roles == [rolekeeper_sandbox.role_arn("chained"), rolekeeper_sandbox.role_arn("demo")]


def test_a_role_that_is_denied_its_first_step_says_which(rolekeeper_sandbox: Sandbox) -> None:
    first = rolekeeper.Session(role_arn=rolekeeper_sandbox.role_arn("forbidden"))
    second = rolekeeper.assume_role(first, rolekeeper_sandbox.role_arn("chained"))
    with pytest.raises(rolekeeper.DeniedError, match="role/forbidden"):
        second.refresh_now()


# === web identity ===


def token(audience: str = "sts.amazonaws.com") -> str:
    """A token of the sandbox's own issuer (crates/sandbox/src/default.toml)."""

    def part(content: bytes) -> str:
        return base64.urlsafe_b64encode(content).rstrip(b"=").decode()

    now = int(time.time())
    claims = {
        "iss": "https://issuer.sandbox.invalid",
        "sub": "system:serviceaccount:default:etl",
        "aud": audience,
        "iat": now - 1,
        "exp": now + 600,
    }
    head = part(json.dumps({"alg": "HS256", "typ": "JWT"}).encode())
    signed = f"{head}.{part(json.dumps(claims).encode())}"
    secret = b"signs-nothing-but-sandbox-identity-tokens"
    return f"{signed}.{part(hmac.digest(secret, signed.encode(), hashlib.sha256))}"


def test_a_web_identity_token_is_read_for_every_session(
    rolekeeper_sandbox: Sandbox, keys: tuple[str, str], tmp_path: Path
) -> None:
    file = tmp_path / "token"
    file.write_text(token())
    session = rolekeeper.Session(
        role_arn=rolekeeper_sandbox.role_arn("web"),
        web_identity_token_file=file,
        role_session_name="pod",
        duration_seconds=900,
    )
    assert name_of(session) == "web/pod"
    assert session.refreshable_credentials.method == "assume-role-with-web-identity"
    file.write_text("not a token")
    with pytest.raises(rolekeeper.Error):
        session.refresh_now()
    file.write_text(token())
    session.refresh_now()
    assert session.generation == 2


def test_the_environment_is_that_of_the_moment_when_the_session_was_made(
    rolekeeper_sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    with rolekeeper.Session(role_arn=rolekeeper_sandbox.role_arn("demo")) as session:
        monkeypatch.setenv("AWS_ACCESS_KEY_ID", "nobody")
        monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:1")
        session.refresh_now()
        assert session.generation == 1
