"""The same for asyncio: for aioboto3, and for aiobotocore by itself.

Example::

    import rolekeeper.aio

    session = rolekeeper.aio.Session(
        role_arn="arn:aws:iam::123456789012:role/etl", region_name="us-east-1"
    )
    async with session.client("rds") as db:  # valid for days
        ...

``Session`` is an ``aioboto3.Session`` where aioboto3 is installed, and ``AioSession``, an
``aiobotocore.session.AioSession``, where it is not. Nothing here blocks an event loop; the loop is
asyncio's (aiobotocore's clients over anyio and trio have credentials classes of their own).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .aioboto3_session import Session as Session
    from .credentials import (
        AioDeferredRefreshableCredentials as AioDeferredRefreshableCredentials,
    )
    from .credentials import AioRefreshableCredentials as AioRefreshableCredentials
    from .session import AioSession as AioSession

_HOMES = {
    "AioDeferredRefreshableCredentials": "credentials",
    "AioRefreshableCredentials": "credentials",
    "AioSession": "session",
    "Session": "aioboto3_session",
}

__all__ = [
    "AioDeferredRefreshableCredentials",
    "AioRefreshableCredentials",
    "AioSession",
    "Session",
]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module
    from importlib.util import find_spec

    home, attribute = _HOMES[name], name
    if name == "Session" and find_spec("aioboto3") is None:
        home, attribute = "session", "AioSession"
    value = getattr(import_module(f"{__name__}.{home}"), attribute)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return __all__
