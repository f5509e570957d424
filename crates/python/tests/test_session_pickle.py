"""A pickled session carries its recipe, never a secret, and makes its own session elsewhere."""

from __future__ import annotations

import copy
import multiprocessing
import pickle
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any

import boto3
import botocore.session
import pytest

import rolekeeper

if TYPE_CHECKING:
    from rolekeeper.testing import Sandbox

ROLE = "arn:aws:iam::123456789012:role/etl"


def twin_of(session: Any) -> Any:
    return pickle.loads(pickle.dumps(session))


def arn_of(session: rolekeeper.Session) -> str:
    return session.whoami().arn


@pytest.fixture
def profile(
    rolekeeper_sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> tuple[str, str]:
    """A profile with keys, which are nowhere else."""
    keys = rolekeeper_sandbox.environment
    config = tmp_path / "config"
    config.write_text(
        f"[profile base]\n"
        f"region = eu-west-1\n"
        f"aws_access_key_id = {keys['AWS_ACCESS_KEY_ID']}\n"
        f"aws_secret_access_key = {keys['AWS_SECRET_ACCESS_KEY']}\n"
    )
    monkeypatch.setenv("AWS_CONFIG_FILE", str(config))
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"):
        monkeypatch.delenv(name)
    return keys["AWS_ACCESS_KEY_ID"], keys["AWS_SECRET_ACCESS_KEY"]


def test_the_twin_has_the_recipe_and_a_session_of_its_own(rolekeeper_sandbox: Sandbox) -> None:
    session = rolekeeper.Session(
        role_arn=rolekeeper_sandbox.role_arn("external"),
        external_id="sandbox-external-id",
        role_session_name="nightly",
        duration_seconds=900,
        region_name="eu-west-1",
        sts_region_name="us-east-1",
        refresh="on-demand",
    )
    session.refresh_now()
    twin = twin_of(session)
    assert twin.generation == 0
    assert arn_of(twin).endswith("external/nightly")
    assert twin.region_name == "eu-west-1"
    assert 800 < twin.remaining <= 901
    assert twin.refreshable_credentials.refresh_mode == "on-demand"
    ours, theirs = (each.get_credentials().get_frozen_credentials() for each in (session, twin))
    assert ours.access_key != theirs.access_key


def test_no_secret_is_in_the_pickle(rolekeeper_sandbox: Sandbox) -> None:
    role = rolekeeper_sandbox.role_arn("demo")
    for session in (
        rolekeeper.Session(role_arn=role),
        rolekeeper.assume_role(boto3.Session(), role),
        rolekeeper.assume_role(
            rolekeeper.Session(role_arn=role), rolekeeper_sandbox.role_arn("chained")
        ),
    ):
        session.refresh_now()
        frozen = session.get_credentials().get_frozen_credentials()
        pickled = pickle.dumps(session)
        for secret in (
            frozen.secret_key,
            frozen.token,
            frozen.access_key,
            rolekeeper_sandbox.environment["AWS_SECRET_ACCESS_KEY"],
        ):
            assert secret.encode() not in pickled


@pytest.mark.parametrize("start", ["spawn", "forkserver", "fork"])
@pytest.mark.rolekeeper_sandbox(session_lifetime=30)
def test_other_processes_work_with_the_pickled_session(
    rolekeeper_sandbox: Sandbox, start: str
) -> None:
    session = rolekeeper.Session(
        role_arn=rolekeeper_sandbox.role_arn("demo"), role_session_name="shared"
    )
    mine = arn_of(session)
    with ProcessPoolExecutor(2, multiprocessing.get_context(start)) as pool:
        assert set(pool.map(arn_of, [session] * 4)) == {mine}


def test_a_profile_is_carried_by_its_name(
    rolekeeper_sandbox: Sandbox, profile: tuple[str, str]
) -> None:
    role = rolekeeper_sandbox.role_arn("demo")
    for session in (
        rolekeeper.Session(role_arn=role, profile_name="base", role_session_name="me"),
        rolekeeper.Session(role_arn=role, source="base", role_session_name="me"),
        rolekeeper.assume_role(boto3.Session(profile_name="base"), role, role_session_name="me"),
        rolekeeper.Session(
            role_arn=role,
            botocore_session=botocore.session.Session(profile="base"),
            role_session_name="me",
        ),
    ):
        session.refresh_now()
        twin = twin_of(session)
        assert arn_of(twin).endswith("demo/me")
        assert twin.region_name == session.region_name
        assert twin.profile_name == session.profile_name
        assert profile[1].encode() not in pickle.dumps(session)


def test_a_chain_is_carried_as_a_whole(rolekeeper_sandbox: Sandbox) -> None:
    for source in (None, boto3.Session()):
        first = rolekeeper.Session(role_arn=rolekeeper_sandbox.role_arn("demo"), source=source)
        second = rolekeeper.assume_role(
            first, rolekeeper_sandbox.role_arn("chained"), role_session_name="second"
        )
        assert arn_of(twin_of(second)).endswith("chained/second")
        both = twin_of((first, second))
        both[1].refresh_now()
        assert both[0].generation == 1, "the twins are chained to each other"


def test_static_keys_are_not_carried_and_the_error_says_what_to_do(
    rolekeeper_sandbox: Sandbox, profile: tuple[str, str]
) -> None:
    role = rolekeeper_sandbox.role_arn("demo")
    given = boto3.Session(*profile)
    for session in (
        rolekeeper.Session(role_arn=role, source=profile),
        rolekeeper.Session(*profile, role_arn=role),
        rolekeeper.assume_role(given, role),
        rolekeeper.Session(botocore_session=given._session, role_arn=role),
        rolekeeper.Role(role, source=profile),
    ):
        with pytest.raises(pickle.PicklingError, match="name a profile.*environment") as caught:
            pickle.dumps(session)
        assert profile[1] not in str(caught.value)


def test_an_assertion_is_a_secret_too() -> None:
    context = {"ProviderArn": "arn:aws:iam::aws:contextProvider/x", "ContextAssertion": "hidden"}
    session = rolekeeper.Session(
        role_arn=ROLE, region_name="us-east-1", provided_contexts=[context]
    )
    with pytest.raises(pickle.PicklingError, match="provided_contexts"):
        pickle.dumps(session)


def test_the_credentials_alone_are_not_pickled() -> None:
    session = rolekeeper.Session(role_arn=ROLE, region_name="us-east-1")
    with pytest.raises(TypeError, match="pickle the rolekeeper session"):
        pickle.dumps(session.refreshable_credentials)


def test_an_mfa_command_is_carried_and_a_lambda_is_not() -> None:
    arguments: dict[str, Any] = {"region_name": "us-east-1", "serial_number": "123456789"}
    command = rolekeeper.Session(role_arn=ROLE, mfa_token=["sh", "-c", "x"], **arguments)
    assert repr(twin_of(command)) == repr(command)
    function = rolekeeper.Session(role_arn=ROLE, mfa_token=lambda: "", **arguments)
    with pytest.raises((pickle.PicklingError, AttributeError)):
        pickle.dumps(function)


def test_listeners_and_clients_stay_behind(rolekeeper_sandbox: Sandbox) -> None:
    heard: list[Any] = []
    session = rolekeeper.Session(
        role_arn=rolekeeper_sandbox.role_arn("demo"), on_event=lambda event: heard.append(event)
    )
    twin = twin_of(session)
    twin.refresh_now()
    twin.close()
    assert not heard


@pytest.mark.parametrize("make", [copy.copy, copy.deepcopy])
def test_a_copy_is_a_session_of_its_own(
    rolekeeper_sandbox: Sandbox, profile: tuple[str, str], make: Any
) -> None:
    role = rolekeeper_sandbox.role_arn("demo")
    given = boto3.Session(*profile)
    for session in (
        rolekeeper.Session(role_arn=role, source=profile, region_name="eu-west-1"),
        rolekeeper.assume_role(given, role, region_name="eu-west-1"),
        rolekeeper.Session(botocore_session=given._session, role_arn=role, region_name="eu-west-1"),
    ):
        session.refresh_now()
        twin = make(session)
        assert twin.generation == 0
        assert arn_of(twin).split("/")[1] == "demo"
        assert twin.region_name == "eu-west-1"
        session.close()
        twin.client("s3").list_buckets()


def test_a_subclass_stays_one() -> None:
    session = Subclass(role_arn=ROLE, region_name="us-east-1")
    assert type(twin_of(session)) is Subclass
    assert type(copy.deepcopy(session)) is Subclass


class Subclass(rolekeeper.Session):
    pass
