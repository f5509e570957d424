"""The rules of refreshing as data: the cases that the core and both shells are run by, here by the
drop-in classes.
"""

from __future__ import annotations

import time

import pytest

from conformance_cases import Case, Step, all_cases, seconds, within
from conformance_face import INSTANT, LATE, Face

# A machine that stood still in the middle of a case says nothing of it: so often it is run again.
RUNS = 8

# Seconds after which what should happen never will.
PATIENCE = 3.0

# A callable tells no Date: its sessions live so much less than they say, and windows that are a share
# of a life are shorter too.
SHORT = 0.1

# What runs here at the least, so that it can't silently become nothing, and is left out at the most.
LEAST = 245
MOST_LEFT_OUT = 35

CASES = list(all_cases())
HERE = [case for case in CASES if "python" not in case.why_not]


class Wrong(AssertionError):
    """Something is not as its case says."""


def test_almost_all_cases_are_run() -> None:
    assert len(HERE) >= LEAST
    assert len(CASES) - len(HERE) <= MOST_LEFT_OUT
    assert all(reason for case in CASES for reason in case.why_not.values())


@pytest.mark.parametrize("case", HERE, ids=str)
def test_case(case: Case) -> None:
    for _ in range(RUNS):
        wrong, was_held_up = run(case)
        if wrong is None:
            return
        if not was_held_up:
            break
    pytest.fail(f"{case}: {wrong}", pytrace=False)


def run(case: Case) -> tuple[str | None, bool]:
    """What is wrong, if anything, and whether the machine was too slow to tell."""
    face = Face(case)
    was_held_up = False
    waiting = 0
    try:
        for number, step in enumerate(case.steps, start=1):
            for _ in range(step.repeat):
                try:
                    waiting = take(face, step, waiting)
                except Wrong as wrong:
                    return f"step {number}: {wrong}", was_held_up or face.was_held_up()
                was_held_up |= face.was_held_up()
    finally:
        face.close()
    return None, was_held_up


def take(face: Face, step: Step, waiting: int) -> int:
    """First time passes, then the world changes, then readers come; then it is looked at."""
    before = face.source.calls
    let_pass(face, step)
    if step.source is not None:
        face.tell_source(step.source)
    if step.reject is not None:
        held = face.facts().key
        face.reject(held or "nothing" if step.reject == "current" else step.reject)
    waiting = let_read(face, step, waiting)
    give_up = time.monotonic() + PATIENCE
    while True:
        try:
            look(face, step, before)
        except Wrong:
            # The refresher, on its own thread, may not have come to it yet.
            if time.monotonic() > give_up:
                raise
            time.sleep(0.001)
        else:
            return waiting


def let_pass(face: Face, step: Step) -> None:
    if step.pass_ is not None:
        face.let_pass(lapse(step.pass_))
    if step.to is not None:
        point = step.to.removeprefix("just before ")
        facts = face.facts()
        if point == "the next try":
            wait = facts.next_try
        elif point == "the refresh point":
            wait = facts.next_refresh
        else:
            wait = facts.remaining - seconds(point.removesuffix(" left")) + SHORT
        if wait is None or wait < 0:
            raise Wrong(f"expected {point} ahead, got {facts}")
        face.let_pass(max(0.0, wait - (INSTANT if point != step.to else 0.0)))
    if step.sleep is not None:
        face.sleep(seconds(step.sleep))
    if step.pause is not None:
        face.pause(seconds(step.pause))
    if step.step_wall is not None:
        face.step_wall(step.step_wall)


def lapse(text: str) -> float:
    if text == "an instant":
        return INSTANT
    whole = seconds(text.removeprefix("just under "))
    return max(0.0, whole - INSTANT) if text.startswith("just under ") else whole


def let_read(face: Face, step: Step, waiting: int) -> int:
    """Returns how many wait after it."""
    for expected in filter(None, (step.serves, step.refuses)):
        equal("a reader", expected, face.read())
    for _ in range(step.reads):
        face.read()
    if step.waits is not None:
        face.come(step.waits)
        waiting += step.waits
        equal("who wait", [True] * waiting, face.waiting())
    for expected in filter(None, (step.waiters_get, step.waiters_refused)):
        equal("all who wait", [expected] * waiting, face.come_back())
        waiting = 0
    return waiting


def look(face: Face, step: Step, before: int) -> None:
    facts = face.facts()
    if face.source.most_at_once > 1:
        raise Wrong(f"expected one call at a time, got {face.source.most_at_once}")
    for what, calls, value in (
        ("calls", step.calls, facts.calls),
        ("new calls", step.new_calls, facts.calls - before),
    ):
        if calls is not None and not within(calls, value):
            raise Wrong(f"{what}: expected {calls}, got {value}")
    for what, bounds, wait in (
        ("next try", step.next_try, facts.next_try),
        ("refresh in", step.refresh_in, facts.next_refresh),
        ("remaining", step.remaining, facts.remaining),
    ):
        is_so = (
            bounds is None
            or (wait is None and bounds == "never")
            or (
                wait is not None
                and bounds != "never"
                and within(bounds, wait, late=LATE, of=seconds)
            )
        )
        if not is_so:
            raise Wrong(f"{what}: expected {bounds}, got {wait}")
    if step.holds is not None:
        equal("what is held", step.holds, facts.key or "nothing")
    if step.last_error is not None:
        equal("the last error", step.last_error, facts.last_error or "none")
    if step.rejected is not None:
        equal("whether it is marked", step.rejected, facts.rejected)


def equal(what: str, expected: object, got: object) -> None:
    if expected != got:
        raise Wrong(f"{what}: expected {expected!r}, got {got!r}")
