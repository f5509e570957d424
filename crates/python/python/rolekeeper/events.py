"""What becomes of a session, told to people's callbacks and to the logger ``rolekeeper``.

A callback that raises is logged and harms nothing: neither the session nor the other callbacks.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime, timezone
from typing import TYPE_CHECKING, Literal, TypeAlias, cast

if TYPE_CHECKING:
    from rolekeeper._rolekeeper import Event as NativeEvent
    from rolekeeper.errors import Error

__all__ = ["Event", "EventKind", "Listener", "Listeners"]

EventKind: TypeAlias = Literal["fetched", "failed", "rejected", "expired", "adopted", "let-go"]

logger = logging.getLogger("rolekeeper")


@dataclass(frozen=True)
class Event:
    """One thing that happened to a session. It holds no secret.

    Attributes:
        kind: ``"fetched"`` (there is a new session), ``"failed"`` (a fetch failed), ``"rejected"``
            (a service refused the session), ``"expired"`` (it ended, and there is no newer one),
            ``"adopted"`` (another process fetched one for us), ``"let-go"`` (nobody read it).
        role: the role's ARN, or the name of another source.
        at: when it happened (aware, UTC).
        generation: how many sessions there have been, this one included.
        remaining: the seconds that the session that is held is still valid; 0.0 if none is.
        expiration: when the new session ends (aware, UTC); None unless there is a new one.
        error: why the fetch failed; None unless it did.
        access_key: the access key id that was refused; None unless one was.

    Example::

        def alarm(event: rolekeeper.Event) -> None:
            if event.kind == "failed" and event.remaining < 600:
                page_somebody(f"{event.role}: {event.error}")

        session = rolekeeper.Session(role_arn=…, on_event=alarm)
    """

    kind: EventKind
    role: str
    at: datetime
    generation: int
    remaining: float
    expiration: datetime | None = None
    error: Error | None = None
    access_key: str | None = None

    @classmethod
    def of(cls, event: NativeEvent) -> Event:
        """The native side's event, in Python's terms."""
        return cls(
            kind=event.kind,
            role=event.name,
            at=_utc(event.at),
            generation=event.generation,
            remaining=event.remaining,
            expiration=None if event.expiration is None else _utc(event.expiration),
            error=cast("Error | None", event.error),
            access_key=event.access_key,
        )


Listener: TypeAlias = Callable[[Event], object]


class Listeners:
    """Those who want to know of one session's events. The native side calls it, one at a time.

    It knows nothing of the session, so that a session that nobody holds any more can go.
    """

    def __init__(self, listeners: Iterable[Listener] = ()) -> None:
        self._listeners = list(listeners)

    def add(self, listener: Listener) -> None:
        """Tells ``listener`` of every event from now on."""
        self._listeners.append(listener)

    def remove(self, listener: Listener) -> None:
        """Tells ``listener`` no more; one that is not told does not matter."""
        self._listeners = [each for each in self._listeners if each is not listener]

    def __call__(self, event: NativeEvent) -> None:
        told = Event.of(event)
        _log(told)
        for listener in tuple(self._listeners):
            try:
                listener(told)
            except Exception:
                logger.exception("%s: a listener failed at the event %r", told.role, told.kind)


def _log(event: Event) -> None:
    role = event.role
    if event.kind in ("fetched", "adopted"):
        until = "its end" if event.expiration is None else event.expiration.isoformat()
        logger.info("%s: session %d (%s) lasts until %s", role, event.generation, event.kind, until)
    elif event.kind == "failed":
        left = f"{event.remaining:.0f} s"
        held = f"the one held is valid for {left} more" if event.remaining else "none is held"
        logger.warning("%s: no new session, and %s: %s", role, held, event.error)
    elif event.kind == "rejected":
        logger.warning("%s: a service refused the session %s", role, event.access_key)
    elif event.kind == "expired":
        logger.error("%s: session %d has ended, and there is no newer one", role, event.generation)
    else:
        logger.info("%s: nobody reads session %d: it is let go", role, event.generation)


def _utc(epoch: float) -> datetime:
    return datetime.fromtimestamp(epoch, timezone.utc)
