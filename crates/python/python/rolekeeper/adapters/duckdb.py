"""DuckDB: a secret for ``s3://`` that is replaced with each new session."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any

from rolekeeper.adapters._reader import Reader
from rolekeeper.upkeep import Upkeep

if TYPE_CHECKING:
    from types import TracebackType

    from duckdb import DuckDBPyConnection
    from typing_extensions import Self

    from rolekeeper.events import Event

__all__ = ["Secret", "secret"]


def secret(
    connection: DuckDBPyConnection, source: object, *, name: str = "rolekeeper", **settings: Any
) -> Secret:
    """A secret for ``s3://`` in the database of ``connection``, with the newest session.

    With a `rolekeeper.Session` or `rolekeeper.Role` as its source, the secret is replaced as soon
    as there is a new session, until the connection or the secret is closed; nobody has to hold the
    result. It is temporary: never written to the database's disk. DuckDB needs its extension
    ``httpfs`` for it.

    Args:
        connection: all connections to the same database use the secret.
        source: anything that gives credentials: see `rolekeeper.adapters`. Others than the two
            above tell nobody of new sessions: call `Secret.update` before a piece of work.
        name: the secret's name. A secret that has it already is replaced.
        settings: DuckDB's further settings of such a secret: ``scope``, ``region``, ``endpoint``,
            ``url_style``, ``use_ssl``, … ``region`` is by default the source's.

    Raises:
        ConfigurationError: ``source`` gives no credentials.
        Error: ``source`` has no session, and why.
        duckdb.Error: the extension is missing, or does not know a setting.

    Example::

        secret(connection, session, scope="s3://bucket")
        connection.sql("FROM 's3://bucket/*.parquet'")  # today, and in three weeks
    """
    made = Secret(connection, source, name, settings)
    if isinstance(source, Upkeep):
        source.on_event(_Follower(made))
    made.update()
    return made


class Secret:
    """A secret in a DuckDB database, made by `secret`. As a context manager, it ends with it.

    Example::

        with secret(connection, session) as s3_secret:
            print(s3_secret.name)
    """

    name: str
    """What ``duckdb_secrets()`` calls it."""

    def __init__(
        self, connection: DuckDBPyConnection, source: object, name: str, settings: dict[str, Any]
    ) -> None:
        self.name = name
        self._reader = Reader(source)
        region = self._reader.region
        self._settings = settings if region is None else {"region": region, **settings}
        # A cursor is a connection of its own, for the thread of the events: the other one may be
        # at work in another. It is closed with that one.
        self._cursor = connection.cursor()
        self._access_key: str | None = None
        # Two threads must not put the older session over the newer one.
        self._lock = threading.Lock()

    def update(self) -> bool:
        """Replaces the secret if there is a newer session, and tells whether there was one.

        It takes microseconds when there is nothing to do. Needed only for sources that tell nobody
        of new sessions, and for sessions that are refreshed on demand, as in AWS Lambda.

        Raises whatever the source raises if it has no session: for ours, ``rolekeeper.Error``.

        Example::

            s3_secret.update()
            connection.sql("FROM 's3://bucket/*.parquet'")
        """
        with self._lock:
            newest = self._reader.read()
            if newest.access_key == self._access_key:
                return False
            values = {
                "key_id": newest.access_key,
                "secret": newest.secret_key,
                "session_token": newest.token or "",
                **self._settings,
            }
            named = ", ".join(
                f"{_quoted(setting)} ${number}" for number, setting in _from_1(values)
            )
            # The values go as parameters: a statement's text may be logged.
            self._cursor.execute(
                f"CREATE OR REPLACE SECRET {_quoted(self.name)} (TYPE s3, {named})",
                list(values.values()),
            )
            self._access_key = newest.access_key
            return True

    def close(self) -> None:
        """Drops the secret, which is replaced no more.

        Example::

            s3_secret.close()
        """
        with self._lock:
            self._cursor.execute(f"DROP SECRET IF EXISTS {_quoted(self.name)}")
            self._cursor.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.name!r}, {self._reader.source!r})"


class _Follower:
    """Updates a secret at each new session. It holds the secret, and so its session, until the
    connection is closed."""

    def __init__(self, made: Secret) -> None:
        self._secret: Secret | None = made

    def __call__(self, event: Event) -> None:
        if self._secret is None or event.kind not in ("fetched", "adopted"):
            return
        import duckdb

        try:
            self._secret.update()
        except duckdb.ConnectionException:
            self._secret = None


def _from_1(values: dict[str, Any]) -> enumerate[str]:
    return enumerate(values, start=1)


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'
