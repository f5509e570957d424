"""What anybody may know of a session for asyncio, and do about it: what waits is awaited."""

from __future__ import annotations

from typing import Any

from rolekeeper.aio.role_credentials import AioRoleCredentials
from rolekeeper.identity import Identity
from rolekeeper.upkeep import Upkeep


class AioUpkeep(Upkeep):
    """A session that is kept fresh. What waits is async; the rest is as for ``rolekeeper.Session``.

    Example::

        async with rolekeeper.aio.Session(role_arn=…) as session:
            ...
    """

    _credentials: Any

    @property
    def _keeper(self) -> AioRoleCredentials:
        keeper: AioRoleCredentials = self._credentials
        return keeper

    @property
    def refreshable_credentials(self) -> AioRoleCredentials:
        """The credentials that all clients of this session sign with: what ``get_credentials()``
        gives, an instance of aiobotocore's ``AioRefreshableCredentials``.

        Example::

            botocore_session._credentials = session.refreshable_credentials
        """
        return self._keeper

    async def refresh_now(self) -> None:  # type: ignore[override]
        """Fetches a session now; ``await`` it: at most 30 s, 120 s if a person is asked.

        There is no need to call it: sessions are refreshed by themselves. It is for finding out
        at a program's start that the role can be assumed.

        Raises:
            Error: there is no new session, and why. One that is still valid is kept.

        Example::

            await session.refresh_now()
        """
        await self._keeper.refresh_now()

    def _sts(self) -> Any:
        """A client of this session's own, to be entered."""
        raise NotImplementedError

    async def whoami(self) -> Identity:
        """Who STS says this session is: one GetCallerIdentity, signed by the session itself.

        Raises:
            Error: there is no session, and why.
            botocore.exceptions.ClientError, …: as from any other client's call.

        Example::

            print((await session.whoami()).arn)
        """
        async with self._sts() as sts:
            answer = await sts.get_caller_identity()
        return Identity(answer["Account"], answer["Arn"], answer["UserId"])

    async def __aenter__(self) -> Any:
        return self

    async def __aexit__(self, *_: object) -> None:
        self.close()
