"""What can't work is refused by name where it is said, with what to do, and nothing hangs."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.credentials import Credentials, RefreshableCredentials

import rolekeeper
from rolekeeper.testing import Sandbox

ROLE = "arn:aws:iam::123456789012:role/etl"


def refusal(**arguments: Any) -> str:
    with pytest.raises(rolekeeper.ConfigurationError) as caught:
        rolekeeper.Session(**arguments)
    assert isinstance(caught.value, ValueError)
    assert not caught.value.retryable
    return str(caught.value)


def refusal_of_role(**arguments: Any) -> str:
    return refusal(**{"role_arn": ROLE, "region_name": "us-east-1", **arguments})


# === names ===


@pytest.mark.parametrize(
    ("name", "near"),
    [
        ("rolearn", "role_arn"),
        ("RoleArn", "role_arn"),
        ("duration_second", "duration_seconds"),
        ("mfa_tokens", "mfa_token"),
        ("sts_region", "sts_region_name"),
        ("profilename", "profile_name"),
        ("session_name", "role_session_name"),
    ],
)
def test_an_unknown_parameter_is_refused_with_the_known_ones_near_it(name: str, near: str) -> None:
    words = refusal(**{name: "value"})
    assert f"'{name}' is not a parameter" in words
    assert near in words.split("did you mean")[1]


def test_a_parameter_that_is_near_none_is_refused_with_all_of_them() -> None:
    words = refusal_of_role(frobnicate=True)
    assert "known are assume_role_kwargs, aws_access_key_id" in words
    assert "token_code" not in words


def test_the_same_is_said_by_assume_role_and_role() -> None:
    with pytest.raises(rolekeeper.ConfigurationError, match="did you mean external_id"):
        rolekeeper.assume_role(boto3.Session(), ROLE, externalid="x")  # type: ignore[call-arg]
    with pytest.raises(rolekeeper.ConfigurationError, match="did you mean external_id"):
        rolekeeper.Role(ROLE, externalid="x")  # type: ignore[call-arg]


# === values ===


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"role_arn": "etl"}, "the role ARN `etl` is not an ARN.*arn:aws:iam::"),
        ({"role_arn": ""}, "is not an ARN"),
        ({"role_session_name": "a b"}, "the session name `a b` has the character ' '"),
        ({"duration_seconds": 60}, "60 s is not between 900 s and 43200 s"),
        ({"external_id": "x"}, "the external id `x` has 1 characters"),
        ({"policy": "{"}, "the inline policy is not a JSON object"),
        ({"policy_arns": ["x"]}, "the policy ARN `x` is not an ARN"),
        ({"tags": [{"Key": "a", "Value": ""}, {"Key": "A", "Value": ""}]}, "given twice"),
        ({"source_identity": "aws:me"}, "starts with `aws:`"),
        ({"region_name": 7}, "region_name is of type int"),
        ({"profile_name": ["dev"]}, "profile_name is of type list"),
        ({"sts_region_name": 7}, "sts_region_name is of type int"),
        ({"sts_endpoint_url": 7}, "sts_endpoint_url is of type int"),
        ({"sts_endpoint_url": "localhost"}, "the endpoint URL `localhost` is not a URL"),
        ({"refresh": "sometimes"}, "refresh is 'sometimes'.*on-demand"),
        ({"refresh": ["auto"]}, "refresh is"),
        ({"web_identity_token_file": 7}, "web_identity_token_file is of type int"),
    ],
)
def test_a_wrong_value_is_refused_with_what_to_give(arguments: dict[str, Any], words: str) -> None:
    assert re.search(words, refusal_of_role(**arguments)), refusal_of_role(**arguments)


@pytest.mark.parametrize("source", [None, "boto3"])
def test_wrong_parameters_are_found_whoever_makes_the_call(source: str | None) -> None:
    session = None if source is None else boto3.Session("key", "secret", region_name="us-east-1")
    assert "60 s is not between" in refusal_of_role(duration_seconds=60, source=session)


def test_a_missing_region_is_found_at_once() -> None:
    words = refusal(role_arn=ROLE)
    assert "no Region is set" in words
    assert "AWS_REGION" in words


# === what is missing, or too much ===


def test_no_role_is_refused() -> None:
    assert "role_arn" in refusal(region_name="us-east-1")
    keys = {"aws_access_key_id": "key", "aws_secret_access_key": "secret"}
    assert "no role is named that the source is for" in refusal(region_name="us-east-1", **keys)
    assert "no role" in refusal(region_name="us-east-1", web_identity_token_file="token")
    assert "no role" in refusal(region_name="us-east-1", source=boto3.Session())


def test_parameters_beside_a_profile_alone_are_refused(profiles: None) -> None:
    words = refusal(profile_name="etl", external_id="customer-7")
    assert "external_id given, but no role" in words


@pytest.mark.parametrize(
    "arguments",
    [
        {"aws_access_key_id": "AKIDEXAMPLE"},
        {"aws_secret_access_key": "hidden"},
        {"aws_session_token": "hidden"},
        {"aws_account_id": "123456789012"},
        {"aws_access_key_id": "AKIDEXAMPLE", "aws_session_token": "hidden"},
    ],
)
def test_half_a_pair_of_keys_is_refused_and_not_shown(arguments: dict[str, Any]) -> None:
    words = refusal_of_role(**arguments)
    assert "missing" in words
    assert "hidden" not in words


def test_a_source_said_twice_is_refused() -> None:
    words = refusal_of_role(aws_access_key_id="key", aws_secret_access_key="hidden", source="dev")
    assert "source= says what the access key says too" in words


def test_assume_role_wants_a_session_and_no_other_source() -> None:
    with pytest.raises(rolekeeper.ConfigurationError, match="takes a session"):
        rolekeeper.assume_role(None, ROLE)
    with pytest.raises(rolekeeper.ConfigurationError, match="takes a session"):
        rolekeeper.assume_role(boto3.Session(), ROLE, source="dev")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"serial_number": "123456789"}, "nobody to ask for its codes.*mfa_token="),
        ({"mfa_token": input}, "no device to ask a code of.*serial_number="),
        ({"token_code": "123456"}, "mfa_token="),
        ({"mfa_serial": "123456789", "mfa_token": "123456"}, "a code, which is good once"),
        ({"mfa_serial": "123456789", "mfa_token": 123456}, "mfa_token is of type int"),
        ({"mfa_serial": "123456789", "mfa_token": ""}, "names no command"),
        ({"mfa_serial": "123456789", "mfa_token": []}, "names no command"),
        ({"mfa_serial": "123456789", "mfa_token": ["ls", 7]}, "names no command"),
        ({"mfa_serial": "123456789", "mfa_token": "ls 'x"}, "can't be read"),
        ({"mfa_serial": "123456789", "mfa_token": "no-such-command x"}, "'no-such-command'.*PATH"),
    ],
)
def test_an_mfa_that_can_not_work_is_refused(arguments: dict[str, Any], words: str) -> None:
    said = refusal_of_role(**arguments)
    assert re.search(words, said)
    assert "123456 " not in said


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"external_id": "customer-7"}, "external_id is nothing that AssumeRoleWithWebIdentity"),
        ({"tags": {"a": "b"}}, "tags is nothing that"),
        ({"source": "dev"}, "leaves nothing for source"),
        ({"mfa_token": input}, "leaves nothing for mfa_token"),
        ({"aws_access_key_id": "a", "aws_secret_access_key": "b"}, "leaves nothing for source"),
    ],
)
def test_what_a_web_identity_can_not_use_is_refused(arguments: dict[str, Any], words: str) -> None:
    assert words in refusal_of_role(web_identity_token_file="token", **arguments)


# === sources ===


@pytest.mark.parametrize(
    "source", [7, "", (), ("key",), ("a", "b", "c", "d"), {}, {"key": "secret"}, object(), [1, 2]]
)
def test_what_is_no_source_is_refused(source: Any) -> None:
    assert "source" in refusal_of_role(source=source)


def test_credentials_whose_keys_change_are_refused_since_they_would_not_be_refreshed() -> None:
    credentials = RefreshableCredentials.create_from_metadata(
        {
            "access_key": "a",
            "secret_key": "b",
            "token": "c",
            "expiry_time": "2100-01-01T00:00:00Z",
        },
        dict,
        "test",
    )
    words = refusal_of_role(source=credentials)
    assert "RefreshableCredentials, whose keys change" in words
    assert "pass the session" in words
    session = rolekeeper.Session(role_arn=ROLE, region_name="us-east-1")
    assert "whose keys change" in refusal_of_role(source=session.get_credentials())


def test_an_unknown_profile_is_refused_with_those_near_it(profiles: None) -> None:
    for arguments in ({"source": "etk"}, {"profile_name": "etk"}):
        assert "etl" in refusal_of_role(**arguments)
    assert "etl" in refusal(profile_name="etk")


@pytest.fixture
def profiles(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    config = tmp_path / "config"
    config.write_text(f"[profile etl]\nrole_arn={ROLE}\ncredential_source=Environment\n")
    monkeypatch.setenv("AWS_CONFIG_FILE", str(config))


# === what shows only later ===


def test_a_call_that_never_ends_is_given_up(rolekeeper_sandbox: Sandbox) -> None:
    rolekeeper_sandbox.set_faults(only=["AssumeRole"], hang=True)
    session = rolekeeper.Session(role_arn=rolekeeper_sandbox.role_arn("demo"))
    # Instead of the 10 and 30 seconds that it has.
    session.refreshable_credentials.read_deadline = 0.5
    with pytest.raises(rolekeeper.UnavailableError):
        session.client("s3").list_buckets()


@pytest.mark.parametrize("source", [None, "boto3"])
def test_an_answer_that_has_expired_already_is_a_bad_answer(
    rolekeeper_sandbox: Sandbox, source: str | None
) -> None:
    rolekeeper_sandbox.set_faults(already_expired=True)
    session = rolekeeper.Session(
        role_arn=rolekeeper_sandbox.role_arn("demo"), source=source and boto3.Session()
    )
    with pytest.raises(rolekeeper.BadAnswerError):
        session.refresh_now()


@pytest.mark.parametrize("field", ["AccessKeyId", "SecretAccessKey", "SessionToken", "Expiration"])
@pytest.mark.parametrize("source", [None, "boto3"])
def test_an_answer_with_something_missing_is_a_bad_answer(
    rolekeeper_sandbox: Sandbox, source: str | None, field: str
) -> None:
    rolekeeper_sandbox.set_faults(missing_field=field)
    session = rolekeeper.Session(
        role_arn=rolekeeper_sandbox.role_arn("demo"), source=source and boto3.Session()
    )
    with pytest.raises(rolekeeper.BadAnswerError):
        session.refresh_now()


def test_sessions_are_not_mistaken_for_keys() -> None:
    """A frozen set of keys has no refresh_needed: it is taken for what it is."""
    frozen = Credentials("key", "secret").get_frozen_credentials()
    rolekeeper.Session(role_arn=ROLE, region_name="us-east-1", source=frozen)
    assert "AWS_ACCESS_KEY_ID" not in os.environ
