"""Programs that are started with a session, or with a line that makes sessions."""

from __future__ import annotations

import json
import os
import shlex
import subprocess
import sys
from datetime import datetime, timezone
from typing import TYPE_CHECKING, Any

import pytest

import rolekeeper
from rolekeeper.adapters.environment import environment
from rolekeeper.adapters.process import credential_process

if TYPE_CHECKING:
    from pathlib import Path

    from rolekeeper.testing import Sandbox

ROLE = "arn:aws:iam::123456789012:role/etl"
FIRST = "arn:aws:iam::123456789012:role/first"
TOKEN_FILE = "web_identity_token_file"

# What a program of somebody's does: a client by the SDK's own means.
WHO_AM_I = "import boto3; print(boto3.client('sts').get_caller_identity()['Arn'])"


def output_of(*command: str, **variables: str) -> str:
    done = subprocess.run(
        command,
        env={**os.environ, **variables},
        check=True,
        capture_output=True,
        text=True,
        timeout=60,
    )
    return done.stdout.strip()


# === an environment ===


@pytest.mark.needs(boto3="1")
def test_a_program_with_the_environment_is_the_role(rolekeeper_sandbox: Sandbox) -> None:
    with rolekeeper.Session(
        role_arn=rolekeeper_sandbox.role_arn("demo"), role_session_name="me"
    ) as session:
        who = output_of(sys.executable, "-c", WHO_AM_I, **environment(session))
        assert who.endswith(":assumed-role/demo/me")
        session.refresh_now()
        who = output_of(sys.executable, "-c", WHO_AM_I, **environment(session))
        assert who.endswith(":assumed-role/demo/me")


def test_the_environment_tells_the_session_its_end_the_account_and_the_region(
    rolekeeper_sandbox: Sandbox,
) -> None:
    role = rolekeeper.Role(rolekeeper_sandbox.role_arn("demo"), region_name="eu-west-1")
    frozen, variables = role.get_frozen_credentials(), environment(role)
    end = variables.pop("AWS_CREDENTIAL_EXPIRATION")
    assert end.endswith("Z")
    told = datetime.fromisoformat(end.replace("Z", "+00:00"))
    assert 3500 < (told - datetime.now(timezone.utc)).total_seconds() <= 3601
    assert variables == {
        "AWS_ACCESS_KEY_ID": frozen.access_key,
        "AWS_SECRET_ACCESS_KEY": frozen.secret_key,
        "AWS_SESSION_TOKEN": frozen.token,
        "AWS_ACCOUNT_ID": "123456789012",
        "AWS_REGION": "eu-west-1",
        "AWS_DEFAULT_REGION": "eu-west-1",
    }


def test_the_environment_of_static_keys_has_what_they_have() -> None:
    boto3 = pytest.importorskip("boto3")
    plain = boto3.Session("a key", "a secret", region_name="eu-west-1")
    assert environment(plain) == {
        "AWS_ACCESS_KEY_ID": "a key",
        "AWS_SECRET_ACCESS_KEY": "a secret",
        "AWS_REGION": "eu-west-1",
        "AWS_DEFAULT_REGION": "eu-west-1",
    }


# === a credential_process line ===


