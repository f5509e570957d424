"""`rolekeeper.Role`: one role's session for those who have no boto3."""

from __future__ import annotations

import copy
import pickle
import subprocess
import sys
import textwrap
from datetime import datetime, timezone
from typing import TYPE_CHECKING, Any

import boto3
import pytest
from botocore.credentials import Credentials

import rolekeeper

if TYPE_CHECKING:
    from collections.abc import Iterator

    from rolekeeper.testing import Sandbox, SimulatedClock


@pytest.fixture
def role(rolekeeper_sandbox: Sandbox) -> Iterator[rolekeeper.Role]:
    with rolekeeper.Role(rolekeeper_sandbox.role_arn("demo"), role_session_name="me") as role:
        yield role


def test_it_works_where_there_is_no_boto3(rolekeeper_sandbox: Sandbox) -> None:
    script = f"""
        import sys

        class Nowhere:
            def find_spec(self, name, path=None, target=None):
                if name.split(".")[0] in ("boto3", "botocore", "dateutil", "typing_extensions"):
                    raise ModuleNotFoundError(name)

        sys.meta_path.insert(0, Nowhere())
        import rolekeeper

        role = rolekeeper.Role({rolekeeper_sandbox.role_arn("demo")!r}, role_session_name="me")
        print(role.whoami().arn)
        try:
            rolekeeper.Role({rolekeeper_sandbox.role_arn("forbidden")!r}).get_frozen_credentials()
        except rolekeeper.DeniedError as error:
            print(error.code)
        assert not {{"boto3", "botocore"}} & sys.modules.keys()
    """
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(script)],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    arn = "arn:aws:sts::123456789012:assumed-role/demo/me"
    assert (done.stdout.split(), done.returncode) == ([arn, "AccessDenied"], 0), done.stderr


def test_its_session_never_runs_out(
    rolekeeper_sandbox: Sandbox, rolekeeper_clock: SimulatedClock
) -> None:
    with rolekeeper.Role(rolekeeper_sandbox.role_arn("demo"), refresh="on-demand") as role:
        for _ in range(5):
            frozen = role.get_frozen_credentials()
            client: Any = boto3.client(
                "s3",
                aws_access_key_id=frozen.access_key,
                aws_secret_access_key=frozen.secret_key,
                aws_session_token=frozen.token,
            )
            client.list_buckets()
            rolekeeper_clock.advance(role.remaining + 1)
        assert role.generation >= 5


def test_credentials_come_with_their_end(
    role: rolekeeper.Role, rolekeeper_clock: SimulatedClock
) -> None:
    credentials = role.credentials()
    assert credentials[:4] == role.get_frozen_credentials()
    assert credentials.expiration == role.expiration
    assert credentials.expiration.tzinfo is timezone.utc
    assert credentials.account_id == "123456789012"
    role.refresh_now()
    assert role.credentials().access_key != credentials.access_key
    assert role.credentials().expiration == role.expiration


def test_credentials_never_come_with_another_sessions_end(rolekeeper_sandbox: Sandbox) -> None:
    class Hasty(rolekeeper.Role):
        """A newer session comes in right after the first read."""

        reads = 0

        def get_frozen_credentials(self) -> Any:
            frozen = super().get_frozen_credentials()
            self.reads += 1
            if self.reads == 1:
                self.refresh_now()
            return frozen

    with Hasty(rolekeeper_sandbox.role_arn("demo")) as role:
        credentials = role.credentials()
        assert role.reads == 2
        assert credentials[:4] == role.get_frozen_credentials()


def test_nothing_is_known_before_the_first_read(
    rolekeeper_sandbox: Sandbox, role: rolekeeper.Role
) -> None:
    assert (role.expiration, role.remaining, role.generation) == (None, 0.0, 0)
    assert role.last_error is None
    assert rolekeeper_sandbox.counts().total() == 0


def test_it_says_who_it_is(role: rolekeeper.Role) -> None:
    assert role.whoami() == (
        "123456789012",
        "arn:aws:sts::123456789012:assumed-role/demo/me",
        role.whoami().user_id,
    )


def test_neither_repr_shows_a_secret(role: rolekeeper.Role) -> None:
    assert repr(role) == f"<Role {role.role_arn}, no session yet>"
    frozen, credentials = role.get_frozen_credentials(), role.credentials()
    shown = f"{role!r} {frozen!r} {credentials!r} {frozen!s}"
    assert frozen.access_key in shown
    assert frozen.secret_key not in shown
    assert frozen.token is not None
    assert frozen.token not in shown


