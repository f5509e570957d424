"""AWS role sessions that never run out: a drop-in for boto3.

Example::

    import rolekeeper

    session = rolekeeper.Session(
        role_arn="arn:aws:iam::123456789012:role/etl", region_name="us-east-1"
    )
    db = session.client("rds")  # use this client for days: no need to make it again

Importing it is cheap: boto3 and botocore, both optional, are imported with the first class that
needs them, and no thread is started before there are credentials to keep.
"""

from __future__ import annotations

# Type checkers know the name; `typing` itself takes longer to import than all of this.
TYPE_CHECKING = False

if TYPE_CHECKING:
    from rolekeeper import adapters as adapters
    from rolekeeper import aio as aio
    from rolekeeper import testing as testing
    from rolekeeper._rolekeeper import __version__ as __version__
    from rolekeeper.credentials import (
        DeferredRefreshableCredentials as DeferredRefreshableCredentials,
    )
    from rolekeeper.credentials import RefreshableCredentials as RefreshableCredentials
    from rolekeeper.errors import BadAnswerError as BadAnswerError
    from rolekeeper.errors import ConfigurationError as ConfigurationError
    from rolekeeper.errors import DeniedError as DeniedError
    from rolekeeper.errors import Error as Error
    from rolekeeper.errors import NeedsPersonError as NeedsPersonError
    from rolekeeper.errors import UnavailableError as UnavailableError
    from rolekeeper.events import Event as Event
    from rolekeeper.identity import Identity as Identity
    from rolekeeper.role import Role as Role
    from rolekeeper.session import Session as Session
    from rolekeeper.session import assume_role as assume_role

# Where each public name stands; a module of its own has the name None.
_HOMES: dict[str, tuple[str, str | None]] = {
    "BadAnswerError": ("rolekeeper.errors", "BadAnswerError"),
    "ConfigurationError": ("rolekeeper.errors", "ConfigurationError"),
    "DeferredRefreshableCredentials": ("rolekeeper.credentials", "DeferredRefreshableCredentials"),
    "DeniedError": ("rolekeeper.errors", "DeniedError"),
    "Error": ("rolekeeper.errors", "Error"),
    "Event": ("rolekeeper.events", "Event"),
    "Identity": ("rolekeeper.identity", "Identity"),
    "NeedsPersonError": ("rolekeeper.errors", "NeedsPersonError"),
    "RefreshableCredentials": ("rolekeeper.credentials", "RefreshableCredentials"),
    "Role": ("rolekeeper.role", "Role"),
    "Session": ("rolekeeper.session", "Session"),
    "UnavailableError": ("rolekeeper.errors", "UnavailableError"),
    "__version__": ("rolekeeper._rolekeeper", "__version__"),
    "adapters": ("rolekeeper.adapters", None),
    "aio": ("rolekeeper.aio", None),
    "assume_role": ("rolekeeper.session", "assume_role"),
    "testing": ("rolekeeper.testing", None),
}

__all__ = [
    "BadAnswerError",
    "ConfigurationError",
    "DeferredRefreshableCredentials",
    "DeniedError",
    "Error",
    "Event",
    "Identity",
    "NeedsPersonError",
    "RefreshableCredentials",
    "Role",
    "Session",
    "UnavailableError",
    "__version__",
    "adapters",
    "aio",
    "assume_role",
    "testing",
]


def __getattr__(name: str) -> object:
    try:
        module_name, attribute = _HOMES[name]
    except KeyError:
        raise AttributeError(f"module 'rolekeeper' has no attribute {name!r}") from None
    from importlib import import_module

    module = import_module(module_name)
    value = module if attribute is None else getattr(module, attribute)
    globals()[name] = value  # From the next time on this function is not asked.
    return value


def __dir__() -> list[str]:
    return __all__
