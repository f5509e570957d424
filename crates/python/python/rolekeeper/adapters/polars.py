"""polars: ``credential_provider=`` for ``scan_parquet``, ``read_csv``, ``sink_parquet``, …"""

from __future__ import annotations

import math
import time
import uuid
from typing import Any

from rolekeeper.adapters._reader import Reader

__all__ = ["CredentialProvider", "credential_provider"]


class CredentialProvider:
    """A function of no arguments that gives polars the newest keys, and when to ask again.

    polars uses what it was given until the time that it was told. Told a session's real end, it
    would go on using that session for minutes after there is a newer one, and up to its last
    second; so it is told to come back within a minute, and ten seconds before the end. Asking
    costs microseconds, and is no call to STS.
    """

    def __init__(self, source: object) -> None:
        self._reader = Reader(source)
        # polars shares one connection pool between providers that look the same when pickled, and
        # another session by the same recipe may have been closed.
        self._id = uuid.uuid4().hex

    def __call__(self) -> tuple[dict[str, str], int]:
        """The keys by the names that object_store has for them, and epoch seconds."""
        session = self._reader.read()
        keys = {
            "aws_access_key_id": session.access_key,
            "aws_secret_access_key": session.secret_key,
        }
        if session.token is not None:
            keys["aws_session_token"] = session.token
        return keys, math.ceil(time.time() + session.copy_for)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self._reader.source!r})"

    def __getstate__(self) -> dict[str, Any]:
        return vars(self)


def credential_provider(source: object) -> CredentialProvider:
    """What polars takes as ``credential_provider``, fed from ``source``.

    Args:
        source: anything that gives credentials: see `rolekeeper.adapters`.

    Raises:
        ConfigurationError: it gives none.

    polars finds out the Region by itself where the environment names it; otherwise name it in
    ``storage_options={"aws_region": …}``.

    Example::

        session = rolekeeper.Session(role_arn="arn:aws:iam::123456789012:role/etl")
        provider = credential_provider(session)
        frame = polars.scan_parquet("s3://bucket/*.parquet", credential_provider=provider)
    """
    return CredentialProvider(source)
