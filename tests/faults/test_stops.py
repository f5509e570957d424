"""Processes that are stopped for longer than a session lives (SIGSTOP), and go on (SIGCONT): what
a laptop that sleeps does to all of them."""

from __future__ import annotations

import signal
import threading
import time
from typing import TYPE_CHECKING

import pytest
from faces import Agent, Exec, Face, Watch, Wheel, Writer
from words import within

if TYPE_CHECKING:
    from collections.abc import Callable

    from session import Read
    from world import World

# Seconds.
LIFE = 4
# Also longer than any fetch may take: what was fetched before it is known to be as old as that.
STOP = 12

FACES = {face.name: face for face in (Agent, Exec, Wheel)}


@pytest.mark.fault(
    "it is stopped for longer than a session lives (SIGSTOP), then goes on",
    face="{face}",
    expected="who asked meanwhile waits, and has a new session; nobody has the dead one",
)
@pytest.mark.parametrize("face", FACES)
def test_whoever_asks_one_that_was_stopped_has_no_dead_session(
    world: World, seen: Callable[[str], None], face: str
) -> None:
    world.sandbox(LIFE)
    kept: Face = FACES[face](world)
    old = kept.first()
    kept.program.stop()
    # Asked in its sleep, and answered after it.
    asked: list[Read] = []
    asker = threading.Thread(target=lambda: asked.append(kept.read()), daemon=True)
    asker.start()
    time.sleep(STOP)
    assert not old.is_live() and not asked
    kept.program.go_on()
    begun = time.time()
    asker.join(30)
    first = asked[0]
    took = first.sent + first.took - begun
    assert first.session, first.why
    assert not first.session.is_dead_at(begun)
    assert world.accepts(first.session)
    with Watch(kept) as watch:
        kept.fresh(than=first.session)
    watch.assert_unnoticed()
    seen(f"the first answer, a live session, came {within(took)} after it went on")


@pytest.mark.fault(
    "it is stopped for longer than a session lives (SIGSTOP), then goes on",
    face="write",
    expected="the file has a new session within seconds",
)
def test_a_file_has_a_new_session_after_its_writer_was_stopped(
    world: World, seen: Callable[[str], None]
) -> None:
    world.sandbox(LIFE)
    writer = Writer(world)
    old = writer.first()
    writer.program.stop()
    time.sleep(STOP)
    assert writer.read().is_dead, "nobody else writes it"
    writer.program.go_on()
    new, took = writer.fresh(than=old)
    assert world.accepts(new)
    seen(f"written {within(took)} after it went on")


@pytest.mark.fault(
    "STS is stopped (SIGSTOP): connections are taken, and nobody answers",
    face="{face}",
    expected="the session is served, at once, while it lives",
)
@pytest.mark.parametrize("face", FACES)
def test_nobody_notices_that_the_service_is_stopped(
    world: World, seen: Callable[[str], None], face: str
) -> None:
    sandbox = world.sandbox(20)
    kept: Face = FACES[face](world)
    old = kept.first()
    with Watch(kept) as watch:
        service = sandbox._process
        service.send_signal(signal.SIGSTOP)
        # Its refresh point, at a quarter of its life, has gone by.
        time.sleep(8)
        service.send_signal(signal.SIGCONT)
        _, took = kept.fresh(than=old)
    watch.assert_unnoticed()
    seen(f"no read failed; a new session {within(took)} after STS went on")
