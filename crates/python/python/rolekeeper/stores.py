"""The stores that sessions are shared through: one of a kind in each process."""

from __future__ import annotations

import os
import weakref

from rolekeeper._rolekeeper import Store

__all__ = ["store_of"]

# What the commands read too.
_PLACE = "ROLEKEEPER_STORE"
_KEY_FILE = "ROLEKEEPER_STORE_KEY_FILE"
_KEY = "ROLEKEEPER_STORE_KEY"

_OPEN: weakref.WeakValueDictionary[tuple[str | None, ...], Store] = weakref.WeakValueDictionary()


def store_of(place: str | None, key_file: str | None) -> Store | None:
    """The store that was asked for, here or by the environment; None if none was.

    Raises:
        ConfigurationError: no such store can be opened.
    """
    place = place if place is not None else os.environ.get(_PLACE) or "none"
    if place == "none":
        return None
    key = None
    if place == "file":
        # It has a key of its own: a fleet's is for where hosts meet.
        key_file = None
    else:
        key_file = key_file or os.environ.get(_KEY_FILE) or None
        key = None if key_file else os.environ.get(_KEY) or None
    # A folder that is named relatively, or by the home, is another where those are others.
    where = os.environ.get("XDG_CACHE_HOME"), os.environ.get("HOME")
    known = (place, key_file, key, *where)
    store = _OPEN.get(known)
    if store is None:
        # Of two threads that come at once, one's is kept.
        store = _OPEN.setdefault(known, Store.open(place, key_file=key_file, key=key))
    return store
