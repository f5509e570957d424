"""Drop-ins for botocore's refreshable credentials, whose readers never pay for a refresh.

Real subclasses of botocore's classes: what botocore keeps in private attributes (``_expiry_time``,
``_frozen_credentials``, …) is kept here too, as a by-product of each fetch. When to fetch, and who
is served meanwhile, the native side decides.
"""

from __future__ import annotations

import contextvars
import logging
import os
import pickle
import sys
import threading
import weakref
from collections.abc import Callable
from datetime import datetime, timezone
from functools import partial
from typing import TYPE_CHECKING, Any, Literal, TypeAlias, TypeVar, cast

from rolekeeper import _botocore, _metadata, _windows
from rolekeeper._rolekeeper import Clock, Event, Keeper, Source, Store, default_clock
from rolekeeper.errors import (
    BadAnswerError,
    ConfigurationError,
    Error,
    UnavailableError,
)

if TYPE_CHECKING:
    from typing_extensions import Self

__all__ = ["DeferredRefreshableCredentials", "RefreshableCredentials"]

RefreshMode: TypeAlias = Literal["auto", "background", "on-demand"]
RefreshPolicy: TypeAlias = Literal["default", "sdk-standard"]
_Answer: TypeAlias = tuple[str, str, "str | None", float, "str | None", "float | None"]
_Group = TypeVar("_Group", bound="RefreshableCredentials")

logger = logging.getLogger(__name__)

# The end of credentials that have none: 2200-01-01, in epoch seconds.
_NO_END = 7_258_118_400.0

# Assigning one of these from outside replaces what the native side goes by.
_WATCHED = frozenset(
    {
        "_advisory_refresh_timeout",
        "_clock",
        "_expiry_time",
        "_frozen_credentials",
        "_mandatory_refresh_timeout",
        "_time_fetcher",
        "attempt_timeout",
        "read_deadline",
        "refresh_mode",
        "refresh_policy",
    }
)

# What stays behind when credentials are pickled or copied: the session, and what is this process's.
_NOT_CARRIED = frozenset(
    {
        "_access_key",
        "_secret_key",
        "_token",
        "_account_id",
        "_expiry_time",
        "_staged_expiry_time",
        "_frozen_credentials",
        "_refresh_lock",
        "_fetching_on",
        "_context",
        "_origin",
        "_is_closed",
        "_raise_cause",
    }
)

# A subclass that brings its own version of one of these runs by botocore's rules, through them.
_BOTOCORES_RULES = ("refresh_needed", "_protected_refresh", "_refresh")


