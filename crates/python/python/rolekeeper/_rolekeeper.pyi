"""The native part: readers, sources, clocks and events. Times are epoch seconds, lengths seconds.

Not for direct use: what is public stands in ``rolekeeper``.
"""

from collections.abc import Callable, Sequence
from os import PathLike
from typing import Any, Literal, TypeAlias, final

from typing_extensions import Self

Answer: TypeAlias = tuple[Any, ...]
"""(access_key, secret_key, token, expiration[, account_id[, issued_at[, assumed_role_arn]]])"""

Kind: TypeAlias = Literal["unavailable", "denied", "needs-person", "misconfigured", "bad-answer"]

__version__: str

@final
class Source:
    """How a session is made. Everything that can be checked is checked when it is made, and raises
    ``ConfigurationError``; nobody is called."""

    @staticmethod
    def assume_role(
        role_arn: str,
        *,
        session_name: str | None = None,
        duration_seconds: int | None = None,
        external_id: str | None = None,
        policy: str | None = None,
        policy_arns: Sequence[str] = ...,
        tags: Sequence[tuple[str, str]] = ...,
        transitive_tag_keys: Sequence[str] = ...,
        source_identity: str | None = None,
        mfa_serial: str | None = None,
        mfa_token: Callable[[], str] | None = None,
        provided_contexts: Sequence[tuple[str, str]] = ...,
        base: Base | None = None,
        region: str | None = None,
        endpoint_url: str | None = None,
        fips: bool | None = None,
        dual_stack: bool | None = None,
    ) -> Source: ...
    @staticmethod
    def web_identity(
        role_arn: str,
        token_file: str | PathLike[str],
        *,
        session_name: str | None = None,
        duration_seconds: int | None = None,
        policy: str | None = None,
        policy_arns: Sequence[str] = ...,
        region: str | None = None,
        endpoint_url: str | None = None,
    ) -> Source: ...
    @staticmethod
    def profile(
        name: str | None,
        *,
        mfa_token: Callable[[], str] | None = None,
        region: str | None = None,
        endpoint_url: str | None = None,
    ) -> Source: ...
    @staticmethod
    def callback(name: str, fetch: Callable[[], Answer]) -> Source: ...
    @property
    def name(self) -> str: ...
    @property
    def region(self) -> str | None: ...

@final
class Base:
    """With what a role is assumed."""

    @staticmethod
    def default_chain() -> Base: ...
    @staticmethod
    def profile(name: str) -> Base: ...
    @staticmethod
    def keys(access_key: str, secret_key: str, token: str | None = None) -> Base: ...
    @staticmethod
    def source(source: Source) -> Base: ...

@final
class Store:
    """Where sessions are shared with other processes or hosts."""

    @staticmethod
    def open(
        place: str, *, key_file: str | PathLike[str] | None = None, key: str | None = None
    ) -> Store: ...
    @property
    def name(self) -> str: ...

class Keeper:
    """Keeps one session fresh, from the time that it is opened.

    Classes that derive from it define ``_start()``, which opens it at the first read, and
    ``_freeze(access_key, secret_key, token, account_id)``, which makes what reads return. Where
    ``_raise_cause`` is true, a read raises the exception that the source's function raised.
    """

    def __new__(cls, *arguments: Any, **named: Any) -> Self: ...
    def _start(self) -> None:
        """A hook: opens it."""

    def _about_to_ask(self) -> None:
        """A hook: a reader's thread is about to wait."""

    def _open(
        self,
        source: Source,
        *,
        mode: str,
        policy: str = "default",
        advisory_timeout: float | None = None,
        mandatory_timeout: float | None = None,
        attempt_timeout: float = 30.0,
        read_deadline: float = 30.0,
        clock: Clock | Callable[[], float] | None = None,
        initial: Answer | None = None,
        observer: Callable[[Event], None] | None = None,
        store: Store | None = None,
        reopen: bool = False,
    ) -> None: ...
    @property
    def _is_open(self) -> bool: ...
    def get_frozen_credentials(self) -> Any: ...
    def _ready(self) -> Any | None: ...
    def _ask_ahead(self) -> None:
        """Begins the fetch that a read would begin now."""

    def _held(self) -> Any | None: ...
    def _refresh_now(self) -> Any: ...
    def rejected(self, access_key_id: str) -> None: ...
    def _status(self) -> Status | None: ...
    def _close(self) -> None: ...
    def _as_base(self) -> Base:
        """The sessions that it keeps, for a role that is assumed with them."""

    def _expire(self) -> None: ...
    def _override(self, fetch: Callable[[], Answer] | None) -> None: ...

@final
class Status:
    @property
    def name(self) -> str: ...
    @property
    def access_key(self) -> str | None: ...
    @property
    def account_id(self) -> str | None: ...
    @property
    def assumed_role_arn(self) -> str | None: ...
    @property
    def expiration(self) -> float | None: ...
    @property
    def remaining(self) -> float: ...
    @property
    def lifetime(self) -> float: ...
    @property
    def generation(self) -> int: ...
    @property
    def rejected(self) -> bool: ...
    @property
    def next_refresh(self) -> float | None: ...
    @property
    def last_error(self) -> Exception | None: ...
    @property
    def fetches(self) -> int: ...
    @property
    def failures(self) -> int: ...
    @property
    def closed(self) -> bool: ...

@final
class Event:
    @property
    def kind(
        self,
    ) -> Literal["fetched", "adopted", "failed", "rejected", "expired", "let-go"]: ...
    @property
    def name(self) -> str: ...
    @property
    def at(self) -> float: ...
    @property
    def generation(self) -> int: ...
    @property
    def remaining(self) -> float: ...
    @property
    def expiration(self) -> float | None: ...
    @property
    def access_key(self) -> str | None: ...
    @property
    def error(self) -> Exception | None: ...

@final
class Events:
    def take(self) -> Event | None: ...

@final
class Starting:
    def done(self) -> None: ...

@final
class Request:
    def begin(self) -> None: ...
    def answer(self, value: Any) -> None: ...
    def fail(
        self,
        exception: BaseException,
        kind: str,
        message: str,
        code: str | None = None,
        hint: str | None = None,
        retry_after: float | None = None,
    ) -> None: ...

@final
class Clock:
    def __init__(self) -> None: ...
    def advance(self, seconds: float) -> None: ...
    def step_wall(self, seconds: int) -> None: ...
    def time(self) -> float: ...

def default_clock() -> Clock | None: ...
def set_default_clock(clock: Clock | None) -> None: ...
def caller_identity(
    base: Base,
    *,
    region: str | None = None,
    endpoint_url: str | None = None,
    timeout: float = 30.0,
) -> tuple[str, str, str]: ...
def sort_sts_code(code: str, message: str, status: int) -> tuple[Kind, str | None]: ...
def close() -> None: ...
def before_fork() -> None: ...
def forked_parent() -> None: ...
def forked_child() -> None: ...
