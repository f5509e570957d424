"""Drop-ins for aiobotocore's refreshable credentials: those for botocore, read with ``await``."""

from __future__ import annotations

import asyncio
import contextvars
import weakref
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any, NoReturn

from rolekeeper import _botocore, credentials
from rolekeeper._rolekeeper import Keeper
from rolekeeper.aio import running
from rolekeeper.aio.waiting import SharedWait

if TYPE_CHECKING:

    class _AioRefreshableCredentials(_botocore.RefreshableCredentials):
        """aiobotocore's own class."""

        async def _refresh(self) -> None: ...  # type: ignore[override]

    class _AioDeferredRefreshableCredentials(
        _botocore.DeferredRefreshableCredentials, _AioRefreshableCredentials
    ):
        """aiobotocore's own class."""

else:
    from aiobotocore.credentials import (
        AioDeferredRefreshableCredentials as _AioDeferredRefreshableCredentials,
    )
    from aiobotocore.credentials import AioRefreshableCredentials as _AioRefreshableCredentials

__all__ = ["AioDeferredRefreshableCredentials", "AioRefreshableCredentials"]

# A subclass that brings its own version of one of these runs by aiobotocore's rules, through them.
_AIOBOTOCORES_RULES = ("refresh_needed", "_protected_refresh", "_refresh")

# What belongs to this process and its loops: not pickled, not copied.
_OF_THIS_PROCESS = ("_home", "_reading", "_refreshing")


