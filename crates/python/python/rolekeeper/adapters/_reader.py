"""Reads the newest session out of anything that gives credentials."""

from __future__ import annotations

import inspect
from datetime import datetime, timezone
from typing import Any, NamedTuple

from rolekeeper._rolekeeper import Keeper
from rolekeeper.errors import ConfigurationError
from rolekeeper.upkeep import Upkeep

_WAYS = (
    "pass a rolekeeper.Session or Role, credentials such as rolekeeper.RefreshableCredentials, "
    "or a boto3 or botocore session"
)

# Who keeps a copy of a session uses it for this many seconds at most, and gives it up this many
# seconds before its end. Asking takes a microsecond; a session that was revoked or replaced early
# is out of use within the minute.
_LONGEST_COPY = 60.0
_SHORTEST_COPY = 1.0
_BEFORE_THE_END = 10.0


class Reading(NamedTuple):
    """One session, as it is now."""

    access_key: str
    secret_key: str
    token: str | None
    account_id: str | None
    expiration: datetime | None
    """Its end (aware, UTC); None where the source does not tell."""
    copy_for: float
    """The seconds that a copy of it may be used without asking again."""

    def __repr__(self) -> str:
        return f"Reading(access_key={self.access_key!r}, …)"


class Reader:
    """What ``source`` gives, read anew each time.

    Raises ``ConfigurationError`` for a source that gives no credentials.
    """

    def __init__(self, source: object) -> None:
        self.source = source
        self.held()

    def read(self) -> Reading:
        """The newest session; waits if there is none that is valid.

        Raises whatever the source raises: for ours, ``rolekeeper.Error``.
        """
        credentials = self.held()
        if isinstance(credentials, Keeper):
            # Also where the class itself is read with await: this is no event loop.
            frozen = (
                Keeper.get_frozen_credentials(credentials)
                if inspect.iscoroutinefunction(type(credentials).get_frozen_credentials)
                else credentials.get_frozen_credentials()
            )
        else:
            frozen = credentials.get_frozen_credentials()
        end, remaining = _life(credentials, frozen.access_key)
        return Reading(
            access_key=frozen.access_key,
            secret_key=frozen.secret_key,
            token=frozen.token,
            account_id=getattr(frozen, "account_id", None),
            expiration=end,
            copy_for=min(max(remaining - _BEFORE_THE_END, _SHORTEST_COPY), _LONGEST_COPY),
        )

    @property
    def region(self) -> str | None:
        """The Region that the source is for, where it says so."""
        source: Any = self.source
        region: Any = getattr(source, "region_name", None) or getattr(source, "_region", None)
        if hasattr(source, "get_config_variable"):
            region = source.get_config_variable("region")
        return region if isinstance(region, str) else None

    def held(self) -> Any:
        """What has the credentials now: a session may be given others."""
        source: Any = self.source
        if isinstance(source, Upkeep):
            return source._keeper  # pyright: ignore[reportPrivateUsage]
        if isinstance(source, Keeper):
            return source
        if hasattr(source, "get_credentials"):
            held = getattr(getattr(source, "_session", source), "_credentials", None)
            if isinstance(held, Keeper):
                return held
            _refuse_async(source, source.get_credentials)
            source = source.get_credentials()
            if source is None:
                raise ConfigurationError("the session finds no credentials", hint=_WAYS)
        if not hasattr(source, "get_frozen_credentials"):
            raise ConfigurationError(f"a {type(source).__name__} gives no credentials", hint=_WAYS)
        _refuse_async(source, source.get_frozen_credentials)
        return source


def _refuse_async(source: Any, read: Any) -> None:
    # aioboto3's own method is not async, but the one that it calls is.
    beneath = getattr(getattr(source, "_session", None), "get_credentials", None)
    if inspect.iscoroutinefunction(read) or inspect.iscoroutinefunction(beneath):
        raise ConfigurationError(
            f"a {type(source).__name__} can be read on an event loop only",
            hint="pass a rolekeeper.aio.Session, or a session that is not async",
        )


def _life(credentials: Any, access_key: str) -> tuple[datetime | None, float]:
    """The end of the session with this key, and the seconds until then."""
    if isinstance(credentials, Keeper):
        status = credentials._status()  # pyright: ignore[reportPrivateUsage]
        # There may be a newer one already, of which nothing follows for this one.
        if status is None or status.access_key != access_key or status.expiration is None:
            return None, 0.0
        return datetime.fromtimestamp(status.expiration, timezone.utc), status.remaining
    end = getattr(credentials, "_expiry_time", None)
    if not isinstance(end, datetime) or end.utcoffset() is None:
        return None, _LONGEST_COPY + _BEFORE_THE_END
    end = end.astimezone(timezone.utc)
    return end, (end - datetime.now(timezone.utc)).total_seconds()
