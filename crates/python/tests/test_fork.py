"""A process may fork at any moment: its child's first read works, and so does everything after."""

from __future__ import annotations

import statistics

import pytest

from processes import succeeds

SOURCES = ("native", "function")


@pytest.mark.parametrize("source", SOURCES)
@pytest.mark.parametrize(
    "moment", ["unopened", "idle", "fetching_first", "refreshing", "own_refresher", "own_clock"]
)
def test_child_grandchild_and_parent_go_on_after_a_fork(moment: str, source: str) -> None:
    succeeds("forks.py", moment, source)


@pytest.mark.parametrize("source", SOURCES)
def test_children_forked_without_pause_all_read(source: str) -> None:
    succeeds("forks.py", "storm", source, "200", limit=120)


def test_no_child_hangs_whose_parent_calls_functions_all_the_time() -> None:
    """CPython up to 3.11 forks with a lock of its own taken, if a thread enters at that moment."""
    succeeds("forks.py", "among_callbacks", "function", "300", limit=120)


@pytest.mark.parametrize("source", SOURCES)
@pytest.mark.parametrize("delay", [0.002, 0.005, 0.01, 0.02, 0.04])
def test_a_fork_within_the_very_first_fetch_leaves_nothing_half_made(
    source: str, delay: float
) -> None:
    for _ in range(4):
        succeeds("forks.py", "at_the_start", source, str(delay))


def test_the_function_that_makes_sessions_may_fork() -> None:
    succeeds("forks.py", "inside_the_function", "function")


def test_a_fork_during_a_refresh_costs_the_child_less_than_a_second() -> None:
    took = [float(succeeds("forks.py", "first_read", "function")) for _ in range(5)]
    assert statistics.median(took) < 1.0
