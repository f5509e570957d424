"""polars reads S3 through session after session: ``polars_reads.py WHAT``, of these functions one.

In a process of its own: after its first look at a cloud, polars reads the environment again and
again on a thread of its own, and pytest writes it. In glibc before 2.41 that is a race that ends in
a segmentation fault.
"""

from __future__ import annotations

import json
import os
import sys
import time
import uuid
from types import SimpleNamespace
from typing import Any

import polars

import rolekeeper
from adapters_world import ROWS, World, world
from rolekeeper.adapters import _reader
from rolekeeper.adapters.polars import credential_provider

MOTO: Any = SimpleNamespace(**json.loads(os.environ["ROLEKEEPER_TEST_SERVER"]))


def parquet_and_csv_with_the_sessions_keys(s3: World) -> None:
    provider = credential_provider(s3.session)
    assert rows(s3, provider) == ROWS
    assert rows(s3, provider, "a.csv") == ROWS
    assert s3.gate.keys_since_last_asked() == {s3.key}


def on_when_the_session_has_changed(s3: World) -> None:
    provider = credential_provider(s3.session)
    assert rows(s3, provider) == ROWS
    for _ in range(2):
        _, told = provider()
        new = s3.end_the_session()
        wait_for_the_copys_end(told)
        assert rows(s3, provider) == ROWS
        assert s3.gate.keys_since_last_asked() == {new}


def by_a_second_session_of_the_same_recipe(s3: World) -> None:
    """polars shares connections between providers that look the same when pickled."""
    recipe: dict[str, Any] = {
        "role_arn": MOTO.role_arn,
        "region_name": "us-east-1",
        "source": (MOTO.access_key_id, MOTO.secret_access_key),
    }
    with rolekeeper.Session(**recipe) as first:
        provider = credential_provider(first)
        assert rows(s3, provider) == ROWS
        _, told = provider()
        s3.gate.revoke(provider()[0]["aws_access_key_id"])
    wait_for_the_copys_end(told)
    with rolekeeper.Session(**recipe) as second:
        assert rows(s3, credential_provider(second)) == ROWS


def rows(s3: World, provider: Any, name: str = "a.parquet") -> list[tuple[Any, ...]]:
    read: Any = polars.scan_parquet if name.endswith(".parquet") else polars.scan_csv
    options = {
        "aws_endpoint_url": s3.gate.endpoint_url,
        "aws_region": "us-east-1",
        "aws_allow_http": "true",
    }
    address = f"s3://{s3.bucket}/{name}"
    frame = read(address, credential_provider=provider, storage_options=options)
    return list(frame.collect().rows())


def wait_for_the_copys_end(told: float) -> None:
    """Till then polars may sign with the old key, and be refused."""
    while time.time() <= told:
        time.sleep(0.05)


if __name__ == "__main__":
    # polars' own clock can't be turned: so a copy is good for a second, and not a minute.
    _reader._LONGEST_COPY = _reader._SHORTEST_COPY
    with world(MOTO, f"test-{uuid.uuid4().hex}") as opened:
        globals()[sys.argv[1]](opened)
