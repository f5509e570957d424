"""pyarrow: file systems for ``pyarrow.dataset``, ``pyarrow.parquet`` and their like.

Arrow's own ``S3FileSystem`` takes keys when it is made and never asks for newer ones; there is no
way in for others. So there are two ways: a file system that lasts, whose bytes go through s3fs, and
Arrow's own, which is good for a job that is over before its session is.
"""

from __future__ import annotations

from importlib import import_module
from typing import Any

from rolekeeper.adapters._reader import Reader

__all__ = ["filesystem", "short_lived_filesystem"]


def filesystem(source: object, **options: Any) -> Any:
    """A ``pyarrow.fs.PyFileSystem`` that lasts: each request is signed with the newest session of ``source``.

    The bytes go through s3fs, which is slower than Arrow's own reader.

    Args:
        source: anything that gives credentials: see `rolekeeper.adapters`.
        options: arguments of ``s3fs.S3FileSystem``, such as ``endpoint_url``.

    Raises:
        ConfigurationError: ``source`` gives no credentials.

    Example::

        data = pyarrow.dataset.dataset("bucket/events/", filesystem=filesystem(session))
    """
    from rolekeeper.adapters.fsspec import filesystem as through_s3fs

    arrow = import_module("pyarrow.fs")
    return arrow.PyFileSystem(arrow.FSSpecHandler(through_s3fs(source, **options)))


def short_lived_filesystem(source: object, **options: Any) -> Any:
    """Arrow's own ``S3FileSystem`` with the session that ``source`` has now.

    **It stops working when that session ends**, in an hour or less. Make one for each piece of
    work; for the longest time, call ``session.refresh_now()`` first.

    Args:
        source: anything that gives credentials: see `rolekeeper.adapters`.
        options: further arguments of ``pyarrow.fs.S3FileSystem``, such as ``endpoint_override``.

    Raises:
        ConfigurationError: ``source`` gives no credentials.

    Example::

        for day in days:
            table = pyarrow.parquet.read_table(
                f"bucket/{day}.parquet", filesystem=short_lived_filesystem(session)
            )
    """
    reader = Reader(source)
    newest = reader.read()
    if "region" not in options and reader.region is not None:
        options["region"] = reader.region
    return import_module("pyarrow.fs").S3FileSystem(
        access_key=newest.access_key,
        secret_key=newest.secret_key,
        session_token=newest.token,
        **options,
    )
