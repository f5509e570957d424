"""The cases of ``tests/conformance/cases``, which the Rust faces are run by too, in Python's terms."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib  # pytest stands on it there.

CASES = Path(__file__).parents[3] / "tests" / "conformance" / "cases"

_UNITS = {"h": 3600.0, "min": 60.0, "s": 1.0, "ms": 0.001}
_LENGTH = re.compile(r"(\d+ (h|min|s|ms))( \d+ (h|min|s|ms))*")


@dataclass(frozen=True)
class Case:
    """One case, for one of its rows and one of its policies."""

    file: str
    row: dict[str, Any]
    name: str
    policy: str
    steps: list[Step]
    settings: dict[str, Any] = field(default_factory=dict)
    source: dict[str, Any] = field(default_factory=lambda: {"lives": "1 h"})
    why_not: dict[str, str] = field(default_factory=dict)
    seeds: int | None = None

    def __str__(self) -> str:
        row = ", ".join(f"{name} = {value}" for name, value in self.row.items())
        return f"{self.file}: {self.name} [{', '.join(filter(None, (self.policy, row)))}]"


@dataclass(frozen=True)
class Step:
    """What the fields mean stands in the folder's README.md."""

    repeat: int = 1

    # Time passes.
    pass_: str | None = None
    to: str | None = None
    sleep: str | None = None
    pause: str | None = None
    step_wall: str | None = None

    # The world changes.
    source: dict[str, Any] | None = None
    reject: str | None = None

    # Readers come.
    serves: str | None = None
    refuses: str | None = None
    waits: int | None = None
    reads: int = 0
    waiters_get: str | None = None
    waiters_refused: str | None = None

    # It is looked at.
    calls: int | str | None = None
    new_calls: int | str | None = None
    next_try: str | None = None
    refresh_in: str | None = None
    remaining: str | None = None
    holds: str | None = None
    last_error: str | None = None
    rejected: bool | None = None


def all_cases() -> Iterator[Case]:
    for path in sorted(CASES.glob("*.toml")):
        with path.open("rb") as file:
            table = tomllib.load(file)
        for case in table["case"]:
            rows = case.pop("rows", [{}])
            for row in rows:
                filled = _fill(case, row)
                steps = [_step(step) for step in filled.pop("steps")]
                for policy in filled.pop("policies"):
                    yield Case(file=path.name, row=row, policy=policy, steps=steps, **filled)


def _step(raw: dict[str, Any]) -> Step:
    named = {("pass_" if name == "pass" else name): value for name, value in raw.items()}
    unknown = named.keys() - {known.name for known in fields(Step)}
    assert not unknown, f"unknown keys: {unknown}"
    return Step(**named)


def _fill(value: Any, row: dict[str, Any]) -> Any:
    """Puts a row's values where the case has their names."""
    if isinstance(value, dict):
        return {name: _fill(part, row) for name, part in value.items()}
    if isinstance(value, list):
        return [_fill(part, row) for part in value]
    if not isinstance(value, str):
        return value
    if value.startswith("$") and value[1:] in row:
        return row[value[1:]]
    return re.sub(r"\$(\w+)", lambda name: str(row[name[1]]), value)


def seconds(text: str) -> float:
    """``89 min 59 s``"""
    assert _LENGTH.fullmatch(text), f"{text!r} is no length of time"
    words = text.split()
    return sum(
        int(number) * _UNITS[unit] for number, unit in zip(words[::2], words[1::2], strict=True)
    )


def within(
    bounds: int | str, value: float, *, late: float = 0, of: Callable[[str], float] = float
) -> bool:
    """Whether ``value`` is what a case says; ``late`` is what time may have gone by."""
    text = str(bounds)
    if text.startswith("at least "):
        return value >= of(text.removeprefix("at least ")) - late
    if text.startswith("at most "):
        return value <= of(text.removeprefix("at most "))
    least, _, most = text.partition(" to ")
    return of(least) - late <= value <= of(most or least)
