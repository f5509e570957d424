"""What the drop-in classes use of botocore, with the types that botocore does not give.

Importing it imports botocore. Works with 1.34.0, whose credentials know no account id, and later.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import TYPE_CHECKING, Any, NamedTuple

__all__ = [
    "DeferredRefreshableCredentials",
    "ReadOnlyCredentials",
    "RefreshableCredentials",
    "freeze",
    "local_now",
    "parse",
]

if TYPE_CHECKING:

    class ReadOnlyCredentials(NamedTuple):
        """One set of credentials; botocore 1.34 has no ``account_id``."""

        access_key: str
        secret_key: str
        token: str | None
        account_id: str | None = None

    class RefreshableCredentials:
        """botocore's own class, as far as ours leans on it."""

        method: str
        _access_key: str | None
        _secret_key: str | None
        _token: str | None
        _account_id: str | None
        _expiry_time: datetime | None
        _staged_expiry_time: datetime | None
        _frozen_credentials: ReadOnlyCredentials | None
        _refresh_using: Callable[[], Any]
        _time_fetcher: Callable[[], datetime]

        access_key: str | None
        secret_key: str | None
        token: str | None

        def _refresh(self) -> None: ...
        def _normalize(self) -> None: ...
        def _seconds_remaining(self) -> float: ...
        def _is_expired(self) -> bool: ...
        def refresh_needed(self, refresh_in: float | None = None) -> bool: ...

    class DeferredRefreshableCredentials(RefreshableCredentials):
        """botocore's own class."""

    def local_now() -> datetime:
        """The wall clock, aware."""
        ...

    def parse(text: str) -> datetime:
        """Any string that botocore takes for a time; naive if the string is."""
        ...

else:
    from botocore.credentials import (
        DeferredRefreshableCredentials,
        ReadOnlyCredentials,
        RefreshableCredentials,
        parse,
    )
    from botocore.credentials import _local_now as local_now

_KNOWS_ACCOUNTS = "account_id" in ReadOnlyCredentials._fields


def freeze(
    access_key: str, secret_key: str, token: str | None, account_id: str | None
) -> ReadOnlyCredentials:
    """The object that signers read, of as many fields as this botocore's has."""
    if _KNOWS_ACCOUNTS:
        return ReadOnlyCredentials(access_key, secret_key, token, account_id)
    return ReadOnlyCredentials(access_key, secret_key, token)
