"""Exceptions: what they tell, what they are instances of, and how others are sorted into them."""

from __future__ import annotations

import copy
import pickle
import subprocess
import sys
import traceback
from datetime import datetime, timedelta, timezone
from email.utils import format_datetime
from typing import Any

import botocore.exceptions
import pytest

import rolekeeper
from rolekeeper import errors

GROUPS = [
    ("unavailable", rolekeeper.UnavailableError, True),
    ("denied", rolekeeper.DeniedError, False),
    ("needs-person", rolekeeper.NeedsPersonError, False),
    ("misconfigured", rolekeeper.ConfigurationError, False),
    ("bad-answer", rolekeeper.BadAnswerError, True),
]


def refusal(code: str, message: str, status: int = 400, **headers: str) -> Exception:
    response = {
        "Error": {"Code": code, "Message": message},
        "ResponseMetadata": {"HTTPStatusCode": status, "HTTPHeaders": headers},
    }
    return botocore.exceptions.ClientError(response, "AssumeRole")


@pytest.mark.parametrize(("kind", "group", "retryable"), GROUPS)
def test_each_kind_of_failure_has_its_class(
    kind: str, group: type[rolekeeper.Error], retryable: bool
) -> None:
    error = errors.from_native(kind=kind, message="it broke")
    assert type(error) is group
    assert error.retryable is retryable
    assert error.kind == kind


@pytest.mark.parametrize(("kind", "group", "_retryable"), GROUPS)
def test_except_clauses_for_botocore_catch_every_error(
    kind: str, group: type[rolekeeper.Error], _retryable: bool
) -> None:
    with pytest.raises(botocore.exceptions.CredentialRetrievalError):
        raise errors.from_native(kind=kind, message="it broke")
    assert issubclass(group, botocore.exceptions.BotoCoreError)


def test_a_bad_answer_is_the_runtime_error_that_botocore_raises() -> None:
    assert issubclass(rolekeeper.BadAnswerError, RuntimeError)


def test_a_wrong_setting_is_a_value_error() -> None:
    assert issubclass(rolekeeper.ConfigurationError, ValueError)


def test_an_error_carries_what_is_known_of_the_failure() -> None:
    error = errors.from_native(
        kind="denied",
        message="no newer session for arn:aws:iam::123456789012:role/etl: not authorized",
        code="AccessDenied",
        hint="check the trust policy",
        role="arn:aws:iam::123456789012:role/etl",
        valid_until=1_900_000_000,
        next_try=59.2,
        attempts=3,
    )
    assert error.message.endswith(": not authorized")
    assert str(error) == f"{error.message} (check the trust policy)"
    assert error.code == "AccessDenied"
    assert error.role_arn == "arn:aws:iam::123456789012:role/etl"
    assert error.valid_until == datetime(2030, 3, 17, 17, 46, 40, tzinfo=timezone.utc)
    assert error.hint == "check the trust policy"
    assert error.next_try == 59.2
    assert error.attempts == 3


def test_an_error_that_a_user_makes_says_just_that() -> None:
    assert str(rolekeeper.DeniedError("the vault says no")) == "the vault says no"


def test_an_error_comes_from_what_the_source_raised() -> None:
    cause = KeyError("Credentials")
    assert errors.from_native(kind="unavailable", message="m", cause=cause).__cause__ is cause


@pytest.mark.parametrize(
    "carry", [copy.copy, copy.deepcopy, lambda e: pickle.loads(pickle.dumps(e))]
)
def test_an_error_can_be_copied_and_sent_to_another_process(carry: Any) -> None:
    error = errors.from_native(
        kind="denied",
        message="no",
        code="AccessDenied",
        hint="ask Ann",
        role="r",
        valid_until=1e9,
        next_try=1.5,
        attempts=2,
    )
    twin = carry(error)
    assert type(twin) is rolekeeper.DeniedError
    assert str(twin) == str(error)
    assert vars(twin) == vars(error)


def test_without_botocore_the_errors_are_there_all_the_same() -> None:
    code = """
import sys
sys.modules["botocore"] = None
import rolekeeper
assert rolekeeper.Error.__mro__[1] is Exception
print(rolekeeper.DeniedError("no"))
"""
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout == "no\n"


def test_sorting_a_failure_does_not_import_botocore() -> None:
    code = """
import sys
sys.modules["botocore"] = None
from rolekeeper.errors import classify
print(classify(ValueError("boom")))
"""
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout == "('unavailable', 'ValueError: boom', None, None, None)\n"


# === Sorting ===