@pytest.mark.needs(boto3="1")
def test_an_sdk_with_the_line_is_the_role(
    rolekeeper_sandbox: Sandbox, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = tmp_path / "config"
    with rolekeeper.Session(
        role_arn=rolekeeper_sandbox.role_arn("demo"), role_session_name="me"
    ) as session:
        config.write_text(f"[profile etl]\ncredential_process = {credential_process(session)}\n")
    monkeypatch.setenv("AWS_CONFIG_FILE", str(config))
    who = output_of(
        sys.executable,
        "-c",
        WHO_AM_I.replace("boto3.client", "boto3.Session(profile_name='etl').client"),
    )
    assert who.endswith(":assumed-role/demo/me")


def test_the_line_prints_one_session_for_all_who_ask(
    rolekeeper_sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("ROLEKEEPER_STORE")
    role = rolekeeper.Role(rolekeeper_sandbox.role_arn("demo"))
    line = shlex.split(credential_process(role))
    first, second = (json.loads(output_of(*line)) for _ in range(2))
    assert first == second
    assert first["AccessKeyId"] != role.get_frozen_credentials().access_key
    assert first["Expiration"]


def test_the_line_says_where_the_session_is_shared(rolekeeper_sandbox: Sandbox) -> None:
    shared = rolekeeper.Role(rolekeeper_sandbox.role_arn("demo"), store="file")
    line = shlex.split(credential_process(shared))
    assert line[-2:] == ["--store", "file"]
    assert json.loads(output_of(*line))["AccessKeyId"] == shared.get_frozen_credentials().access_key


def test_a_line_holds_no_password(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ROLEKEEPER_STORE_KEY", "07" * 32)
    arn = "arn:aws:iam::123456789012:role/etl"
    role = rolekeeper.Role(arn, region_name="us-east-1", store="redis://:open-sesame@127.0.0.1:1")
    with pytest.raises(rolekeeper.ConfigurationError, match="ROLEKEEPER_STORE where"):
        credential_process(role)


@pytest.fixture
def base_profile(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    config = tmp_path / "config"
    config.write_text("[profile base]\naws_access_key_id = a\naws_secret_access_key = b\n")
    monkeypatch.setenv("AWS_CONFIG_FILE", str(config))


def words(**options: Any) -> list[str]:
    role = rolekeeper.Role(**{"role_arn": ROLE, "region_name": "us-east-1", **options})
    return shlex.split(credential_process(role))[2:]


def test_every_parameter_becomes_an_argument(base_profile: None) -> None:
    assert words(
        role_session_name="me",
        duration_seconds=7200,
        external_id="x-1",
        policy='{"Version":\n "2012-10-17"}',
        policy_arns=["arn:aws:iam::aws:policy/ReadOnlyAccess"],
        tags={"team": "a b"},
        transitive_tag_keys=["team"],
        source_identity="ann",
        source="base",
        sts_endpoint_url="http://localhost:4566",
    ) == [
        *("--role-arn", ROLE, "--profile", "base", "--role-session-name", "me"),
        *("--duration", "7200s", "--external-id", "x-1", "--policy", '{"Version":"2012-10-17"}'),
        *("--policy-arn", "arn:aws:iam::aws:policy/ReadOnlyAccess", "--tag", "team=a b"),
        *("--transitive-tag-key", "team", "--source-identity", "ann", "--region", "us-east-1"),
        *("--endpoint-url", "http://localhost:4566"),
    ]


def test_the_command_understands_every_argument(rolekeeper_sandbox: Sandbox) -> None:
    role = rolekeeper.Role(
        rolekeeper_sandbox.role_arn("demo"),
        role_session_name="me",
        duration_seconds=900,
        policy={"Version": "2012-10-17", "Statement": []},
        tags={"team": "a b"},
        transitive_tag_keys=["team"],
    )
    told = json.loads(output_of(*shlex.split(credential_process(role))))
    lasts = datetime.fromisoformat(told["Expiration"].replace("Z", "+00:00"))
    assert (lasts - datetime.now(timezone.utc)).total_seconds() < 1000


def test_the_line_is_one_line() -> None:
    role = rolekeeper.Role(ROLE, region_name="us-east-1", policy='{\n"Version": "2012-10-17"\n}')
    assert "\n" not in credential_process(role)


def test_an_mfa_command_goes_along() -> None:
    device = "arn:aws:iam::123456789012:mfa/ann"
    said = words(serial_number=device, mfa_token=["echo", "12 34"])
    assert said[2:6] == ["--mfa-serial", device, "--mfa-process", "echo '12 34'"]


def test_a_chain_of_roles_becomes_a_chain_of_arguments(base_profile: None) -> None:
    first = rolekeeper.Role(FIRST, region_name="us-east-1", profile_name="base")
    said = words(source=first)
    assert said[:6] == ["--role-arn", FIRST, "--role-arn", ROLE, "--profile", "base"]


def test_a_profiles_role_is_named_by_its_profile(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = tmp_path / "config"
    config.write_text(
        f"[profile etl]\nregion = us-east-1\ncredential_source = Environment\nrole_arn = {ROLE}\n"
    )
    monkeypatch.setenv("AWS_CONFIG_FILE", str(config))
    said = shlex.split(credential_process(rolekeeper.Role(profile_name="etl")))[2:]
    assert said[:2] == ["--profile", "etl"]


def test_a_boto3_session_by_profile_becomes_its_profile(base_profile: None) -> None:
    boto3 = pytest.importorskip("boto3")
    source = boto3.Session(profile_name="base", region_name="us-east-1")
    assert words(source=source)[:4] == ["--role-arn", ROLE, "--profile", "base"]


@pytest.mark.parametrize(
    ("options", "why"),
    [
        ({"source": ("a key", "a secret")}, "static keys"),
        (
            {"serial_number": "arn:aws:iam::1:mfa/a", "mfa_token": lambda: "123456"},
            "MFA codes come from a Python function",
        ),
        (
            {
                "provided_contexts": [
                    {
                        "ProviderArn": "arn:aws:iam::aws:contextProvider/x",
                        "ContextAssertion": "secret",
                    }
                ]
            },
            "assertions",
        ),
        ({"source": rolekeeper.Role(FIRST, region_name="us-east-1", external_id="x1")}, FIRST),
    ],
)
def test_what_no_command_line_can_say_is_refused_with_its_reason(
    options: dict[str, Any], why: str
) -> None:
    with pytest.raises(rolekeeper.ConfigurationError, match=why):
        words(**options)


def test_a_web_identity_is_refused(tmp_path: Path) -> None:
    (tmp_path / "token").write_text("token")
    with pytest.raises(rolekeeper.ConfigurationError, match="web identity"):
        words(web_identity_token_file=tmp_path / "token")


def test_credentials_of_a_python_function_are_refused() -> None:
    pytest.importorskip("botocore")
    credentials = rolekeeper.DeferredRefreshableCredentials(dict, "vault")
    with pytest.raises(rolekeeper.ConfigurationError, match="code of its own"):
        credential_process(credentials)
