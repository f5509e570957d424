"""DuckDB reads S3 through session after session, with its own httpfs."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

import rolekeeper
from adapters_world import NOBODY, ROWS, World, world
from rolekeeper.adapters.duckdb import secret

if TYPE_CHECKING:
    from servers import Moto

# The extension as PyPI has it: the one that DuckDB would download.
pytestmark = pytest.mark.needs(duckdb_extension_httpfs="1", pyarrow="1")

# Seconds until an event that must come counts as lost.
PATIENCE = 30


@pytest.fixture
def s3(moto: Moto, unique: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[World]:
    for name, value in NOBODY.items():
        monkeypatch.setenv(name, value)
    with world(moto, unique) as made:
        yield made


@pytest.fixture
def connection() -> Iterator[Any]:
    import duckdb
    import duckdb_extension_httpfs

    with duckdb.connect() as connected:
        home = Path(duckdb_extension_httpfs.__file__).parent
        (extension,) = home.rglob("httpfs.duckdb_extension")
        connected.execute(f"LOAD '{extension}'")
        yield connected


def settings(s3: World) -> dict[str, Any]:
    return {"endpoint": s3.gate.address, "url_style": "path", "use_ssl": False}


def rows(connection: Any, s3: World, name: str = "a.parquet") -> list[tuple[Any, ...]]:
    found = connection.execute(f"FROM 's3://{s3.bucket}/{name}' ORDER BY id").fetchall()
    return list(found)


def shown(connection: Any) -> str:
    (found,) = connection.execute("SELECT secret_string FROM duckdb_secrets()").fetchall()
    return str(found[0])


def after_the_next_session(session: rolekeeper.Session) -> threading.Event:
    """Set when all who listened before have been told of the next session."""
    told = threading.Event()
    session.on_event(lambda event: told.set() if event.kind == "fetched" else None)
    return told


def test_duckdb_reads_through_many_sessions(s3: World, connection: Any) -> None:
    secret(connection, s3.session, **settings(s3))
    assert rows(connection, s3) == ROWS
    assert rows(connection, s3, "a.csv") == ROWS
    assert s3.gate.keys_since_last_asked() == {s3.key}
    for _ in range(3):
        told = after_the_next_session(s3.session)
        new = s3.end_the_session()
        assert told.wait(PATIENCE)
        assert rows(connection, s3) == ROWS
        assert s3.gate.keys_since_last_asked() == {new}
    assert s3.gate.refused == 0


def test_a_secret_is_replaced_while_its_connection_is_at_work(s3: World, connection: Any) -> None:
    secret(connection, s3.session, **settings(s3))
    told = after_the_next_session(s3.session)
    working = connection.execute("SELECT range FROM range(100_000)")
    assert working.fetchone() == (0,)
    new = s3.end_the_session()
    assert told.wait(PATIENCE)
    assert working.fetchone() == (1,)
    assert new in shown(connection)


def test_the_secret_has_the_sessions_region_its_scope_and_name(s3: World, connection: Any) -> None:
    made = secret(connection, s3.session, name='a "name"', scope=f"s3://{s3.bucket}")
    (found,) = connection.execute("SELECT name, scope, persistent FROM duckdb_secrets()").fetchall()
    assert found == ('a "name"', [f"s3://{s3.bucket}"], False)
    assert "region=us-east-1" in shown(connection)
    assert made.name == 'a "name"'


def test_update_replaces_the_secret_of_a_source_that_tells_nobody(
    s3: World, connection: Any
) -> None:
    credentials: Any = s3.session.get_credentials()
    made = secret(connection, credentials, region="us-east-1", **settings(s3))
    assert not made.update()
    new = s3.end_the_session()
    assert made.update()
    assert rows(connection, s3) == ROWS
    assert s3.gate.keys_since_last_asked() == {new}


def test_a_closed_secret_is_gone_and_stays_gone(s3: World, connection: Any) -> None:
    with secret(connection, s3.session):
        pass
    told = after_the_next_session(s3.session)
    s3.end_the_session()
    assert told.wait(PATIENCE)
    assert connection.execute("FROM duckdb_secrets()").fetchall() == []


def test_a_closed_connection_ends_the_updates_without_a_word(
    s3: World, connection: Any, caplog: pytest.LogCaptureFixture
) -> None:
    secret(connection, s3.session)
    connection.close()
    told = after_the_next_session(s3.session)
    s3.end_the_session()
    assert told.wait(PATIENCE)
    assert [record for record in caplog.records if record.levelname in ("ERROR", "WARNING")] == []


def test_no_secret_shows(s3: World, connection: Any) -> None:
    made = secret(connection, s3.session)
    credentials: Any = s3.session.get_credentials()
    frozen = credentials.get_frozen_credentials()
    for hidden in (frozen.secret_key, frozen.token):
        assert hidden not in repr(made)
        assert hidden not in shown(connection)
