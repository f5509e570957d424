"""What refreshed credentials must look like, and what is said of those that do not.

It is botocore's form: a dict with ``access_key``, ``secret_key``, ``token``, ``expiry_time`` and
perhaps ``account_id``.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from datetime import datetime, timezone
from numbers import Real
from typing import Any, NamedTuple, cast

from rolekeeper.errors import BadAnswerError, Error

WANTED = ("access_key", "secret_key", "token", "expiry_time")

_FORM = (
    "return {'access_key': …, 'secret_key': …, 'token': …, 'expiry_time': an aware datetime, "
    "a string with its time zone, or epoch seconds}"
)
_AWS_FORM = (
    "that is AWS' own form: return {'access_key': c['AccessKeyId'], 'secret_key': "
    "c['SecretAccessKey'], 'token': c['SessionToken'], 'expiry_time': c['Expiration']} "
    "with c = response['Credentials']"
)
_ZONES = (
    "give an aware datetime (datetime.now(timezone.utc) + …), a string that ends in Z or "
    "+00:00, or epoch seconds"
)
# A secret access key in the wrong place has 39 characters or more; a time has fewer.
_LONGEST_TIME = 36


class Metadata(NamedTuple):
    """One answer of a callable, checked. Not for printing: it holds secrets."""

    access_key: str
    secret_key: str
    token: str | None
    expiry_time: datetime
    account_id: str | None


def checked(
    data: object, parse: Callable[[str], datetime], bad_time: type[Error] = BadAnswerError
) -> Metadata:
    """What a callable returned, if it will do; ``parse`` reads times that are strings.

    Raises ``BadAnswerError``, with botocore's words where it has any; ``bad_time`` for an
    ``expiry_time`` that is none.
    """
    if inspect.iscoroutine(data):
        data.close()
        raise BadAnswerError(
            "refresh_using is an async function", hint="use the classes in rolekeeper.aio"
        )
    if data and not isinstance(data, Mapping):
        raise BadAnswerError(f"refresh_using returned {_a(data)}, not a dict", hint=_FORM)
    answer = cast("Mapping[str, Any]", data or {})
    missing = [name for name in WANTED if name not in answer]
    if missing:
        is_aws_form = "Credentials" in answer or "AccessKeyId" in answer
        raise BadAnswerError(
            f"Credential refresh failed, response did not contain: {', '.join(missing)}",
            hint=_AWS_FORM if is_aws_form else _FORM,
        )
    for name in ("access_key", "secret_key"):
        if not isinstance(answer[name], str) or not answer[name]:
            raise BadAnswerError(f"{name} is {_a(answer[name])}, not a string with something in it")
    for name in ("token", "account_id"):
        if not isinstance(answer.get(name), (str, type(None))):
            raise BadAnswerError(f"{name} is {_a(answer[name])}, neither a string nor None")
    return Metadata(
        answer["access_key"],
        answer["secret_key"],
        answer["token"],
        moment(answer["expiry_time"], parse, bad_time),
        answer.get("account_id"),
    )


def moment(value: object, parse: Callable[[str], datetime], bad_time: type[Error]) -> datetime:
    """An expiration in any of its forms, as an aware datetime.

    Raises ``bad_time``, which names the value and says what to give instead.
    """
    if isinstance(value, datetime):
        at = value
    elif not isinstance(value, bool) and isinstance(value, Real):
        try:
            at = datetime.fromtimestamp(float(value), timezone.utc)
        except (ValueError, OverflowError, OSError):
            raise bad_time(
                f"expiry_time {value!r} is no time: give epoch seconds (not milliseconds)"
            ) from None
    elif isinstance(value, str):
        try:
            at = parse(value)
        except (ValueError, OverflowError, TypeError):
            raise bad_time(f"expiry_time {_shown(value)} cannot be read: {_ZONES}") from None
    else:
        raise bad_time(f"expiry_time is {_a(value)}: {_ZONES}")
    if at.utcoffset() is None:
        raise bad_time(
            f"expiry_time {_shown(value)} is naive, it does not say in which time zone: {_ZONES}"
        )
    return at


def _a(value: object) -> str:
    """What kind of thing it is, since the thing itself may be a secret."""
    if value is None:
        return "None"
    if value == "":
        return "an empty string"
    return f"a value of type {type(value).__name__}"


def _shown(value: object) -> str:
    if isinstance(value, str) and len(value) > _LONGEST_TIME:
        return f"of {len(value)} characters"
    return repr(value)
