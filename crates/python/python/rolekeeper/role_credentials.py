"""The credentials object of a ``Session``: botocore's class, with a role that is kept natively."""

from __future__ import annotations

import weakref
from collections.abc import Callable
from datetime import datetime, timezone
from typing import TYPE_CHECKING, Any, NoReturn

from rolekeeper import _botocore
from rolekeeper.credentials import DeferredRefreshableCredentials
from rolekeeper.errors import UnavailableError
from rolekeeper.events import Listeners
from rolekeeper.recipe import Recipe
from rolekeeper.upkeep import RecipeKeeper

if TYPE_CHECKING:
    from typing_extensions import Self

__all__ = ["RoleCredentials"]


class RoleCredentials(RecipeKeeper, DeferredRefreshableCredentials):
    """What ``session.get_credentials()`` gives, and all of the session's clients sign with.

    botocore's private attributes follow the session that is kept; nothing here makes it.

    Example::

        key, secret, token = session.get_credentials().get_frozen_credentials()[:3]
    """

    def __init__(self, recipe: Recipe, listeners: Listeners) -> None:
        method = "assume-role" if recipe.web_identity_token_file is None else _WEB_IDENTITY
        # botocore's own name for what makes a session. Weak: it belongs to these credentials.
        self._begin(_refetch(weakref.ref(self)), method, _botocore.local_now, None, None)
        self.refresh_mode = recipe.refresh
        self.attempt_timeout = self.read_deadline = recipe.time
        self._prepare(recipe, listeners)

    def _start(self, *, reopen: bool = False) -> None:
        if self._is_closed:
            super()._start()
        self._open_as_set(observer=self._listeners, store=self._store, reopen=reopen)

    def _freeze(
        self, access_key: str, secret_key: str, token: str | None, account_id: str | None
    ) -> _botocore.ReadOnlyCredentials:
        frozen = _botocore.freeze(access_key, secret_key, token, account_id)
        status = self._status()
        end = None if status is None or status.expiration is None else status.expiration
        # Not by assignment: that is how others say that they know better.
        vars(self).update(
            _access_key=access_key,
            _secret_key=secret_key,
            _token=token,
            _account_id=account_id,
            _expiry_time=None if end is None else datetime.fromtimestamp(end, timezone.utc),
            _frozen_credentials=frozen,
        )
        return frozen

    # A session is what is pickled and copied: it makes credentials of its own.

    def __reduce__(self) -> NoReturn:
        raise TypeError("pickle the rolekeeper session, not its credentials")

    def __copy__(self) -> Self:
        return type(self)(self._recipe, Listeners())

    def __deepcopy__(self, memo: dict[int, Any]) -> Self:
        return self.__copy__()


_WEB_IDENTITY = "assume-role-with-web-identity"


def _refetch(weak: weakref.ref[RoleCredentials]) -> Callable[[], dict[str, Any]]:
    def refetch() -> dict[str, Any]:
        credentials = weak()
        if credentials is None:
            raise UnavailableError("nobody holds these credentials any more")
        credentials.refresh_now()
        return {
            "access_key": credentials._access_key,
            "secret_key": credentials._secret_key,
            "token": credentials._token,
            "expiry_time": credentials._expiry_time,
            "account_id": credentials._account_id,
        }

    return refetch
