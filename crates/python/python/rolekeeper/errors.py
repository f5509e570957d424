"""Why there is no new session, for those who must act: one class for each group of failures.

Where botocore is installed, every class is a ``botocore.exceptions.CredentialRetrievalError`` as
well, so that ``except`` clauses written for botocore go on working. None ever holds a secret.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Mapping
from datetime import datetime, timezone
from email.utils import parsedate_to_datetime
from traceback import clear_frames
from typing import TYPE_CHECKING, Any, ClassVar, Literal, TypeAlias

if TYPE_CHECKING:
    _RetrievalError = Exception
else:
    try:
        from botocore.exceptions import CredentialRetrievalError as _RetrievalError
    except ImportError:
        _RetrievalError = Exception

__all__ = [
    "BadAnswerError",
    "ConfigurationError",
    "DeniedError",
    "Error",
    "NeedsPersonError",
    "UnavailableError",
]

Kind: TypeAlias = Literal["unavailable", "denied", "needs-person", "misconfigured", "bad-answer"]

# Longer texts are somebody's HTML page or stack trace, and an error is read in a log line.
_LONGEST_MESSAGE = 300


class Error(_RetrievalError):
    """No session, and why.

    Attributes:
        message: what failed, for which role, what is still valid: everything but the hint, which
            ``str()`` tells as well.
        code: the service's own code, such as ``"AccessDenied"``, or None.
        retryable: whether trying again may help without anybody changing anything.
        role_arn: the role's ARN, or the name of another source; None if no role was in play.
        valid_until: when the session that is still held ends (aware, UTC); None if none is held.
        hint: what to do next, where that is known.
        next_try: seconds from this error to the next attempt that is made by itself; None if only
            a reader's next call brings one about.
        attempts: how many fetches in a row have failed.

    ``__cause__`` is the exception that the source raised, if it was Python's.

    Example::

        try:
            session.client("sts").get_caller_identity()
        except rolekeeper.Error as error:
            if not error.retryable:
                raise SystemExit(f"{error.role_arn}: {error.hint or error.message}")
    """

    kind: ClassVar[Kind] = "unavailable"

    message: str
    code: str | None
    retryable: bool
    role_arn: str | None
    valid_until: datetime | None
    hint: str | None
    next_try: float | None
    attempts: int

    def __init__(
        self,
        message: str = "no session",
        *,
        code: str | None = None,
        retryable: bool | None = None,
        role_arn: str | None = None,
        valid_until: datetime | None = None,
        hint: str | None = None,
        next_try: float | None = None,
        attempts: int = 0,
    ) -> None:
        # Not botocore's own __init__, which makes its text out of a provider and a message.
        Exception.__init__(self, f"{message} ({hint})" if hint else message)
        self.message = message
        self.code = code
        self.retryable = _is_transient(self.kind) if retryable is None else retryable
        self.role_arn = role_arn
        self.valid_until = valid_until
        self.hint = hint
        self.next_try = next_try
        self.attempts = attempts
        # What botocore's exceptions offer.
        self.kwargs = {"provider": role_arn or "rolekeeper", "error_msg": message}

    def __reduce__(self) -> tuple[Callable[..., Error], tuple[Any, ...]]:
        facts = {
            "code": self.code,
            "retryable": self.retryable,
            "role_arn": self.role_arn,
            "valid_until": self.valid_until,
            "hint": self.hint,
            "next_try": self.next_try,
            "attempts": self.attempts,
        }
        return _rebuild, (type(self), self.message, facts)


class UnavailableError(Error):
    """The source can't be reached or is overloaded: timeouts, DNS, 5xx, throttling.

    Time mends it, and it is tried again by itself.

    Example::

        except rolekeeper.UnavailableError as error:
            print(f"next try in {error.next_try} s, attempt {error.attempts + 1}")
    """

    kind = "unavailable"


class DeniedError(Error):
    """The source said no: trying again is of no use until somebody changes something.

    A callable that makes sessions raises it to say just that; it is then asked once a minute
    instead of every few seconds.

    Example::

        def refresh():
            answer = requests.post("https://vault.example/aws/role")
            if answer.status_code == 403:
                raise rolekeeper.DeniedError("the vault does not let us have this role")
            return answer.json()
    """

    kind = "denied"


class NeedsPersonError(Error):
    """A human must act: enter an MFA code, log in. Never tried again in a loop.

    Example::

        except rolekeeper.NeedsPersonError as error:
            notify(f"please log in: {error.hint or error.message}")
    """

    kind = "needs-person"


class ConfigurationError(Error, ValueError):
    """A wrong setting here, found before any call where that is possible.

    It is a ``ValueError`` too.

    Example::

        >>> rolekeeper.Session(role_arn="etl")
        Traceback (most recent call last):
        rolekeeper.errors.ConfigurationError: …
    """

    kind = "misconfigured"


class BadAnswerError(Error, RuntimeError):
    """The source misbehaved: fields missing, expired on arrival, not the promised format.

    Tried again as if it were unavailable. It is a ``RuntimeError`` too, which is what botocore
    raises for refreshed credentials that are still expired.

    Example::

        except rolekeeper.BadAnswerError as error:
            print(error)  # … response did not contain: secret_key
    """

    kind = "bad-answer"


_BY_KIND: dict[str, type[Error]] = {
    group.kind: group
    for group in (
        UnavailableError,
        DeniedError,
        NeedsPersonError,
        ConfigurationError,
        BadAnswerError,
    )
}


def from_native(
    *,
    kind: str,
    message: str,
    code: str | None = None,
    hint: str | None = None,
    role: str | None = None,
    retryable: bool | None = None,
    valid_until: float | None = None,
    next_try: float | None = None,
    attempts: int = 0,
    cause: BaseException | None = None,
) -> Error:
    """The exception for a failure of the native side; ``message`` says it all but for the hint.

    ``valid_until`` is in epoch seconds, ``next_try`` in seconds from now.
    """
    error = _BY_KIND.get(kind, Error)(
        message,
        code=code,
        hint=hint,
        role_arn=role,
        retryable=retryable,
        valid_until=None if valid_until is None else _utc(valid_until),
        next_try=next_try,
        attempts=attempts,
    )
    error.__cause__ = cause
    return error


# === Sorting what Python callables raise ===

# By name, since old botocores lack some, and since looking must not import botocore.
_BOTOCORE_KINDS: Mapping[str, Kind] = {
    "NoCredentialsError": "misconfigured",
    "PartialCredentialsError": "misconfigured",
    "UnknownCredentialError": "misconfigured",
    "NoRegionError": "misconfigured",
    "InvalidRegionError": "misconfigured",
    "ProfileNotFound": "misconfigured",
    "ConfigNotFound": "misconfigured",
    "ConfigParseError": "misconfigured",
    "InvalidConfigError": "misconfigured",
    "ParamValidationError": "misconfigured",
    "ValidationError": "misconfigured",
    "MissingParametersError": "misconfigured",
    "MissingDependencyException": "misconfigured",
    "EndpointProviderError": "misconfigured",
    "InvalidEndpointConfigurationError": "misconfigured",
    "RefreshWithMFAUnsupportedError": "needs-person",
    "SSOError": "needs-person",
    "TokenRetrievalError": "needs-person",
    "NoAuthTokenError": "needs-person",
    "LoginInsufficientPermissions": "denied",
    "LoginError": "needs-person",
    "ConnectionError": "unavailable",
    "HTTPClientError": "unavailable",
    "MetadataRetrievalError": "unavailable",
}
_MFA_HINT = "use mfa_token=, which asks for a code each time, or a session without MFA"
_LOGIN_HINT = "log in again: aws sso login, or aws login"
_HINTS: Mapping[str, str] = {
    "RefreshWithMFAUnsupportedError": _MFA_HINT,
    "SSOError": _LOGIN_HINT,
    "TokenRetrievalError": _LOGIN_HINT,
    "NoAuthTokenError": _LOGIN_HINT,
    "LoginError": _LOGIN_HINT,
    "NoCredentialsError": "give the callable's own client credentials to call with",
    "NoRegionError": "set AWS_REGION, or give the callable's own client a region",
}

Sorted: TypeAlias = tuple[Kind, str, str | None, str | None, float | None]


def classify(exc: BaseException) -> Sorted:
    """Which group an exception that a callable raised belongs to.

    Returns ``(kind, message, code, hint, retry_after)``; ``retry_after`` is in seconds.
    """
    if isinstance(exc, Error):
        return exc.kind, _one_line(exc.message), exc.code, exc.hint, None
    names = list(_botocore_names(exc))
    if "ClientError" in names:
        return _classify_refusal(exc)
    if "CredentialRetrievalError" in names:
        kind: Kind = "bad-answer" if "did not contain" in str(exc) else "unavailable"
        return kind, _one_line(str(exc)), None, None, None
    for name in names:
        if name in _BOTOCORE_KINDS:
            hint = next((_HINTS[base] for base in names if base in _HINTS), None)
            return _BOTOCORE_KINDS[name], _one_line(str(exc)), None, hint, None
    text = str(exc) if names or not str(exc) else f"{type(exc).__name__}: {exc}"
    return "unavailable", _one_line(text or type(exc).__name__), None, None, None


def _classify_refusal(exc: BaseException) -> Sorted:
    """An answer of AWS that says no: botocore's ``ClientError``."""
    from rolekeeper._rolekeeper import sort_sts_code

    response: Mapping[str, Any] = getattr(exc, "response", None) or {}
    refusal: Mapping[str, Any] = response.get("Error") or {}
    about: Mapping[str, Any] = response.get("ResponseMetadata") or {}
    headers: Mapping[str, Any] = about.get("HTTPHeaders") or {}
    code = str(refusal.get("Code") or "Unknown")
    message = str(refusal.get("Message") or "")
    kind, hint = sort_sts_code(code, message, int(about.get("HTTPStatusCode") or 0))
    retry_after = _retry_after(headers.get("retry-after"))
    text = _one_line(_without_what_was_signed(message) or "the service gave no reason")
    return _BY_KIND[kind].kind, text, code, hint, retry_after