class RefreshableCredentials(Keeper, _botocore.RefreshableCredentials):
    """botocore's ``RefreshableCredentials``, refreshed ahead of time and apart from its readers.

    Args:
        access_key: the first session's access key id.
        secret_key: its secret access key.
        token: its session token.
        expiry_time: its end: an aware datetime, epoch seconds, or a string that botocore takes and
            that tells its time zone; None for "never ends".
        refresh_using: called without arguments, on a thread of its own, never twice at a time;
            returns a dict with ``access_key``, ``secret_key``, ``token``, ``expiry_time`` and
            perhaps ``account_id``. It raises ``rolekeeper.DeniedError`` to say that trying again
            is of no use.
        method: where the credentials come from, for messages and for botocore.
        time_fetcher: returns the time, as an aware datetime.
        advisory_timeout: seconds of remaining time from which a refresh is wanted. Default: by the
            session's lifetime.
        mandatory_timeout: on demand, seconds of remaining time from which every reader waits for
            the refresh. Default: by the session's lifetime.
        account_id: the account's id.

    Raises ``ConfigurationError``, which is a ``ValueError`` too, for arguments that cannot work.

    Readers get, while nothing is valid, in the background a ``rolekeeper.Error`` from what the
    callable raised; on demand what the callable raised, as from botocore.

    A subclass may set the class attributes:

    * ``refresh_mode``: ``"background"``; ``"on-demand"``, where readers refresh, as botocore does;
      or ``"auto"``, the default: the background, but on demand in AWS Lambda, where a process is
      frozen between calls.
    * ``refresh_policy``: ``"default"``; or ``"sdk-standard"``, the rules that the AWS SDKs
      converge on, which serve a session even past its end while the source is down.
    * ``attempt_timeout``: how long one call of ``refresh_using`` may take, in seconds.
    * ``read_deadline``: how long a reader waits while nothing is valid, in seconds.

    One that brings its own ``_refresh``, ``_protected_refresh`` or ``refresh_needed`` is read
    through it, by botocore's rules.

    Example::

        from botocore.session import get_session
        from rolekeeper import RefreshableCredentials

        def refresh():
            c = sts.assume_role(RoleArn=role, RoleSessionName="etl")["Credentials"]
            return {
                "access_key": c["AccessKeyId"],
                "secret_key": c["SecretAccessKey"],
                "token": c["SessionToken"],
                "expiry_time": c["Expiration"],
            }

        session = get_session()
        session._credentials = RefreshableCredentials.create_from_metadata(
            metadata=refresh(), refresh_using=refresh, method="sts-assume-role"
        )
        db = boto3.Session(botocore_session=session).client("rds")
    """

    refresh_mode: RefreshMode = "auto"
    refresh_policy: RefreshPolicy = "default"
    attempt_timeout: float = 30.0
    read_deadline: float = 30.0

    _advisory_refresh_timeout = _windows.Window()
    _mandatory_refresh_timeout = _windows.Window()

    _clock: Clock | None = None
    _origin: Source | None = None
    _fetching_on: threading.Thread | None = None
    _context: contextvars.Context | None = None
    _is_closed: bool = False

    def __init__(
        self,
        access_key: str | None,
        secret_key: str | None,
        token: str | None,
        expiry_time: datetime | float | str | None,
        refresh_using: Callable[[], Any],
        method: str,
        time_fetcher: Callable[[], datetime] = _botocore.local_now,
        advisory_timeout: float | None = None,
        mandatory_timeout: float | None = None,
        account_id: str | None = None,
    ) -> None:
        # Not botocore's own __init__, which differs from version to version.
        self._begin(refresh_using, method, time_fetcher, advisory_timeout, mandatory_timeout)
        texts: dict[str, object] = {
            "access_key": access_key,
            "secret_key": secret_key,
            "token": token,
            "account_id": account_id,
        }
        for name, value in texts.items():
            if not isinstance(value, (str, type(None))):
                raise ConfigurationError(
                    f"{name} is a value of type {type(value).__name__}: give a string"
                )
        self._access_key = access_key
        self._secret_key = secret_key
        self._token = token
        self._account_id = account_id
        self._expiry_time = self._moment(expiry_time)
        self._normalize()
        if self._access_key and self._secret_key:
            self._frozen_credentials = _botocore.freeze(
                self._access_key, self._secret_key, token, account_id
            )
            # On demand this only notes when the session's life began. By a clock of somebody's own
            # that can wait for the first read: it may not be set yet.
            if self._mode() == "background" or time_fetcher is _botocore.local_now:
                self._start()

    def _begin(
        self,
        refresh_using: Callable[[], Any],
        method: str,
        time_fetcher: Callable[[], datetime],
        advisory_timeout: float | None,
        mandatory_timeout: float | None,
    ) -> None:
        """Everything but the session."""
        for name, function in (("refresh_using", refresh_using), ("time_fetcher", time_fetcher)):
            if not callable(function):
                raise ConfigurationError(
                    f"{name} is a value of type {type(function).__name__}: give the function "
                    "itself, not what it returns"
                )
        self._refresh_using = refresh_using
        self.method = method
        self._time_fetcher = time_fetcher
        if advisory_timeout is not None:
            self._advisory_refresh_timeout = _windows.seconds("advisory_timeout", advisory_timeout)
        if mandatory_timeout is not None:
            self._mandatory_refresh_timeout = _windows.seconds(
                "mandatory_timeout", mandatory_timeout
            )
        self._mode()
        self._forget()

    def _forget(self) -> None:
        """As before the first session."""
        self._access_key = None
        self._secret_key = None
        self._token = None
        self._account_id = None
        self._expiry_time = None
        self._staged_expiry_time = None
        self._frozen_credentials = None
        # Nothing here waits for it: it is for those who take botocore's lock.
        self._refresh_lock = threading.Lock()

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        changed = [
            name
            for name in _BOTOCORES_RULES
            if getattr(cls, name) is not getattr(RefreshableCredentials, name)
        ]
        if not changed:
            return
        if "_refresh" not in changed:
            cls._refresh = _botocore.RefreshableCredentials._refresh  # type: ignore[method-assign]
        if cls.get_frozen_credentials is Keeper.get_frozen_credentials:
            cls.get_frozen_credentials = cls._read_by_botocores_rules  # type: ignore[method-assign, assignment]

    @classmethod
    def create_from_metadata(
        cls,
        metadata: dict[str, Any],
        refresh_using: Callable[[], Any],
        method: str,
        advisory_timeout: float | None = None,
        mandatory_timeout: float | None = None,
    ) -> Self:
        """Credentials that start with ``metadata``, a first answer of ``refresh_using``.

        The arguments are those of the class; ``metadata`` has the form of what ``refresh_using``
        returns. Raises ``BadAnswerError`` if something is missing in it, ``ConfigurationError``
        for a time without a time zone.

        Example::

            RefreshableCredentials.create_from_metadata(
                metadata=refresh(), refresh_using=refresh, method="sts-assume-role"
            )
        """
        first = _metadata.checked(metadata, cls._expiry_datetime, bad_time=ConfigurationError)
        # Only what there is: subclasses with an __init__ of their own may not take the rest.
        extras = {
            name: value
            for name, value in (
                ("advisory_timeout", advisory_timeout),
                ("mandatory_timeout", mandatory_timeout),
                ("account_id", first.account_id),
            )
            if value is not None
        }
        return cls(
            access_key=first.access_key,
            secret_key=first.secret_key,
            token=first.token,
            expiry_time=first.expiry_time,
            method=method,
            refresh_using=refresh_using,
            **extras,  # type: ignore[arg-type]
        )

    # === What is known of the session ===

    @property
    def expiration(self) -> datetime | None:
        """When the session that is held ends (aware, UTC); None if there is none, or no end.

        Example::

            print(f"until {credentials.expiration:%H:%M} UTC")
        """
        status = self._status()
        if status is None:
            end = self._expiry_time
            return None if end is None else end.astimezone(timezone.utc)
        if status.expiration is None or status.expiration >= _NO_END:
            return None
        return datetime.fromtimestamp(status.expiration, timezone.utc)

    @property
    def remaining(self) -> float:
        """The seconds that the session still has; 0.0 if there is none, infinity without end.

        Example::

            assert credentials.remaining > 60
        """
        status = self._status()
        if status is not None and (status.expiration or 0) < _NO_END:
            return status.remaining
        if self._frozen_credentials is None:
            return 0.0
        return float("inf") if self._expiry_time is None else max(0.0, self._seconds_remaining())

    @property
    def generation(self) -> int:
        """How many sessions there have been: it grows by one with each, 0 before the first read.

        Example::

            seen = credentials.generation
        """
        status = self._status()
        return 0 if status is None else status.generation

    @property
    def last_error(self) -> Error | None:
        """Why the last fetch failed; None if it did not.

        Example::

            if credentials.last_error:
                log.warning("still on the old session: %s", credentials.last_error)
        """
        status = self._status()
        return None if status is None else cast("Error | None", status.last_error)

    def refresh_now(self) -> None:
        """Calls ``refresh_using`` now, and waits for the new session.

        Raises ``rolekeeper.Error``, from what the callable raised, if it fails; a session that is
        still valid is kept.

        Example::

            credentials.refresh_now()
        """
        self._about_to_ask()
        self._ensure_open()
        self._refresh_now()

    def rejected(self, access_key_id: str) -> None:
        """Says that a service refused this key: the next read fetches a new session first.

        Nothing happens if ``access_key_id`` is no longer the current one.

        Example::

            except ClientError as error:
                if error.response["Error"]["Code"] == "ExpiredToken":
                    credentials.rejected(frozen.access_key)
        """
        self._ensure_open()
        super().rejected(access_key_id)

    def close(self) -> None:
        """Stops refreshing; later reads raise ``rolekeeper.Error``. Dropping the object stops too.

        Example::

            credentials.close()
        """
        self._is_closed = True
        self._close()

    # === botocore's names ===

    @property
    def account_id(self) -> str | None:
        """The account's id, where the source tells it. See ``get_frozen_credentials``.

        Example::

            credentials.account_id
        """
        self._refresh()
        return self._account_id

    @account_id.setter
    def account_id(self, value: str | None) -> None:
        self._account_id = value

    def get_deferred_property(self, property_name: str) -> Callable[[], Any]:
        """A function that reads a property when it is called.

        Example::

            account = credentials.get_deferred_property("account_id")
        """

        def get_property() -> Any:
            return getattr(self, property_name, None)

        return get_property

    def refresh_needed(self, refresh_in: float | None = None) -> bool:
        """Whether less than ``refresh_in`` seconds remain. Default: the advisory window.

        Example::

            credentials.refresh_needed(refresh_in=3600)
        """
        return self._frozen_credentials is None or super().refresh_needed(refresh_in)

    @staticmethod
    def _expiry_datetime(time_str: str) -> datetime:
        return _botocore.parse(time_str)

    def _read_by_botocores_rules(self) -> Any:
        self._refresh()
        return self._frozen_credentials

    def _refresh(self) -> None:
        Keeper.get_frozen_credentials(self)

    def _protected_refresh(self, is_mandatory: bool) -> None:
        try:
            self.refresh_now()
        except Exception:
            if is_mandatory:
                raise

    def _seconds_remaining(self) -> float:
        if self._expiry_time is None:
            return float("inf")
        return self._expiry_time.timestamp() - self._now()

    def _set_from_data(self, data: object) -> None:
        new = _metadata.checked(data, self._expiry_datetime)
        self.access_key = new.access_key
        self.secret_key = new.secret_key
        self.token = new.token
        self.account_id = new.account_id
        self._staged_expiry_time = new.expiry_time
        self._normalize()

    def _publish_refresh(self) -> None:
        if self._access_key and self._secret_key:
            self._frozen_credentials = _botocore.freeze(
                self._access_key, self._secret_key, self._token, self._account_id
            )
        if self._staged_expiry_time is not None:
            self._expiry_time = self._staged_expiry_time

    # === Between botocore's names and the native side ===

    def __setattr__(self, name: str, value: Any) -> None:
        if name == "_expiry_time":
            value = self._moment(value)
        super().__setattr__(name, value)
        # What a fetch assigns, it hands to the native side itself.
        is_outside = self._fetching_on is not threading.current_thread()
        if name in _WATCHED and self._is_open and is_outside:
            self._start(reopen=True)

    def _about_to_ask(self) -> None:
        # A fetch for a reader runs in that reader's context: botocore notes in it what its calls
        # are for, others who they are for.
        self._context = contextvars.copy_context()

    def _ensure_open(self) -> None:
        if not self._is_open:
            self._start()

    def _start(self, *, reopen: bool = False) -> None:
        """Called by the native side for the first read, and here."""
        if self._is_closed:
            raise ConfigurationError(
                f"the credentials of {self.method} have been closed", hint="make new ones"
            )
        # botocore's readers refresh, and see what the callable raised.
        self._raise_cause = self._mode() == "on-demand"
        self._open_as_set(reopen=reopen)

    def _open_as_set(
        self,
        *,
        observer: Callable[[Event], None] | None = None,
        store: Store | None = None,
        reopen: bool,
    ) -> None:
        """Opens it by what stands in its attributes now."""
        self._open(
            self._make_source(),
            mode=self._mode(),
            policy=self.refresh_policy,
            advisory_timeout=_windows.given(self, "_advisory_refresh_timeout"),
            mandatory_timeout=_windows.given(self, "_mandatory_refresh_timeout"),
            attempt_timeout=_windows.seconds("attempt_timeout", self.attempt_timeout),
            read_deadline=_windows.seconds("read_deadline", self.read_deadline),
            clock=self._native_clock(),
            initial=self._in_hand(),
            observer=observer,
            store=store,
            reopen=reopen,
        )

    def _mode(self) -> Literal["background", "on-demand"]:
        if self.refresh_policy not in ("default", "sdk-standard"):
            raise ConfigurationError(
                f"refresh_policy is {self.refresh_policy!r}: set 'default' or 'sdk-standard'"
            )
        if self.refresh_mode == "auto":
            return "on-demand" if "AWS_LAMBDA_FUNCTION_NAME" in os.environ else "background"
        if self.refresh_mode not in ("background", "on-demand"):
            raise ConfigurationError(
                f"refresh_mode is {self.refresh_mode!r}: set 'auto', 'background' or 'on-demand'"
            )
        return self.refresh_mode

    def _make_source(self) -> Source:
        """How a session is made. The same one for life, so that no two fetches run at a time."""
        if self._origin is None:
            self._origin = Source.callback(str(self.method), self._asker(weakref.ref(self)))
        return self._origin

    def _in_hand(self) -> _Answer | None:
        """What is held to begin with."""
        frozen = self._frozen_credentials
        if frozen is None:
            return None
        end = _NO_END if self._expiry_time is None else self._expiry_time.timestamp()
        keys = (frozen.access_key, frozen.secret_key, frozen.token)
        # Where a test has moved the native clock, the callable's real time goes along. (What a
        # native source has made is told by the native clock already.)
        by_real_time = self._clock is None and self._origin is not None
        meant_at = self._now() if by_real_time and default_clock() is not None else None
        return (*keys, end, self._account_id, meant_at)

    def _freeze(
        self, access_key: str, secret_key: str, token: str | None, account_id: str | None
    ) -> _botocore.ReadOnlyCredentials:
        # The one that was published, which may be of a subclass's own making.
        published = self._frozen_credentials
        if published is not None and (published.access_key, published.secret_key) == (
            access_key,
            secret_key,
        ):
            return published
        return _botocore.freeze(access_key, secret_key, token, account_id)

    def _native_clock(self) -> Clock | Callable[[], float] | None:
        if self._clock is not None or self._time_fetcher is _botocore.local_now:
            return self._clock
        fetch_time = self._time_fetcher
        return lambda: fetch_time().timestamp()

    def _now(self) -> float:
        return self._time_fetcher().timestamp() if self._clock is None else self._clock.time()

    def _lifetime(self) -> float | None:
        """How long the session that is held lives in all, if one is held."""
        if self._frozen_credentials is None:
            return None
        self._ensure_open()
        status = self._status()
        return None if status is None else status.lifetime

    def _moment(self, value: object) -> datetime | None:
        if value is None:
            return None
        return _metadata.moment(value, self._expiry_datetime, ConfigurationError)

    # === A fetch, on its own thread ===
    #
    # No frame that is alive while the callable runs holds the credentials: they can be dropped
    # meanwhile, and an error that is kept (see `forget_locals`) does not keep them.

    @staticmethod
    def _asker(weak: weakref.ref[RefreshableCredentials]) -> Callable[[], _Answer]:
        """What the native side calls for a session."""

        def alive() -> RefreshableCredentials:
            credentials = weak()
            if credentials is None:
                raise UnavailableError("nobody holds these credentials any more")
            return credentials

        def take(data: object) -> _Answer:
            return alive()._take(data)

        def ask() -> _Answer:
            try:
                return take(alive()._begin_fetch()())
            except BaseException as error:
                alive()._log_failure(error)
                raise
            finally:
                alive()._end_fetch()

        return ask

    def _begin_fetch(self) -> Callable[[], Any]:
        self._fetching_on = threading.current_thread()
        context, self._context = self._context, None
        return self._refresh_using if context is None else partial(context.run, self._refresh_using)

    def _end_fetch(self) -> None:
        self._fetching_on = self._context = None

    def _log_failure(self, error: BaseException) -> None:
        is_mandatory = self.refresh_needed(self._mandatory_refresh_timeout)
        logger.warning(
            "Refreshing temporary credentials failed during %s refresh period.",
            "mandatory" if is_mandatory else "advisory",
            exc_info=error,
        )

    def _take(self, data: object) -> _Answer:
        """The callable's answer: checked, published under botocore's names, and handed on."""
        before = {name: vars(self)[name] for name in ("_access_key", "_secret_key", "_token")}
        before["_account_id"] = self._account_id
        try:
            self._set_from_data(data)
            end = self._staged_expiry_time
            if end is not None and end.timestamp() <= self._now():
                raise BadAnswerError(
                    "Credentials were refreshed, but the refreshed credentials are still expired.",
                    hint=f"expiry_time is {end.isoformat()}: check it, and this machine's clock",
                )
            self._publish_refresh()
        except BaseException:
            vars(self).update(before)
            raise
        finally:
            self._staged_expiry_time = None
        answer = self._in_hand()
        if answer is None:
            raise BadAnswerError("nothing was published: does a _publish_refresh do nothing?")
        return answer

    # === Pickling and copying: the recipe, never the session ===

    def __reduce__(self) -> tuple[Callable[..., Any], tuple[Any, ...], dict[str, Any]]:
        _check_carriable(self._refresh_using)
        return _blank, (type(self),), self.__getstate__()

    def __getstate__(self) -> dict[str, Any]:
        return {name: value for name, value in vars(self).items() if name not in _NOT_CARRIED}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self._forget()
        vars(self).update(state)

    def __copy__(self) -> Self:
        twin = _blank(type(self))
        twin.__setstate__(self.__getstate__())
        return twin

    def __deepcopy__(self, memo: dict[int, Any]) -> Self:
        import copy

        twin = _blank(type(self))
        memo[id(self)] = twin
        twin.__setstate__(copy.deepcopy(self.__getstate__(), memo))
        return twin


