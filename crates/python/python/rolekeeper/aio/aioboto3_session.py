"""``Session`` for aioboto3: an aioboto3 session whose role session never runs out."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from rolekeeper import session
from rolekeeper.aio.role_credentials import AioRoleCredentials
from rolekeeper.aio.upkeep import AioUpkeep

if TYPE_CHECKING:

    class _Aioboto3Session:
        """aioboto3's own class."""

else:
    from aioboto3 import Session as _Aioboto3Session

__all__ = ["Session"]


class Session(AioUpkeep, session.Session, _Aioboto3Session):  # type: ignore[misc]
    """An ``aioboto3.Session`` of one role, kept fresh for as long as a program runs.

    Its clients and resources stay valid for ever: enter each of them once. STS is called at the
    first read of the credentials, and then long before each session's end, apart from all readers;
    the event loop is never blocked.

    The arguments and the errors are those of :class:`rolekeeper.Session`; ``source`` and
    ``botocore_session`` may be aioboto3 and aiobotocore sessions as well. ``refresh_now()`` and
    ``whoami()`` are async.

    Example::

        session = rolekeeper.aio.Session(
            role_arn="arn:aws:iam::123456789012:role/etl", region_name="us-east-1"
        )
        async with session.client("rds") as db:  # valid for days
            ...
    """

    _credentials_class = AioRoleCredentials

    def _sts(self) -> Any:
        untyped: Any = self
        return untyped.client("sts", **self._keeper._recipe.place)
