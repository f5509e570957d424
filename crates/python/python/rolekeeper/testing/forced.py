"""Sessions that end, and refreshes that fail, at the moment a test wants it."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, NoReturn

from rolekeeper._rolekeeper import Keeper

if TYPE_CHECKING:
    from collections.abc import Generator


def expire(credentials: Any) -> None:
    """Makes the session that it holds be over, now; the next read fetches another.

    Only for this object: other holders of the same session, and the service that issued it, take
    it for good still.

    Args:
        credentials: a `rolekeeper.Session` or `rolekeeper.aio.Session`, credentials of ours
            (`rolekeeper.RefreshableCredentials`, …), or a session of boto3's that has such.

    Raises:
        TypeError: it has no credentials of ours.

    Example:
        >>> session = rolekeeper.Session(role_arn=…)                        # doctest: +SKIP
        >>> s3 = session.client("s3")                                       # doctest: +SKIP
        >>> s3.list_buckets()                                               # doctest: +SKIP
        >>> expire(session)                                                 # doctest: +SKIP
        >>> s3.list_buckets()                                               # doctest: +SKIP
        >>> sandbox.counts().ok("AssumeRole")                               # doctest: +SKIP
        2
    """
    _keeper(credentials)._expire()


class FailingRefreshes:
    """What `fail_refreshes` gives: how often somebody tried.

    Attributes:
        attempts: how many fetches have failed by it so far.

    Example:
        >>> with fail_refreshes(session) as failing:                        # doctest: +SKIP
        ...     job.run_with(session)
        >>> assert failing.attempts <= 3                                    # doctest: +SKIP
    """

    def __init__(self, error: BaseException) -> None:
        self.attempts = 0
        self._error = error

    def fetch(self) -> NoReturn:
        """Stands in for the source: counts, and raises."""
        self.attempts += 1
        raise self._error


@contextmanager
def fail_refreshes(
    credentials: Any, error: BaseException | None = None
) -> Generator[FailingRefreshes]:
    """Within the ``with`` block, every fetch fails with this error; the source is not asked.

    What is held stays good until its end: combine it with `expire`, or the fixture
    ``rolekeeper_clock``, to see what your code does when there is nothing left.

    Args:
        credentials: as for `expire`.
        error: what the source raises. Default: a `rolekeeper.UnavailableError`, which is tried
            again; a `rolekeeper.DeniedError` is not.

    Raises:
        TypeError: it has no credentials of ours.

    Example:
        >>> session = rolekeeper.Session(role_arn=…)                        # doctest: +SKIP
        >>> with fail_refreshes(session, rolekeeper.DeniedError("gone")):   # doctest: +SKIP
        ...     expire(session)
        ...     with pytest.raises(rolekeeper.DeniedError):
        ...         session.client("s3").list_buckets()
        >>> session.client("s3").list_buckets()                             # doctest: +SKIP
    """
    if error is None:
        from rolekeeper.errors import UnavailableError

        error = UnavailableError("a test makes refreshes fail")
    keeper = _keeper(credentials)
    failing = FailingRefreshes(error)
    # Before the first read there is nothing yet whose fetches could fail.
    if not keeper._is_open:
        getattr(keeper, "_start", bool)()
    override = keeper._override
    override(failing.fetch)
    try:
        yield failing
    finally:
        override(None)


def _keeper(holder: Any) -> Keeper:
    """What keeps the session: it, or what it has where boto3, botocore and we have credentials."""
    for name in ("_session", "_credentials", "_keeper"):
        if isinstance(holder, Keeper):
            return holder
        holder = getattr(holder, name, holder)
    if isinstance(holder, Keeper):
        return holder
    raise TypeError(
        f"{type(holder).__name__} has no credentials of rolekeeper's: give a rolekeeper session, "
        "its credentials, or a boto3 session that was given such"
    )
