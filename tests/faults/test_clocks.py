"""Clocks that are set, and a machine that sleeps, as the C library tells them (`faketime`).

The command that is tested asks the C library for the time; but for that it is the one that people
have, which asks the kernel.
"""

from __future__ import annotations

import os
import time
from typing import TYPE_CHECKING

import pytest
from faces import Agent, Face, Watch, Writer
from system import Clock
from words import within
from world import wait_for

if TYPE_CHECKING:
    from collections.abc import Callable

    from session import Read
    from world import World

COMMAND = "ROLEKEEPER_FAULTS_LIBC_COMMAND"

# Seconds.
LIFE = 8
DAY = 86_400

# The clock that a program sees is looked up once a second; then there is a second to notice a step.
NOTICED = 2.5

FACES: dict[str, type[Agent | Writer]] = {face.name: face for face in (Agent, Writer)}


def started(world: World, face: str, clock: Clock, *, sleeps: bool) -> Face:
    environment = clock.environment(sleeps=sleeps)
    return FACES[face](world, command=os.environ[COMMAND], **environment)


def outlived(reads: list[Read]) -> list[Read]:
    """Those that got a session that had ended by the true clock: it lives so long from when it was
    first seen, or from somewhat before that."""
    first_seen: dict[str, float] = {}
    dead = []
    for read in reads:
        if read.session:
            begun = first_seen.setdefault(read.session.key, read.sent)
            if read.sent > begun + LIFE:
                dead.append(read)
    return dead


@pytest.mark.needs("faketime")
@pytest.mark.fault(
    "the wall clock is set {way} by a day",
    face="{face}",
    expected="no dead session is served, and no reader is without one",
)
@pytest.mark.parametrize(("way", "step"), [("forward", DAY), ("back", -DAY)])
@pytest.mark.parametrize("face", FACES)
def test_a_clock_that_is_set_costs_nobody_a_session(
    world: World, seen: Callable[[str], None], face: str, way: str, step: int
) -> None:
    world.sandbox(LIFE)
    clock = Clock(world)
    kept = started(world, face, clock, sleeps=False)
    kept.first()
    with Watch(kept) as watch:
        clock.set(step)
        # Until what was held has ended, and what came after it too.
        time.sleep(2 * LIFE)
        last = kept.read().session
        assert last and world.accepts(last)
        # It is told in the terms of the clock that its readers have.
        assert 0 < last.expiration - clock.now() < LIFE + 2, way
        refused = len(watch.failed)
    assert refused == 0, watch.failed[0].why
    assert not outlived(watch.reads)
    keys = {read.session.key for read in watch.reads if read.session}
    assert len(keys) >= 3
    seen("no read failed, no session was served past its end")


@pytest.mark.needs("faketime")
@pytest.mark.fault(
    "the machine sleeps for two hours: both clocks go on, timers and programs stand still",
    face="{face}",
    expected="the dead session is not served; a new one within seconds",
)
@pytest.mark.parametrize("face", FACES)
def test_a_machine_that_slept_serves_no_session_of_before(
    world: World, seen: Callable[[str], None], face: str
) -> None:
    sandbox = world.sandbox(3600)
    clock = Clock(world)
    kept = started(world, face, clock, sleeps=True)
    old = kept.first()
    with Watch(kept) as watch:
        sandbox.advance(2 * 3600)
        clock.set(2 * 3600)
        woken = time.time()
        new = wait_for("a session of after the sleep", lambda: _other(kept, old.key))
        took = time.time() - woken
        assert world.accepts(new)
        time.sleep(1)
    late = [read for read in watch.reads if read.sent > woken + NOTICED]
    assert took < 20
    if face == Agent.name:
        assert not watch.failed, watch.failed[0].why
        dead = [read for read in late if read.session and read.session.key == old.key]
        assert not dead
    seen(f"a new session {within(took)} after it woke")


def _other(kept: Face, key: str):  # type: ignore[no-untyped-def]
    found = kept.read().session
    return found if found and found.key != key else None
