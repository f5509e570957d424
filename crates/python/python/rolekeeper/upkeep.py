"""What anybody may know of a session that is kept fresh, and do about it.

The same for ``Session`` and ``Role``.
"""

from __future__ import annotations

from datetime import datetime, timezone
from typing import TYPE_CHECKING, TypeVar, cast

from rolekeeper._rolekeeper import Keeper, Store
from rolekeeper.errors import ConfigurationError, Error, UnavailableError
from rolekeeper.events import Listener, Listeners
from rolekeeper.recipe import Recipe

if TYPE_CHECKING:
    from typing_extensions import Self

__all__ = ["RecipeKeeper", "Upkeep"]

_Listener = TypeVar("_Listener", bound=Listener)


class RecipeKeeper(Keeper):
    """Keeps a session that is made by a recipe. The first read opens it: before, there is no
    thread, and nobody has been called."""

    _recipe: Recipe
    _listeners: Listeners
    _store: Store | None
    _is_closed: bool = False

    def _prepare(self, recipe: Recipe, listeners: Listeners) -> None:
        """Checks everything that can be checked without calling anybody."""
        self._recipe = recipe
        self._listeners = listeners
        self._make_source, self._region = recipe.prepared()
        self._store = recipe.opened_store()

    def _start(self, *, reopen: bool = False) -> None:
        if self._is_closed:
            raise UnavailableError(
                "the session has been closed", retryable=False, role_arn=self._recipe.role_arn
            )
        self._open(
            self._make_source(),
            mode=self._recipe.mode(),
            attempt_timeout=self._recipe.time,
            read_deadline=self._recipe.time,
            observer=self._listeners,
            store=self._store,
            reopen=reopen,
        )

    def _ensure_open(self) -> None:
        if not self._is_open:
            self._start()


class Upkeep:
    """A session that is kept fresh. Nothing here waits, but for what says so."""

    @property
    def _keeper(self) -> RecipeKeeper:
        raise NotImplementedError

    @property
    def role_arn(self) -> str | None:
        """The role's ARN; None if a profile names it, and it has not been assumed yet.

        Example::

            print(session.role_arn)
        """
        return self._keeper._recipe.role_arn

    @property
    def expiration(self) -> datetime | None:
        """When the session that is held ends (aware, UTC); None before the first read.

        It moves: long before the end, the session is replaced by a newer one.

        Example::

            print(f"until {session.expiration:%H:%M} UTC")
        """
        status = self._keeper._status()
        if status is None or status.expiration is None:
            return None
        return datetime.fromtimestamp(status.expiration, timezone.utc)

    @property
    def remaining(self) -> float:
        """The seconds that the session that is held still has; 0.0 if there is none.

        Example::

            assert session.remaining > 60
        """
        status = self._keeper._status()
        return 0.0 if status is None else status.remaining

    @property
    def generation(self) -> int:
        """How many sessions there have been: 0 before the first read, one more with each.

        Example::

            print(f"refreshed {session.generation - 1} times")
        """
        status = self._keeper._status()
        return 0 if status is None else status.generation

    @property
    def last_error(self) -> Error | None:
        """Why the last fetch failed; None if it did not.

        While a session is valid, readers don't notice a failure: here it is told, and to
        ``on_event``, and in the log.

        Example::

            if session.last_error is not None:
                print(f"still on the old session: {session.last_error}")
        """
        status = self._keeper._status()
        return None if status is None else cast("Error | None", status.last_error)

    def refresh_now(self) -> None:
        """Fetches a session now, and waits for it: at most 30 s, 120 s if a person is asked.

        There is no need to call it: sessions are refreshed by themselves. It is for finding out
        at a program's start that the role can be assumed.

        Raises:
            Error: there is no new session, and why. One that is still valid is kept.

        Example::

            session.refresh_now()
        """
        self._opened()._refresh_now()

    def rejected(self, access_key_id: str) -> None:
        """Says that a service refused this access key: the next read gets a newer session.

        Does nothing if there is a newer one already. For sessions that die early, since somebody
        has revoked them.

        Example::

            key = session.get_credentials().get_frozen_credentials().access_key
            try:
                db.describe_db_instances()
            except ClientError as error:
                if error.response["Error"]["Code"] == "ExpiredToken":
                    session.rejected(key)
        """
        self._keeper.rejected(access_key_id)

    def on_event(self, listener: _Listener) -> _Listener:
        """Tells ``listener`` of every :class:`Event <rolekeeper.events.Event>` from now on.

        It is called on a thread of its own, with one event after the other. What it raises is
        logged, and harms nothing.

        Example::

            @session.on_event
            def count(event):
                statistics.increment(f"rolekeeper.{event.kind}")
        """
        if not callable(listener):
            raise ConfigurationError(
                f"on_event was given a {type(listener).__name__}",
                hint="give a function that takes an event",
            )
        self._keeper._listeners.add(listener)
        return listener

    def close(self) -> None:
        """Stops refreshing and forgets the session; later reads raise an Error.

        A session that nobody holds any more stops by itself.

        Example::

            session.close()
        """
        self._keeper._is_closed = True
        self._keeper._close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    # === for those who build on it ===

    def _opened(self) -> RecipeKeeper:
        """The keeper, at work."""
        keeper = self._keeper
        keeper._ensure_open()
        return keeper

    def _describe(self) -> str:
        status = self._keeper._status()
        name = self.role_arn or (status and status.name) or "the environment's profile"
        if status is None or status.access_key is None:
            return f"{name}, no session yet"
        minutes, seconds = divmod(int(status.remaining), 60)
        return f"{name}, {minutes}:{seconds:02} min remaining"
