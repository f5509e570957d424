"""What the adapters' tests share: a bucket behind a gate, and a session that may read it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple, Protocol

from botocore.config import Config

import rolekeeper
from gate import Gate
from servers import REGION

CSV = b"id,name\n1,ann\n2,bob\n"
ROWS = [(1, "ann"), (2, "bob")]


class Server(Protocol):
    """What is asked of a server that is moto."""

    @property
    def endpoint_url(self) -> str: ...
    @property
    def role_arn(self) -> str: ...
    @property
    def access_key_id(self) -> str: ...
    @property
    def secret_access_key(self) -> str: ...


class World(NamedTuple):
    """A bucket with ``a.csv`` and ``a.parquet``, and who may read them."""

    gate: Gate
    session: rolekeeper.Session
    bucket: str

    @property
    def key(self) -> str:
        """The key of the session that is held."""
        credentials: Any = self.session.get_credentials()
        return str(credentials.get_frozen_credentials().access_key)

    def end_the_session(self) -> str:
        """A new session comes, and the one before is refused from now on; gives the new key."""
        old = self.key
        self.session.refresh_now()
        self.gate.revoke(old)
        assert self.key != old
        self.gate.keys_since_last_asked()
        return self.key


# What reads the environment on its own account finds nobody there.
NOBODY = {"AWS_ACCESS_KEY_ID": "nobody", "AWS_SECRET_ACCESS_KEY": "nobody"}


@contextmanager
def world(moto: Server, bucket: str) -> Iterator[World]:
    with (
        Gate(moto.endpoint_url) as gate,
        rolekeeper.Session(
            role_arn=moto.role_arn,
            region_name=REGION,
            source=(moto.access_key_id, moto.secret_access_key),
        ) as session,
    ):
        s3 = session.client(
            "s3", endpoint_url=gate.endpoint_url, config=Config(s3={"addressing_style": "path"})
        )
        s3.create_bucket(Bucket=bucket)
        s3.put_object(Bucket=bucket, Key="a.csv", Body=CSV)
        s3.put_object(Bucket=bucket, Key="a.parquet", Body=_parquet())
        gate.keys_since_last_asked()
        yield World(gate, session, bucket)


def _parquet() -> bytes:
    import pyarrow
    import pyarrow.parquet

    ids, names = zip(*ROWS, strict=True)
    sink = pyarrow.BufferOutputStream()
    pyarrow.parquet.write_table(pyarrow.table({"id": ids, "name": names}), sink)
    return bytes(sink.getvalue())
