"""Runs the single-purpose programs in ``programs/``: they fork, get signals and end in bad moments,
which pytest's own process had better not.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import rolekeeper

PROGRAMS = Path(__file__).parent / "programs"
PACKAGE = Path(rolekeeper.__file__).parent.parent

# Far above what any program needs; one that is over it hangs.
LIMIT = 60.0


def run(program: str, *words: str, limit: float = LIMIT) -> subprocess.CompletedProcess[str]:
    """What came of a program, which is killed after `limit` seconds."""
    try:
        return subprocess.run(
            [sys.executable, str(PROGRAMS / program), *words],
            check=False,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=limit,
            env=environment(),
        )
    except subprocess.TimeoutExpired as late:
        raise AssertionError(
            f"{program} {' '.join(words)} hangs; it said: {late.stdout!r} {late.stderr!r}"
        ) from None


def succeeds(program: str, *words: str, limit: float = LIMIT) -> str:
    """What a program said that ends well and complains of nothing."""
    done = run(program, *words, limit=limit)
    assert done.returncode == 0, f"exit {done.returncode}: {done.stdout}{done.stderr}"
    assert done.stderr == "", done.stderr
    return done.stdout


def environment() -> dict[str, str]:
    """This process's, with the package, the programs and what the tests share to be found."""
    found = os.pathsep.join(map(str, (PACKAGE, PROGRAMS, PROGRAMS.parent)))
    return {**os.environ, "PYTHONPATH": found, "PYTHONUNBUFFERED": "1"}
