"""The credentials object of the sessions for asyncio."""

from __future__ import annotations

import weakref
from collections.abc import Awaitable, Callable
from typing import Any

from rolekeeper.aio.credentials import AioDeferredRefreshableCredentials
from rolekeeper.errors import UnavailableError
from rolekeeper.events import Listeners
from rolekeeper.recipe import Recipe
from rolekeeper.role_credentials import RoleCredentials

__all__ = ["AioRoleCredentials"]


class AioRoleCredentials(  # pyright: ignore[reportIncompatibleMethodOverride]
    AioDeferredRefreshableCredentials, RoleCredentials
):
    """What ``await session.get_credentials()`` gives; all of the session's clients sign with it.

    Example::

        frozen = await (await session.get_credentials()).get_frozen_credentials()
    """

    def __init__(self, recipe: Recipe, listeners: Listeners) -> None:
        RoleCredentials.__init__(self, recipe, listeners)
        self._refresh_using = _refetch(weakref.ref(self))


def _refetch(weak: weakref.ref[AioRoleCredentials]) -> Callable[[], Awaitable[dict[str, Any]]]:
    async def refetch() -> dict[str, Any]:
        credentials = weak()
        if credentials is None:
            raise UnavailableError("nobody holds these credentials any more")
        await credentials.refresh_now()
        frozen = await credentials.get_frozen_credentials()
        return {**frozen._asdict(), "expiry_time": credentials._expiry_time}

    return refetch