@pytest.mark.parametrize("kind", ["role", "session", "boto3", "keys", "credentials"])
def test_it_takes_the_sources_that_a_session_takes(
    rolekeeper_sandbox: Sandbox, role: rolekeeper.Role, kind: str
) -> None:
    environment = rolekeeper_sandbox.environment
    keys = environment["AWS_ACCESS_KEY_ID"], environment["AWS_SECRET_ACCESS_KEY"]
    sources: dict[str, Any] = {
        "role": role,
        "session": rolekeeper.Session(role_arn=role.role_arn),
        "boto3": boto3.Session(),
        "keys": keys,
        "credentials": Credentials(*keys),
    }
    name = "chained" if kind in ("role", "session") else "demo"
    with rolekeeper.Role(
        rolekeeper_sandbox.role_arn(name), source=sources[kind], role_session_name="second"
    ) as second:
        assert second.whoami().arn.endswith(f":assumed-role/{name}/second")


def test_a_role_can_be_the_source_of_a_session(
    rolekeeper_sandbox: Sandbox, role: rolekeeper.Role
) -> None:
    session = rolekeeper.assume_role(role, rolekeeper_sandbox.role_arn("chained"))
    session.client("rds").describe_db_instances()


def test_the_region_comes_from_the_role_that_it_stands_on(
    rolekeeper_sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("AWS_REGION", "AWS_DEFAULT_REGION", "AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_STS"):
        monkeypatch.delenv(name)
    first = rolekeeper.Role(rolekeeper_sandbox.role_arn("demo"), region_name="eu-west-1")
    second = rolekeeper.assume_role(first, rolekeeper_sandbox.role_arn("chained"))
    assert second.region_name == "eu-west-1"
    with pytest.raises(rolekeeper.ConfigurationError, match="no Region"):
        rolekeeper.Role(rolekeeper_sandbox.role_arn("demo"))


def test_a_rejected_key_is_replaced(rolekeeper_sandbox: Sandbox, role: rolekeeper.Role) -> None:
    key = role.get_frozen_credentials().access_key
    rolekeeper_sandbox.revoke_sessions(role="demo")
    role.rejected(key)
    assert role.get_frozen_credentials().access_key != key


def test_events_are_told(rolekeeper_sandbox: Sandbox, role: rolekeeper.Role) -> None:
    import queue

    heard: queue.SimpleQueue[Any] = queue.SimpleQueue()
    role.on_event(heard.put)
    role.refresh_now()
    assert heard.get(timeout=30).kind == "fetched"


def test_a_closed_role_serves_nobody(rolekeeper_sandbox: Sandbox) -> None:
    for is_read in (True, False):
        role = rolekeeper.Role(rolekeeper_sandbox.role_arn("demo"))
        if is_read:
            role.get_frozen_credentials()
        role.close()
        for read in (role.get_frozen_credentials, role.credentials, role.refresh_now):
            with pytest.raises(rolekeeper.Error):
                read()


@pytest.mark.parametrize(
    "make", [copy.copy, copy.deepcopy, lambda role: pickle.loads(pickle.dumps(role))]
)
def test_a_copy_is_a_role_of_its_own(role: rolekeeper.Role, make: Any) -> None:
    frozen = role.get_frozen_credentials()
    twin = make(role)
    assert twin.generation == 0
    assert twin.whoami().arn == role.whoami().arn
    assert twin.get_frozen_credentials().access_key != frozen.access_key


def test_a_profile_alone_is_enough(
    rolekeeper_sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch, tmp_path: Any
) -> None:
    config = tmp_path / "config"
    config.write_text(
        f"[profile etl]\nrole_arn = {rolekeeper_sandbox.role_arn('demo')}\n"
        "role_session_name = from-the-profile\ncredential_source = Environment\n"
    )
    monkeypatch.setenv("AWS_CONFIG_FILE", str(config))
    for arguments in ({"profile_name": "etl"}, {"source": "etl"}):
        role = rolekeeper.Role(**arguments)
        assert role.role_arn is None
        assert role.whoami().arn.endswith("demo/from-the-profile")
        assert rolekeeper_sandbox.role_arn("demo") in repr(role)


def test_what_can_not_work_is_refused() -> None:
    for arguments in ({}, {"region_name": 7}, {"profile_name": 7}):
        with pytest.raises(rolekeeper.ConfigurationError):
            rolekeeper.Role(**arguments)


def test_an_expiration_is_in_this_machines_terms(
    rolekeeper_sandbox: Sandbox, role: rolekeeper.Role
) -> None:
    """Other programs compare it with this machine's clock, which STS' may differ from."""
    rolekeeper_sandbox.set_faults(clock_offset_seconds=240)
    expiration = role.credentials().expiration
    left = (expiration - datetime.now(timezone.utc)).total_seconds()
    assert 3590 < left <= 3601
