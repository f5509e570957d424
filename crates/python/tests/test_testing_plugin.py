"""The fixtures and helpers for tests of people's own code, used as they would use them."""

from __future__ import annotations

import os
import subprocess
import sys
from importlib.metadata import entry_points
from pathlib import Path
from typing import TYPE_CHECKING, Any

import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError

import rolekeeper
from rolekeeper.testing import (
    Sandbox,
    SimulatedClock,
    command,
    expire,
    fail_refreshes,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

pytest_plugins = ["pytester"]


@pytest.fixture
def session(rolekeeper_sandbox: Sandbox) -> Iterator[rolekeeper.Session]:
    with rolekeeper.Session(role_arn=rolekeeper_sandbox.role_arn("demo")) as session:
        yield session


# === the sandbox ===


def test_a_client_works_against_the_sandbox_without_further_words(
    rolekeeper_sandbox: Sandbox, session: rolekeeper.Session
) -> None:
    session.client("rds").describe_db_instances()
    assert rolekeeper_sandbox.counts().ok("AssumeRole") == 1
    assert rolekeeper_sandbox.counts().ok("DescribeDBInstances") == 1


def test_the_environment_is_the_sandboxs_and_nothing_of_the_machines(
    rolekeeper_sandbox: Sandbox,
) -> None:
    assert os.environ["AWS_ENDPOINT_URL"] == rolekeeper_sandbox.endpoint_url
    assert not Path(os.environ["AWS_CONFIG_FILE"]).exists()
    ours = {*rolekeeper_sandbox.environment, "AWS_CONFIG_FILE", "AWS_SHARED_CREDENTIALS_FILE"}
    assert {name for name in os.environ if name.startswith("AWS_")} == ours


def test_the_admin_token_is_kept_out_of_environment_and_repr(rolekeeper_sandbox: Sandbox) -> None:
    assert "ROLEKEEPER_SANDBOX_TOKEN" not in rolekeeper_sandbox.environment
    assert "ROLEKEEPER_SANDBOX_TOKEN" not in os.environ
    assert rolekeeper_sandbox._token not in repr(rolekeeper_sandbox)


@pytest.mark.rolekeeper_sandbox(session_lifetime=7)
def test_the_marker_says_how_long_sessions_live(session: rolekeeper.Session) -> None:
    session.refresh_now()
    assert 0 < session.remaining <= 8


@pytest.mark.rolekeeper_sandbox(
    config="""
account = "210987654321"
[users.ci]
access_key_id = "AKIAEXAMPLEEXAMPLE00"
secret_access_key = "a-secret-that-opens-nothing"
[roles.deploy]
trust = ["user/ci"]
"""
)
def test_the_marker_gives_it_another_world(rolekeeper_sandbox: Sandbox) -> None:
    role = rolekeeper_sandbox.role_arn("deploy")
    assert role == "arn:aws:iam::210987654321:role/deploy"
    with rolekeeper.Session(role_arn=role) as session:
        assert session.whoami().account == "210987654321"


def test_aged_sessions_are_refused(
    rolekeeper_sandbox: Sandbox, session: rolekeeper.Session
) -> None:
    s3 = _with_this_session_only(session)
    s3.list_buckets()
    rolekeeper_sandbox.advance(3601)
    with pytest.raises(ClientError, match="ExpiredToken"):
        s3.list_buckets()


def test_revoked_sessions_are_refused_and_counted(
    rolekeeper_sandbox: Sandbox, session: rolekeeper.Session
) -> None:
    s3 = _with_this_session_only(session)
    s3.list_buckets()
    assert rolekeeper_sandbox.revoke_sessions(role="short") == 0
    assert rolekeeper_sandbox.revoke_sessions(role="demo") == 1
    with pytest.raises(ClientError, match="AccessDenied"):
        s3.list_buckets()
    session.refresh_now()
    key = session.get_credentials().get_frozen_credentials().access_key
    assert rolekeeper_sandbox.revoke_sessions(access_key_id=key) == 1
    with pytest.raises(ClientError, match="AccessDenied"):
        _with_this_session_only(session).list_buckets()
    with pytest.raises(ValueError, match="not both"):
        rolekeeper_sandbox.revoke_sessions(role="demo", access_key_id=key)


def test_it_fails_as_often_as_told_and_then_behaves(
    rolekeeper_sandbox: Sandbox, session: rolekeeper.Session
) -> None:
    # A retry of its own, a moment later, would come before the reader has been told.
    rolekeeper_sandbox.fail(next=1, retry_after_seconds=60)
    with pytest.raises(rolekeeper.UnavailableError):
        session.refresh_now()
    session.refresh_now()
    counts = rolekeeper_sandbox.counts()
    assert (counts.failed("AssumeRole"), counts.ok("AssumeRole")) == (1, 1)
    assert counts.with_result("AssumeRole", "ServiceUnavailable") == 1


def test_it_is_down_until_the_faults_are_cleared(
    rolekeeper_sandbox: Sandbox, session: rolekeeper.Session
) -> None:
    rolekeeper_sandbox.down()
    with pytest.raises(rolekeeper.UnavailableError):
        session.refresh_now()
    rolekeeper_sandbox.clear_faults()
    session.refresh_now()
    assert rolekeeper_sandbox.counts().with_result("AssumeRole", "(closed)") >= 1


def test_it_refuses_with_the_code_it_is_told(
    rolekeeper_sandbox: Sandbox, session: rolekeeper.Session
) -> None:
    rolekeeper_sandbox.refuse("RegionDisabledException")
    with pytest.raises(rolekeeper.DeniedError) as raised:
        session.refresh_now()
    assert raised.value.code == "RegionDisabledException"


def test_a_fault_that_there_is_not_is_a_value_error(rolekeeper_sandbox: Sandbox) -> None:
    with pytest.raises(ValueError, match="latency"):
        rolekeeper_sandbox.set_faults(latency=1)


def test_it_shows_the_codes_of_its_mfa_device(rolekeeper_sandbox: Sandbox) -> None:
    for code in (
        rolekeeper_sandbox.mfa_code(),
        rolekeeper_sandbox.mfa_code("arn:aws:iam::123456789012:mfa/demo"),
    ):
        assert len(code) == 6
        assert code.isdigit()
    with pytest.raises(LookupError, match="mfa/demo"):
        rolekeeper_sandbox.mfa_code("another")


def test_a_proxy_of_the_machines_is_not_asked_for_the_sandbox(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for name in ("HTTP_PROXY", "http_proxy"):
        monkeypatch.setenv(name, "http://192.0.2.1:9")
    with Sandbox() as sandbox:
        assert sandbox.counts().total() == 0


def test_it_stops_with_its_block_and_stopping_again_is_nothing() -> None:
    with Sandbox() as sandbox:
        process = sandbox._process
        assert process.poll() is None
    assert process.poll() == 0
    sandbox.stop()


def test_a_forked_child_does_not_stop_it() -> None:
    with Sandbox() as sandbox:
        child = os.fork()
        if child == 0:
            try:
                sandbox.stop()
            finally:
                os._exit(0)
        os.waitpid(child, 0)
        assert sandbox._process.poll() is None
        assert sandbox.counts().total() == 0


def test_one_that_nobody_stops_ends_with_the_interpreter() -> None:
    code = (
        "from rolekeeper.testing import Sandbox; sandbox = Sandbox(); print(sandbox._process.pid)"
    )
    run = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True
    )
    with pytest.raises(ProcessLookupError):
        os.kill(int(run.stdout), 0)


def test_wrong_arguments_are_told_in_the_commands_own_words() -> None:
    with pytest.raises(RuntimeError, match="no-such-fault"):
        Sandbox(faults={"no-such-fault": 1})


def test_a_missing_command_is_told_with_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(command.VARIABLE, "/nowhere/rolekeeper")
    with pytest.raises(FileNotFoundError, match="ROLEKEEPER_COMMAND"):
        Sandbox()


# === the clock ===


def test_advancing_the_clock_ages_sessions_here_and_at_the_sandbox(
    rolekeeper_sandbox: Sandbox, rolekeeper_clock: SimulatedClock, session: rolekeeper.Session
) -> None:
    s3 = session.client("s3")
    for _ in range(5):
        s3.list_buckets()
        rolekeeper_clock.advance(session.remaining + 1)
    counts = rolekeeper_sandbox.counts()
    assert (counts.ok("ListBuckets"), counts.failed("ListBuckets")) == (5, 0)
    assert counts.ok("AssumeRole") >= 5


def test_parts_of_seconds_add_up_at_the_sandbox(
    rolekeeper_sandbox: Sandbox, rolekeeper_clock: SimulatedClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    told: list[int] = []
    monkeypatch.setattr(rolekeeper_sandbox, "advance", told.append)
    for _ in range(5):
        rolekeeper_clock.advance(0.5)
    assert told == [1, 1]


def test_a_stepped_wall_clock_ends_no_session(
    rolekeeper_sandbox: Sandbox, rolekeeper_clock: SimulatedClock, session: rolekeeper.Session
) -> None:
    session.refresh_now()
    before = session.remaining
    rolekeeper_clock.step_wall(-7200)
    session.client("s3").list_buckets()
    assert session.remaining == pytest.approx(before, abs=30)
    assert rolekeeper_sandbox.counts().ok("AssumeRole") == 1


@pytest.mark.parametrize("seconds", [-1, float("nan"), float("inf")])
def test_time_passes_forwards(seconds: float) -> None:
    with pytest.raises(ValueError, match="forwards"):
        SimulatedClock().advance(seconds)


def test_after_the_test_sessions_have_the_machines_clock_again(
    rolekeeper_sandbox: Sandbox,
) -> None:
    with SimulatedClock() as clock:
        pass
    clock.advance(10 * 3600)
    with rolekeeper.Session(role_arn=rolekeeper_sandbox.role_arn("demo")) as session:
        session.refresh_now()
        before = session.remaining
        clock.advance(10 * 3600)
        assert session.remaining == pytest.approx(before, abs=30)


# === forced ends and failures ===


def test_a_forced_end_makes_the_next_call_fetch(
    rolekeeper_sandbox: Sandbox, session: rolekeeper.Session
) -> None:
    s3 = session.client("s3")
    s3.list_buckets()
    expire(session)
    s3.list_buckets()
    assert rolekeeper_sandbox.counts().ok("AssumeRole") == 2


def test_only_the_object_that_is_told_loses_its_session(rolekeeper_sandbox: Sandbox) -> None:
    role = rolekeeper_sandbox.role_arn("demo")
    with rolekeeper.Session(role_arn=role) as one, rolekeeper.Session(role_arn=role) as other:
        kept = other.get_credentials().get_frozen_credentials()
        one.refresh_now()
        expire(one)
        assert other.get_credentials().get_frozen_credentials() == kept


def test_a_forced_failure_is_what_the_caller_gets_once_nothing_is_left(
    rolekeeper_sandbox: Sandbox, session: rolekeeper.Session
) -> None:
    s3 = session.client("s3")
    s3.list_buckets()
    with fail_refreshes(session, rolekeeper.DeniedError("the role is gone")) as failing:
        s3.list_buckets()
        expire(session)
        with pytest.raises(rolekeeper.DeniedError, match="the role is gone"):
            s3.list_buckets()
        assert failing.attempts == 1
    s3.list_buckets()
    assert rolekeeper_sandbox.counts().ok("AssumeRole") == 2
    assert rolekeeper_sandbox.counts().failed("AssumeRole") == 0


def test_a_forced_failure_is_one_that_is_tried_again_unless_told(
    session: rolekeeper.Session,
) -> None:
    with fail_refreshes(session), pytest.raises(rolekeeper.UnavailableError, match="a test makes"):
        session.refresh_now()
    session.refresh_now()


def test_what_has_no_credentials_of_ours_is_refused() -> None:
    with pytest.raises(TypeError, match="str"):
        expire("credentials")


# === the plugin, as pytest loads it ===


def test_a_projects_own_tests_have_the_fixtures_whatever_the_machine_is_set_to(
    pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_PROFILE", "of-this-machine")
    monkeypatch.setenv("AWS_ENDPOINT_URL_RDS", "http://192.0.2.1:9")
    for name in ("HTTP_PROXY", "http_proxy"):
        monkeypatch.setenv(name, "http://192.0.2.1:9")
    for name in ("NO_PROXY", "no_proxy"):
        monkeypatch.delenv(name)
    pytester.makepyfile(
        """
        import rolekeeper

        def test_the_job_outlives_its_session(rolekeeper_clock, rolekeeper_sandbox):
            session = rolekeeper.Session(role_arn=rolekeeper_sandbox.role_arn("demo"))
            db = session.client("rds")
            for _ in range(20):
                db.describe_db_instances()
                rolekeeper_clock.advance(3600)
            assert rolekeeper_sandbox.counts().failed("DescribeDBInstances") == 0
        """
    )
    # Installed, it is found by its entry point.
    installed = any(point.name == "rolekeeper" for point in entry_points(group="pytest11"))
    plugins = [] if installed else ["-p", "rolekeeper.testing.plugin"]
    run = pytester.runpytest_subprocess("--strict-markers", *plugins)
    run.assert_outcomes(passed=1)


def _with_this_session_only(session: rolekeeper.Session) -> Any:
    """A client that keeps the session of this moment, and tries once."""
    keys = session.get_credentials().get_frozen_credentials()
    return boto3.client(
        "s3",
        aws_access_key_id=keys.access_key,
        aws_secret_access_key=keys.secret_key,
        aws_session_token=keys.token,
        config=Config(retries={"total_max_attempts": 1}),
    )