class AioRefreshableCredentials(credentials.RefreshableCredentials, _AioRefreshableCredentials):
    """aiobotocore's ``AioRefreshableCredentials``, refreshed ahead of time, apart from its readers.

    The arguments, the class attributes and the errors are those of
    ``rolekeeper.RefreshableCredentials``, but that ``refresh_using`` may be async as well. Async,
    it runs on the event loop that reads these credentials while that one is running, else in a
    loop of its own; it has ``attempt_timeout`` seconds. Not async, it runs on a thread.

    A read of a valid session returns at once. One that has to wait leaves the event loop free: all
    the loop's tasks wait for the same fetch, ``read_deadline`` seconds at most, and a task that is
    cancelled meanwhile cancels only itself.

    Example::

        from aiobotocore.session import get_session
        from rolekeeper.aio import AioRefreshableCredentials

        async def refresh():
            async with bare.create_client("sts") as sts:
                answer = await sts.assume_role(RoleArn=role, RoleSessionName="etl")
            c = answer["Credentials"]
            return {
                "access_key": c["AccessKeyId"],
                "secret_key": c["SecretAccessKey"],
                "token": c["SessionToken"],
                "expiry_time": c["Expiration"],
            }

        session = get_session()
        session._credentials = AioRefreshableCredentials.create_from_metadata(
            metadata=await refresh(), refresh_using=refresh, method="sts-assume-role"
        )
        async with session.create_client("rds") as db:
            ...
    """

    # The loop that reads, or has read, these credentials.
    _home: Callable[[], asyncio.AbstractEventLoop | None] = staticmethod(lambda: None)
    _reading: SharedWait
    _refreshing: SharedWait

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        ours = AioRefreshableCredentials
        if all(getattr(cls, name) is getattr(ours, name) for name in _AIOBOTOCORES_RULES):
            return
        if cls._refresh is ours._refresh:
            cls._refresh = _AioRefreshableCredentials._refresh  # type: ignore[method-assign]
        if cls.get_frozen_credentials is ours.get_frozen_credentials:
            cls.get_frozen_credentials = cls._read_by_botocores_rules  # type: ignore[method-assign]

    async def get_frozen_credentials(self) -> _botocore.ReadOnlyCredentials:
        """The newest credentials; ``await`` it.

        Raises ``rolekeeper.Error``, or on demand what ``refresh_using`` raised, if there are none
        and none can be had.

        Example::

            frozen = await credentials.get_frozen_credentials()
        """
        loop = asyncio.get_running_loop()
        if self._home() is not loop:
            self._home = weakref.ref(loop)
        ready = self._ready()
        if ready is None:
            self._open_for_reader()
            ready = self._ready()
        if ready is None and self._reading.is_under_way(loop):
            # Another task waits for the fetch. On demand, the others need not while the old
            # session is valid: once the fetch has begun, they are served that one.
            self._ask_ahead()
            ready = self._ready()
        if ready is None:
            ready = await self._reading(partial(Keeper.get_frozen_credentials, self))
        frozen: _botocore.ReadOnlyCredentials = ready
        return frozen

    async def refresh_now(self) -> None:  # type: ignore[override]
        """Calls ``refresh_using`` now, and waits for the new session; ``await`` it.

        Raises ``rolekeeper.Error``, from what it raised, if it fails; a session that is still
        valid is kept.

        Example::

            await credentials.refresh_now()
        """
        self._open_for_reader()
        await self._refreshing(self._refresh_now)

    def _open_for_reader(self) -> None:
        if not self._is_open:
            # To open it may begin a fetch, which is for this reader.
            self._about_to_ask()
            self._ensure_open()

    # === aiobotocore's names ===

    async def get_access_key(self) -> str:
        """The newest access key id.

        Example::

            key = await credentials.get_access_key()
        """
        return (await self.get_frozen_credentials()).access_key

    async def get_secret_key(self) -> str:
        """The newest secret access key. Together with another part, read both frozen.

        Example::

            secret = await credentials.get_secret_key()
        """
        return (await self.get_frozen_credentials()).secret_key

    async def get_token(self) -> str | None:
        """The newest session token. Together with another part, read both frozen.

        Example::

            token = await credentials.get_token()
        """
        return (await self.get_frozen_credentials()).token

    async def get_account_id(self) -> str | None:
        """The account's id, where the source tells it.

        Example::

            account = await credentials.get_account_id()
        """
        return (await self.get_frozen_credentials()).account_id

    @property
    def account_id(self) -> NoReturn:
        """Not to be had without waiting: ``await get_account_id()``.

        Raises ``NotImplementedError``, as aiobotocore's does.

        Example::

            account = await credentials.get_account_id()
        """
        raise NotImplementedError(
            "missing call to self._refresh. Use get_frozen_credentials or get_account_id instead"
        )

    @account_id.setter
    def account_id(self, value: str | None) -> None:
        self._account_id = value

    async def _refresh(self) -> None:  # type: ignore[override]
        await AioRefreshableCredentials.get_frozen_credentials(self)

    async def _protected_refresh(self, is_mandatory: bool) -> None:  # type: ignore[override]
        try:
            await self.refresh_now()
        except Exception:
            if is_mandatory:
                raise

    async def _read_by_botocores_rules(self) -> Any:
        await self._refresh()
        return self._frozen_credentials

    # === Between aiobotocore's names and the drop-in for botocore ===

    def _forget(self) -> None:
        super()._forget()
        self._refresh_lock = asyncio.Lock()  # type: ignore[assignment]
        self._reading = SharedWait()
        self._refreshing = SharedWait()
        try:
            self._home = weakref.ref(asyncio.get_running_loop())
        except RuntimeError:
            pass  # Made before any loop: it belongs to the first one that reads it.

    def _begin_fetch(self) -> Callable[[], Any]:
        # A copy, since the function itself runs in the original, if there is one.
        context = (self._context or contextvars.Context()).copy()
        call = partial(running.call, super()._begin_fetch(), self._home(), self.attempt_timeout)
        return lambda: context.run(call)

    def __getstate__(self) -> dict[str, Any]:
        state = super().__getstate__()
        return {name: state[name] for name in state if name not in _OF_THIS_PROCESS}


class AioDeferredRefreshableCredentials(  # pyright: ignore[reportIncompatibleMethodOverride]
    AioRefreshableCredentials,
    credentials.DeferredRefreshableCredentials,
    _AioDeferredRefreshableCredentials,
):
    """aiobotocore's ``AioDeferredRefreshableCredentials``: the first read fetches a session.

    The arguments are those of ``rolekeeper.DeferredRefreshableCredentials``; ``refresh_using`` may
    be async.

    Example::

        session._credentials = AioDeferredRefreshableCredentials(refresh, "sts-assume-role")
    """
