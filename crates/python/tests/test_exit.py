"""The interpreter ends at once and without a word, whatever is under way."""

from __future__ import annotations

import time

import pytest

from processes import run, succeeds

# What an end takes beyond the interpreter's own start and end, at most; in seconds. It is far
# above the 0.1 s that it should take, for machines that are busy.
LIMIT = 10.0
# Races show seldom.
TIMES = 10

MOMENTS = (
    "idle",
    "read_on_demand",
    "function_never_returns",
    "daemon_threads_wait",
    "daemon_threads_read",
    "daemon_threads_fail",
    "read_at_exit",
    "read_after_the_end",
    "sys_exit",
    "sys_exit_on_a_thread_that_reads",
    "os_exit",
    "in_a_cycle",
    "in_a_thread_local",
    "observer_runs",
    "observer_is_busy",
    "opened_just_now",
    "thread_starts",
    "dropped_while_it_fetches",
)


@pytest.mark.parametrize("moment", MOMENTS)
def test_the_interpreter_ends_at_once_and_silently(moment: str) -> None:
    for _ in range(TIMES):
        assert succeeds("exits.py", moment, limit=LIMIT) == ""


def test_an_unhandled_exception_is_all_that_is_told() -> None:
    done = run("exits.py", "unhandled", limit=LIMIT)
    assert done.returncode == 1
    assert done.stderr.startswith("Traceback")
    assert done.stderr.endswith("LookupError: on purpose\n")
    assert done.stderr.count("Traceback") == 1


def test_the_end_waits_for_nobody_who_waits() -> None:
    """Four threads wait for a function that never returns: they hold up the end for a beat."""
    took = []
    for _ in range(5):
        began = time.monotonic()
        succeeds("exits.py", "daemon_threads_wait")
        both = time.monotonic() - began
        began = time.monotonic()
        succeeds("exits.py", "idle")
        took.append(both - (time.monotonic() - began))
    assert min(took) < 1.0


def test_a_sub_interpreter_is_told_that_it_cannot_have_the_native_side() -> None:
    said = succeeds("exits.py", "sub_interpreter")
    assert "ImportError" in said
