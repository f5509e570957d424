"""Where MFA codes come from: a function or a command, asked for every session."""

from __future__ import annotations

import json
import shlex
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

import boto3
import pytest

import rolekeeper

if TYPE_CHECKING:
    from collections.abc import Callable

    from rolekeeper.testing import Sandbox

DEVICE = "arn:aws:iam::123456789012:mfa/demo"


@pytest.fixture(params=["native", "boto3"])
def with_mfa(rolekeeper_sandbox: Sandbox, request: pytest.FixtureRequest) -> Callable[..., Any]:
    """Makes sessions of a role that asks for MFA, whoever makes the call."""

    def session(mfa_token: Any, **arguments: Any) -> rolekeeper.Session:
        return rolekeeper.Session(
            role_arn=rolekeeper_sandbox.role_arn("mfa"),
            serial_number=DEVICE,
            mfa_token=mfa_token,
            source=boto3.Session() if request.param == "boto3" else None,
            **arguments,
        )

    return session


@pytest.fixture
def printer(rolekeeper_sandbox: Sandbox, tmp_path: Path) -> Callable[[], list[str]]:
    """A command that prints the device's code of this moment, among other things."""
    file = tmp_path / "code of the moment"

    def command(*more: str) -> list[str]:
        file.write_text(json.dumps(rolekeeper_sandbox.mfa_code()))
        script = "import json, sys; print('code: 1234567', json.load(open(sys.argv[1])))"
        return [sys.executable, "-c", script, str(file), *more]

    return command


def test_a_function_is_asked_for_every_session(
    rolekeeper_sandbox: Sandbox, with_mfa: Callable[..., Any]
) -> None:
    asked = []

    def code() -> str:
        asked.append(1)
        return f" {rolekeeper_sandbox.mfa_code()}\n"

    session = with_mfa(code)
    assert not asked
    session.refresh_now()
    assert len(asked) == 1
    # The device shows the same one for half a minute, and STS takes it once.
    with pytest.raises(rolekeeper.NeedsPersonError, match="each code works once"):
        session.refresh_now()
    assert len(asked) == 2
    session.client("s3").list_buckets()


@pytest.mark.parametrize("form", [list, tuple, shlex.join])
def test_a_command_is_run_without_a_shell(
    printer: Callable[..., list[str]], with_mfa: Callable[..., Any], form: Any
) -> None:
    with_mfa(form(printer("$(exit 1)", "; exit 1"))).refresh_now()


def test_the_serial_number_goes_by_either_name(
    rolekeeper_sandbox: Sandbox,
) -> None:
    rolekeeper.Session(
        role_arn=rolekeeper_sandbox.role_arn("mfa"),
        mfa_serial=DEVICE,
        mfa_token=rolekeeper_sandbox.mfa_code,
    ).refresh_now()


def raiser(error: BaseException) -> Callable[[], NoReturn]:
    def ask() -> NoReturn:
        raise error

    return ask


@pytest.mark.parametrize(
    ("mfa_token", "words"),
    [
        (raiser(EOFError()), "mfa_token gave no code: EOFError"),
        (raiser(RuntimeError("the key is not plugged in")), "the key is not plugged in"),
        (raiser(rolekeeper.NeedsPersonError("on holiday")), "on holiday"),
        (lambda: None, "a value of type NoneType.*six digits"),
        (lambda: 123456, "a value of type int"),
        ([sys.executable, "-c", "print(12345)"], "ended with status 0 and printed no code"),
        ([sys.executable, "-c", "print(123456); exit(3)"], "ended with status 3"),
    ],
)
def test_no_code_is_told_as_a_persons_matter_and_harms_nothing(
    mfa_token: Any, words: str, with_mfa: Callable[..., Any]
) -> None:
    session = with_mfa(mfa_token)
    with pytest.raises(rolekeeper.NeedsPersonError, match=words):
        session.refresh_now()


def test_what_a_command_prints_is_never_shown(with_mfa: Callable[..., Any]) -> None:
    session = with_mfa([sys.executable, "-c", "print('hunter2'); exit(1)"])
    with pytest.raises(rolekeeper.NeedsPersonError) as caught:
        session.refresh_now()
    assert "hunter2" not in f"{caught.value!s} {caught.value!r} {caught.value.__cause__!r}"


def test_a_program_that_can_not_be_run_is_told(
    tmp_path: Path, with_mfa: Callable[..., Any]
) -> None:
    program = tmp_path / "program"
    program.write_text("neither a script nor a binary")
    program.chmod(0o700)
    session = with_mfa([str(program)])
    with pytest.raises(rolekeeper.NeedsPersonError, match="can't be run"):
        session.refresh_now()


def test_a_wrong_code_is_told_by_sts(with_mfa: Callable[..., Any]) -> None:
    session = with_mfa(lambda: "000000")
    with pytest.raises(rolekeeper.Error) as caught:
        session.refresh_now()
    assert caught.value.code == "AccessDenied"


def test_a_person_is_given_time() -> None:
    """Two minutes, in which nobody gives up waiting; without a person it is half a minute."""
    role = "arn:aws:iam::123456789012:role/etl"
    patient = rolekeeper.Session(
        role_arn=role, region_name="us-east-1", serial_number=DEVICE, mfa_token=input
    ).refreshable_credentials
    brisk = rolekeeper.Session(role_arn=role, region_name="us-east-1").refreshable_credentials
    assert (patient.attempt_timeout, patient.read_deadline) == (120, 120)
    assert (brisk.attempt_timeout, brisk.read_deadline) == (30, 30)
