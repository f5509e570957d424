"""Figures as the table says them: coarse, so that they are the same from run to run."""

from __future__ import annotations

_STEPS = (0.1, 0.5, 1, 2, 3, 5, 8, 12, 20, 30, 60)


def within(seconds: float) -> str:
    """Within the next round figure."""
    for step in _STEPS:
        if seconds <= step:
            return f"within {step:g} s"
    raise AssertionError(f"{seconds:.1f} s are nothing to be proud of")


def at_most(number: float, steps: tuple[int, ...] = (1, 2, 3, 5, 10, 20, 50, 100, 200)) -> str:
    return next(f"at most {step}" for step in steps if number <= step)
