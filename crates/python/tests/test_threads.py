"""Threads: those that read through one object, those that get signals, those that are not there."""

from __future__ import annotations

import signal
import statistics

import pytest

from processes import run, succeeds


@pytest.mark.parametrize("what", ["while_sessions_change", "all_wait_for_one", "recursion"])
def test_one_object_serves_all_threads(what: str) -> None:
    assert succeeds("reads.py", what) == ""


@pytest.mark.parametrize(
    "what",
    [
        "no_thread_at_import",
        "no_thread_before_the_first_read",
        "no_thread_on_demand",
        "threads_end",
    ],
)
def test_there_are_no_threads_but_those_that_work(what: str) -> None:
    assert succeeds("reads.py", what) == ""


@pytest.mark.parametrize("what", ["interrupt", "interrupt_refresh_now", "alarm"])
def test_a_signal_is_heard_within_200_ms_of_a_wait(what: str) -> None:
    took = [float(succeeds("signals.py", what)) for _ in range(3)]
    assert statistics.median(took) < 0.2


@pytest.mark.parametrize(
    "what", ["handler_reads", "handler_raises", "handler_forks", "another_thread_waits"]
)
def test_signal_handlers_run_in_the_middle_of_a_wait(what: str) -> None:
    assert succeeds("signals.py", what) == ""


def test_sigterm_kills_at_once_by_default() -> None:
    done = run("signals.py", "killed", limit=20)
    assert done.returncode == -signal.SIGTERM
    assert done.stderr == ""
