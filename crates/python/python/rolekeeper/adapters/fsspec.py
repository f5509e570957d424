"""fsspec and s3fs: storage options for pandas, dask, zarr and whatever else opens ``s3://``."""

from __future__ import annotations

from importlib import import_module
from typing import Any

from rolekeeper.adapters.aiobotocore import session

__all__ = ["filesystem", "storage_options"]


def storage_options(source: object, **options: Any) -> dict[str, Any]:
    """What s3fs takes as its arguments, and fsspec, pandas and dask as ``storage_options``.

    They hold an aiobotocore session that reads ``source`` for each request. Pickled, as dask does,
    they carry the recipe of ``source`` and no secret, if ``source`` can be pickled.

    Args:
        source: anything that gives credentials: see `rolekeeper.adapters`.
        options: further arguments of ``s3fs.S3FileSystem``, such as ``endpoint_url``.

    Raises:
        ConfigurationError: ``source`` gives no credentials.

    Example::

        frame = pandas.read_csv("s3://bucket/a.csv", storage_options=storage_options(job))
    """
    return {**options, "session": session(source)}


def filesystem(source: object, **options: Any) -> Any:
    """An ``s3fs.S3FileSystem`` that can be used for as long as the program runs.

    The arguments and the errors are those of `storage_options`.

    Example::

        s3 = filesystem(job)
        with s3.open("bucket/a.csv") as file:
            ...
    """
    return import_module("s3fs").S3FileSystem(**storage_options(source, **options))
