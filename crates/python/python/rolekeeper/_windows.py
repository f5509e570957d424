"""When the drop-in classes begin to refresh: botocore's two windows, under botocore's names.

botocore's own 900 and 600 seconds are only shown: the engine keeps to them where somebody has set
them, and to its table by the session's lifetime where nobody has.
"""

from __future__ import annotations

import math
from numbers import Real
from typing import Any, Protocol, overload

from rolekeeper import _botocore
from rolekeeper.errors import ConfigurationError

_SHORT_LIFE = 20 * 60
_LONG_LIFE = 90 * 60


class _Holder(Protocol):
    @property
    def refresh_policy(self) -> str: ...
    def _lifetime(self) -> float | None: ...


class Window:
    """A window's length in seconds of remaining time, as instances and classes show it.

    What an instance was given; else, under ``sdk-standard``, the one in force for the session that
    is held; else botocore's number.
    """

    def __init__(self) -> None:
        self._name = ""
        self._default: float = 0

    def __set_name__(self, owner: type, name: str) -> None:
        self._name = name
        self._default = _of_botocore(name)

    @overload
    def __get__(self, instance: None, owner: type) -> float: ...
    @overload
    def __get__(self, instance: _Holder, owner: type | None = None) -> float: ...
    def __get__(self, instance: _Holder | None, owner: type | None = None) -> float:
        if instance is None:
            return _of_botocore(self._name)
        if self._name in vars(instance):
            given: float = vars(instance)[self._name]
            return given
        lifetime = None
        if instance.refresh_policy == "sdk-standard" and self.set_for_all() is None:
            lifetime = instance._lifetime()  # pyright: ignore[reportPrivateUsage]
        return _of_botocore(self._name) if lifetime is None else _in_force(self._name, lifetime)

    def __set__(self, instance: _Holder, value: float) -> None:
        vars(instance)[self._name] = value

    def set_for_all(self) -> float | None:
        """What somebody has put in place of botocore's number, on botocore's own class."""
        now = _of_botocore(self._name)
        return None if now == self._default else now


def given(instance: object, name: str) -> float | None:
    """The window that somebody set, on the instance or on a class; None leaves it to the engine.

    Raises ``ConfigurationError`` if that is not a number of seconds.
    """
    if name in vars(instance):
        return seconds(name, vars(instance)[name])
    found: Any = next(vars(base)[name] for base in type(instance).__mro__ if name in vars(base))
    value = found.set_for_all() if isinstance(found, Window) else found
    return None if value is None else seconds(name, value)


def seconds(name: str, value: object) -> float:
    """``value``, if it is a length of time."""
    if not isinstance(value, bool) and isinstance(value, Real):
        length = float(value)
        if 0 <= length < math.inf:
            return length
    raise ConfigurationError(f"{name} is {value!r}: give a number of seconds, 0 or more")


def _of_botocore(name: str) -> float:
    value: float = getattr(_botocore.RefreshableCredentials, name)
    return value


def _in_force(name: str, lifetime: float) -> float:
    if name == "_mandatory_refresh_timeout":
        return 60
    if lifetime <= _SHORT_LIFE:
        return 5 * 60
    return 15 * 60 if lifetime < _LONG_LIFE else 60 * 60
