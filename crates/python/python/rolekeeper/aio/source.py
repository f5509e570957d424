"""AssumeRole through an aiobotocore session's own STS client."""

from __future__ import annotations

import asyncio
import weakref
from collections.abc import Callable, Mapping
from functools import partial
from importlib import import_module
from typing import Any

from rolekeeper import sdk_source
from rolekeeper.aio import running
from rolekeeper.origins import SdkSession
from rolekeeper.parameters import Parameters

__all__ = ["AioSdkAssumeRole"]

# Seconds for the whole call; a fetch that takes longer is given up anyhow.
_TIMEOUT = 30.0


class AioSdkAssumeRole:
    """Makes sessions of one role: call it for one, on a thread that runs no loop.

    The client lives for one call, and on the loop that the session belongs to if there is one: a
    session of aiobotocore's is not for use from two loops at a time.
    """

    def __init__(
        self,
        origin: SdkSession,
        parameters: Parameters,
        mfa_token: Callable[[], str] | None,
        place: Mapping[str, str | None],
    ) -> None:
        self._session = origin.session
        self._request = parameters.request()
        self._mfa_token = mfa_token
        self._place = place
        self._home: Callable[[], asyncio.AbstractEventLoop | None] = lambda: None
        try:
            self._home = weakref.ref(asyncio.get_running_loop())
        except RuntimeError:
            pass

    def __call__(self) -> tuple[Any, ...]:
        request = {"RoleSessionName": sdk_source.session_name(), **self._request}
        if self._mfa_token is not None:
            request["TokenCode"] = self._mfa_token()
        asked = running.call(partial(self._assume_role, request), self._home(), _TIMEOUT)
        return sdk_source.answer(asked)

    async def _assume_role(self, request: dict[str, Any]) -> Mapping[str, Any]:
        config = import_module("aiobotocore.config").AioConfig(**sdk_source.CLIENT_CONFIG)
        async with self._session.create_client("sts", config=config, **self._place) as sts:
            answer: Mapping[str, Any] = await sts.assume_role(**request)
        return answer