class DeferredRefreshableCredentials(
    RefreshableCredentials, _botocore.DeferredRefreshableCredentials
):
    """botocore's ``DeferredRefreshableCredentials``: no session yet, the first read fetches one.

    The arguments are those of ``RefreshableCredentials``. botocore's has no windows to set; this
    one does.

    Example::

        session._credentials = DeferredRefreshableCredentials(refresh, "sts-assume-role")
    """

    def __init__(
        self,
        refresh_using: Callable[[], Any],
        method: str,
        time_fetcher: Callable[[], datetime] = _botocore.local_now,
        advisory_timeout: float | None = None,
        mandatory_timeout: float | None = None,
    ) -> None:
        self._begin(refresh_using, method, time_fetcher, advisory_timeout, mandatory_timeout)


# === Pickling ===


def _blank(group: type[_Group]) -> _Group:
    return group.__new__(group)


_checking = threading.local()


def _check_carriable(refresh_using: Callable[[], Any]) -> None:
    """Says what to do, where pickle would say only what is wrong."""
    # cloudpickle and its like carry functions that pickle can't, and there is no telling who asks.
    if getattr(_checking, "busy", False) or {"cloudpickle", "dill"} & sys.modules.keys():
        return
    _checking.busy = True
    try:
        pickle.dumps(refresh_using)
    except (pickle.PicklingError, AttributeError, TypeError) as error:
        raise pickle.PicklingError(
            f"refresh_using cannot be pickled ({error}): make it a function at the top level of a "
            "module, or a functools.partial of one"
        ) from None
    finally:
        _checking.busy = False