def _without_what_was_signed(message: str) -> str:
    """Of a signature that it finds wrong a service may say back all that was signed, the session
    token among it. Its first words say enough."""
    lower = message.lower()
    said_back = ("the canonical string", "the string-to-sign", "x-amz-security-token")
    begins = [lower.find(words) for words in said_back]
    return message[: min((at for at in begins if at >= 0), default=len(message))].rstrip()


def _botocore_names(exc: BaseException) -> Iterator[str]:
    """The names of botocore's own classes that ``exc`` is of, the narrowest first."""
    if "botocore.exceptions" in sys.modules:
        for base in type(exc).__mro__:
            if base.__module__ == "botocore.exceptions":
                yield base.__name__


def _retry_after(value: object) -> float | None:
    """Seconds, from a header that gives seconds or a date."""
    text = str(value or "").strip()
    try:
        seconds = float(text)
    except ValueError:
        try:
            at = parsedate_to_datetime(text)
        except (TypeError, ValueError):
            return None
        # HTTP's dates are in UTC, whether or not they say so.
        at = at if at.tzinfo else at.replace(tzinfo=timezone.utc)
        seconds = (at - datetime.now(timezone.utc)).total_seconds()
    return seconds if 0 <= seconds < float("inf") else None


def _one_line(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= _LONGEST_MESSAGE else line[: _LONGEST_MESSAGE - 1] + "…"


def _is_transient(kind: Kind) -> bool:
    return kind in ("unavailable", "bad-answer")


def _utc(epoch: float) -> datetime:
    return datetime.fromtimestamp(epoch, timezone.utc)


def _rebuild(group: type[Error], message: str, facts: dict[str, Any]) -> Error:
    return group(message, **facts)


def forget_locals(exc: BaseException) -> None:
    """Wipe the local variables that ``exc``'s traceback holds on to; its lines stay.

    An error is kept while its session is, and the frames it came through held secrets, and perhaps
    the very object that keeps it.
    """
    seen: set[int] = set()
    waiting: list[BaseException | None] = [exc]
    while waiting:
        error = waiting.pop()
        if error is None or id(error) in seen:
            continue
        seen.add(id(error))
        clear_frames(error.__traceback__)
        waiting += [error.__cause__, error.__context__]
