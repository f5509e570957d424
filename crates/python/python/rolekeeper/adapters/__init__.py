"""One object feeds the rest of the ecosystem: polars, obstore, s3fs, pyarrow, DuckDB, programs.

Each module here serves one package, which is imported only when it is used. All of them take
whatever gives credentials: a `rolekeeper.Session`, a `rolekeeper.Role`, credentials of ours, or any
boto3 or botocore session or credentials. What others are told of a session's end is arranged so
that they come back for a newer one in time.

Example::

    import polars
    import rolekeeper

    session = rolekeeper.Session(role_arn="arn:aws:iam::123456789012:role/etl")
    provider = rolekeeper.adapters.polars.credential_provider(session)
    frame = polars.scan_parquet("s3://bucket/*.parquet", credential_provider=provider)
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from . import aiobotocore as aiobotocore
    from . import duckdb as duckdb
    from . import environment as environment
    from . import fsspec as fsspec
    from . import obstore as obstore
    from . import polars as polars
    from . import process as process
    from . import pyarrow as pyarrow

__all__ = [
    "aiobotocore",
    "duckdb",
    "environment",
    "fsspec",
    "obstore",
    "polars",
    "process",
    "pyarrow",
]


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    return import_module(f"{__name__}.{name}")


def __dir__() -> list[str]:
    return __all__