@pytest.mark.parametrize(
    ("exc", "kind"),
    [
        (OSError("no route to host"), "unavailable"),
        (TimeoutError("timed out"), "unavailable"),
        (ValueError("boom"), "unavailable"),
        (botocore.exceptions.EndpointConnectionError(endpoint_url="http://x"), "unavailable"),
        (botocore.exceptions.ConnectTimeoutError(endpoint_url="http://x"), "unavailable"),
        (botocore.exceptions.ReadTimeoutError(endpoint_url="http://x"), "unavailable"),
        (
            botocore.exceptions.CredentialRetrievalError(provider="p", error_msg="exit code 1"),
            "unavailable",
        ),
        (
            botocore.exceptions.CredentialRetrievalError(
                provider="p", error_msg="response did not contain: token"
            ),
            "bad-answer",
        ),
        (botocore.exceptions.NoCredentialsError(), "misconfigured"),
        (botocore.exceptions.NoRegionError(), "misconfigured"),
        (botocore.exceptions.ProfileNotFound(profile="p"), "misconfigured"),
        (botocore.exceptions.ParamValidationError(report="RoleArn"), "misconfigured"),
        (botocore.exceptions.InvalidConfigError(error_msg="m"), "misconfigured"),
        (
            botocore.exceptions.InfiniteLoopConfigError(source_profile="p", visited_profiles="p"),
            "misconfigured",
        ),
        (botocore.exceptions.RefreshWithMFAUnsupportedError(), "needs-person"),
        (botocore.exceptions.UnauthorizedSSOTokenError(), "needs-person"),
        (botocore.exceptions.SSOTokenLoadError(error_msg="m"), "needs-person"),
        (botocore.exceptions.TokenRetrievalError(provider="p", error_msg="m"), "needs-person"),
        (rolekeeper.DeniedError("no"), "denied"),
        (rolekeeper.NeedsPersonError("log in"), "needs-person"),
    ],
    ids=lambda value: value if isinstance(value, str) else type(value).__name__,
)
def test_what_a_callable_raises_is_sorted_by_who_can_mend_it(exc: Exception, kind: str) -> None:
    assert errors.classify(exc)[0] == kind


@pytest.mark.needs(botocore="1.41")
def test_a_login_that_ran_out_needs_a_person() -> None:
    required = botocore.exceptions.LoginRefreshRequired()
    kind, _, _, hint, _ = errors.classify(required)
    assert kind == "needs-person"
    assert hint is not None
    assert "aws login" in hint


def test_a_subclass_of_botocores_exceptions_is_sorted_like_its_base() -> None:
    class Mine(botocore.exceptions.NoRegionError):  # type: ignore[misc]
        pass

    assert errors.classify(Mine())[0] == "misconfigured"


def test_a_refusal_of_sts_is_sorted_by_the_table_of_the_native_sources() -> None:
    kind, message, code, hint, retry_after = errors.classify(
        refusal("AccessDenied", "not authorized to perform: sts:AssumeRole", 403)
    )
    assert (kind, code, retry_after) == ("denied", "AccessDenied", None)
    assert message == "not authorized to perform: sts:AssumeRole"
    assert hint is not None
    assert "trust policy" in hint


@pytest.mark.parametrize(
    ("code", "message", "status", "kind"),
    [
        ("Throttling", "Rate exceeded", 400, "unavailable"),
        ("InternalFailure", "", 500, "unavailable"),
        ("Whatever", "", 503, "unavailable"),
        ("MalformedPolicyDocument", "m", 400, "denied"),
        ("AccessDenied", "MultiFactorAuthentication failed with …", 403, "needs-person"),
    ],
)
def test_the_code_the_message_and_the_status_decide(
    code: str, message: str, status: int, kind: str
) -> None:
    assert errors.classify(refusal(code, message, status))[0] == kind


def test_the_service_is_left_alone_for_as_long_as_it_asks() -> None:
    throttled = refusal("Throttling", "Rate exceeded", 429, **{"retry-after": "17"})
    assert errors.classify(throttled)[4] == 17.0


def test_a_date_to_try_again_at_is_understood() -> None:
    later = format_datetime(datetime.now(timezone.utc) + timedelta(seconds=100), usegmt=True)
    retry_after = errors.classify(refusal("Throttling", "", 429, **{"retry-after": later}))[4]
    assert retry_after is not None
    assert 0 < retry_after <= 100


@pytest.mark.parametrize("value", ["", "soon", "-5", "nan", "inf", "Mon, 99 Foo"])
def test_nonsense_in_that_header_counts_for_nothing(value: str) -> None:
    assert errors.classify(refusal("Throttling", "", 429, **{"retry-after": value}))[4] is None


def test_a_refusal_without_a_message_says_so() -> None:
    assert errors.classify(refusal("AccessDenied", ""))[1] == "the service gave no reason"


def test_a_refusal_without_anything_in_it_is_sorted_too() -> None:
    bare = botocore.exceptions.ClientError({}, "AssumeRole")
    assert errors.classify(bare)[2] == "Unknown"


def test_our_own_errors_keep_what_they_say() -> None:
    mine = rolekeeper.DeniedError("no", code="E42", hint="ask Ann")
    assert errors.classify(mine) == ("denied", "no", "E42", "ask Ann", None)


def test_a_long_text_is_shortened_to_one_line_that_can_be_read() -> None:
    message = errors.classify(OSError("<html>\n" + "x" * 5000))[1]
    assert len(message) == 300
    assert "\n" not in message


def test_an_exception_without_a_text_is_named() -> None:
    assert errors.classify(ZeroDivisionError())[1] == "ZeroDivisionError"


# === Keeping an error without keeping what it saw ===


def test_a_kept_error_forgets_the_variables_of_its_frames_and_keeps_its_lines() -> None:
    def fails() -> None:
        secret = "wJalrXUtnFEMI"
        raise OSError(len(secret))

    def fails_because() -> None:
        also_secret = "AQoDYXdzEJr"
        try:
            fails()
        except OSError:
            raise RuntimeError(len(also_secret))

    with pytest.raises(RuntimeError) as caught:
        fails_because()
    error = caught.value
    errors.forget_locals(error)
    kept = [
        frame.f_locals
        for part in (error, error.__context__)
        if part is not None
        for frame, _ in traceback.walk_tb(part.__traceback__)
        if frame.f_code.co_name.startswith("fails")
    ]
    assert kept == [{}, {}, {}]
    assert "fails_because" in "".join(traceback.format_exception(error))
