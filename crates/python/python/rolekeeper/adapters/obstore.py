"""obstore: ``credential_provider=`` for ``S3Store``."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone
from typing import TYPE_CHECKING, TypedDict

from rolekeeper.adapters._reader import Reader

if TYPE_CHECKING:
    from typing_extensions import NotRequired

__all__ = ["CredentialProvider", "credential_provider"]

# obstore asks again when less than this is left of what it was told, in seconds.
_ASKS_BEFORE = 300


class S3Credential(TypedDict):
    """What obstore takes for credentials."""

    access_key_id: str
    secret_access_key: str
    token: str | None
    expires_at: datetime


class S3Config(TypedDict):
    """The settings that a provider brings along."""

    region: NotRequired[str]


class CredentialProvider:
    """A function of no arguments that gives obstore the newest keys, and when to ask again.

    obstore begins to ask again 300 seconds before the time it was told, and then for every
    request. What it is told is arranged so that it asks once a minute: see
    `rolekeeper.adapters.polars.CredentialProvider`.

    Attributes:
        config: the Region of the source, where it has one, which the store then takes.
    """

    def __init__(self, source: object) -> None:
        self._reader = Reader(source)
        region = self._reader.region
        self.config: S3Config = {} if region is None else {"region": region}

    def __call__(self) -> S3Credential:
        """The keys by obstore's names."""
        session = self._reader.read()
        again = timedelta(seconds=_ASKS_BEFORE + session.copy_for)
        return {
            "access_key_id": session.access_key,
            "secret_access_key": session.secret_key,
            "token": session.token,
            "expires_at": datetime.now(timezone.utc) + again,
        }

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self._reader.source!r})"


def credential_provider(source: object) -> CredentialProvider:
    """What obstore's ``S3Store`` takes as ``credential_provider``, fed from ``source``.

    Args:
        source: anything that gives credentials: see `rolekeeper.adapters`.

    Raises:
        ConfigurationError: it gives none.

    Example::

        session = rolekeeper.Session(role_arn=…, region_name="us-east-1")
        store = obstore.store.S3Store("bucket", credential_provider=credential_provider(session))
    """
    return CredentialProvider(source)
