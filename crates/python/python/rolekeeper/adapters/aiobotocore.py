"""aiobotocore: a session for asyncio that is fed from one that is not, such as a ``Session``."""

from __future__ import annotations

import weakref
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from rolekeeper import _botocore
from rolekeeper._rolekeeper import Keeper
from rolekeeper.adapters._reader import Reader
from rolekeeper.aio.waiting import SharedWait

if TYPE_CHECKING:

    class _AioCredentials:
        """aiobotocore's own class of credentials."""

    class _AiobotocoreSession:
        """aiobotocore's own class, as far as ours leans on it."""

        def __init__(self, *arguments: Any, **named: Any) -> None: ...
        def set_config_variable(self, name: str, value: Any) -> None: ...

else:
    from aiobotocore.credentials import AioCredentials as _AioCredentials
    from aiobotocore.session import AioSession as _AiobotocoreSession

__all__ = ["session"]


class _FollowingCredentials(_AioCredentials):
    """aiobotocore's view of credentials that live elsewhere: read anew for each request."""

    method = "rolekeeper"

    def __init__(self, source: object) -> None:
        # Not aiobotocore's own __init__, which wants keys.
        self._reader = Reader(source)
        self._waiting = SharedWait()

    async def get_frozen_credentials(self) -> Any:
        held = self._reader.held()
        ready = held._ready() if isinstance(held, Keeper) else None
        return await self._waiting(self._read) if ready is None else ready

    def _read(self) -> Any:
        newest = self._reader.read()
        return _botocore.freeze(
            newest.access_key, newest.secret_key, newest.token, newest.account_id
        )

    async def get_access_key(self) -> Any:
        return (await self.get_frozen_credentials()).access_key

    async def get_secret_key(self) -> Any:
        return (await self.get_frozen_credentials()).secret_key

    async def get_token(self) -> Any:
        return (await self.get_frozen_credentials()).token

    async def get_account_id(self) -> Any:
        return (await self.get_frozen_credentials()).account_id


class _FollowingSession(_AiobotocoreSession):
    """An aiobotocore session with somebody else's credentials. Its ``repr`` never changes: fsspec
    takes it for its name."""

    def __init__(self, source: object, region_name: str | None) -> None:
        super().__init__()
        self._source = source
        self._region = region_name
        self._credentials = _FollowingCredentials(source)
        region = region_name or Reader(source).region
        if region is not None:
            self.set_config_variable("region", region)

    def __reduce__(self) -> tuple[Callable[..., Any], tuple[Any, ...]]:
        return session, (self._source, self._region)


# One for each source and Region: fsspec keeps a file system for each session for ever.
_made: weakref.WeakKeyDictionary[Any, dict[str | None, weakref.ref[_FollowingSession]]] = (
    weakref.WeakKeyDictionary()
)


def session(source: object, region_name: str | None = None) -> Any:
    """An ``aiobotocore.session.AioSession`` whose clients sign with the credentials of ``source``.

    For asyncio alone there is ``rolekeeper.aio.Session``; this is for a program that has a session
    already, which is then fetched once for both worlds. A read of a valid session returns at once;
    one that has to wait leaves the event loop free.

    Args:
        source: anything that gives credentials: see `rolekeeper.adapters`.
        region_name: default: the source's.

    Raises:
        ConfigurationError: it gives none.

    Example::

        job = rolekeeper.Session(role_arn="arn:aws:iam::123456789012:role/etl")
        async with rolekeeper.adapters.aiobotocore.session(job).create_client("s3") as s3:
            ...
    """
    made = _made.setdefault(source, {})
    known = made.get(region_name)
    found = None if known is None else known()
    if found is None:
        found = _FollowingSession(source, region_name)
        made[region_name] = weakref.ref(found)
    return found
