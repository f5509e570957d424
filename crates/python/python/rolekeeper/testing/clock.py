"""A clock for tests: real time plus what the test adds, for rolekeeper and its sandbox alike."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rolekeeper import _rolekeeper

if TYPE_CHECKING:
    from types import TracebackType

    from typing_extensions import Self

    from .sandbox import Sandbox


class SimulatedClock:
    """The clock that sessions are judged by, while it is installed.

    It goes on with real time; `advance` adds to it. Installed (by the fixture ``rolekeeper_clock``
    or a ``with`` block), it is the clock of every session and credentials object that is made
    *from then on* and was not given a clock of its own. Others keep theirs.

    Args:
        sandbox: is moved along by `advance`, so that client and server agree on which sessions
            are over.

    Example:
        >>> with SimulatedClock() as clock:                                 # doctest: +SKIP
        ...     session = rolekeeper.Session(role_arn=…)
        ...     clock.advance(3600)
    """

    def __init__(self, sandbox: Sandbox | None = None) -> None:
        self._clock = _rolekeeper.Clock()
        self._sandbox = sandbox
        self._added = 0.0
        self._told = 0

    def advance(self, seconds: float) -> None:
        """Lets time pass, at once: sessions age, background refreshes that fall due begin.

        Args:
            seconds: 0 or more. The sandbox counts whole seconds: it lags by less than one, and so
                never refuses a session that the client still takes for good.

        Raises:
            ValueError: negative, or not a number.

        Example:
            >>> clock.advance(session.remaining + 1)                        # doctest: +SKIP
        """
        if not 0 <= seconds < float("inf"):
            raise ValueError(f"time passes forwards: seconds must be 0 or more, not {seconds!r}")
        self._added += seconds
        whole = int(self._added) - self._told
        # The sandbox first: what a refresh fetches right after must not be aged as well.
        if self._sandbox is not None and whole:
            self._sandbox.advance(whole)
        self._told += whole
        self._clock.advance(seconds)

    def step_wall(self, seconds: int) -> None:
        """Steps the wall clock alone, forwards or (negative) backwards, as somebody who sets it.

        No time has passed, so no session ages.

        Args:
            seconds: by how many whole seconds.

        Example:
            >>> clock.step_wall(-7200)                                      # doctest: +SKIP
        """
        self._clock.step_wall(seconds)

    def time(self) -> float:
        """The wall clock, as `time.time`: seconds since 1970."""
        return self._clock.time()

    def install(self) -> None:
        """Makes it the clock of what is made from now on."""
        _rolekeeper.set_default_clock(self._clock)

    def uninstall(self) -> None:
        """What is made from now on has this machine's clocks again."""
        _rolekeeper.set_default_clock(None)

    def __enter__(self) -> Self:
        self.install()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.uninstall()
