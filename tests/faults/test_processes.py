"""Processes that end, fork or lose whoever listened to them, in the middle of a fetch."""

from __future__ import annotations

import os
import signal
import sys
import time
from contextlib import suppress
from typing import TYPE_CHECKING

import pytest
from faces import PROGRAMS, Agent, Exec, Face, Watch, Wheel, Writer
from words import within
from world import ROLE, wait_for

if TYPE_CHECKING:
    from collections.abc import Callable

    from world import World

# Seconds.
LIFE = 6
# A fetch that hangs takes 10 s, so what ends sooner did not wait for it.
SOON = 6

TERMINATED = -signal.SIGTERM


def that_hangs(world: World, start: Callable[[], Face], lifetime: int = 8) -> Face:
    """A face that has a session, and now waits for STS, which has stopped answering."""
    sandbox = world.sandbox(lifetime)
    kept = start()
    kept.first()
    sandbox.set_faults(only=["AssumeRole"], hang=True)
    # Its refresh point is a quarter of its life from its beginning, and has gone by.
    time.sleep(lifetime * 0.45)
    return kept


def ended(kept: Face) -> tuple[int, float]:
    begun = time.monotonic()
    kept.program.signal(signal.SIGTERM)
    status = kept.program.ends()
    took = time.monotonic() - begun
    assert took < SOON, f"{took:.1f} s"
    return status, took


@pytest.mark.fault(
    "SIGTERM in the middle of a fetch that hangs",
    face="agent",
    expected="it ends well, at once",
)
def test_an_agent_ends_in_the_middle_of_a_fetch(world: World, seen: Callable[[str], None]) -> None:
    status, took = ended(that_hangs(world, lambda: Agent(world)))
    assert status == 0
    seen(f"status 0, {within(took)}")


@pytest.mark.fault(
    "SIGTERM in the middle of a fetch that hangs",
    face="write",
    expected="it ends well, at once, and leaves the file whole",
)
def test_a_writer_ends_in_the_middle_of_a_fetch(world: World, seen: Callable[[str], None]) -> None:
    writer = Writer(world) if world.sandbox(8) else None
    assert writer
    that_hangs(world, lambda: writer)
    status, took = ended(writer)
    assert status == 0
    session, why = writer.ask()
    assert session, why
    assert [path.name for path in writer.file.parent.iterdir()] == [writer.file.name]
    seen(f"status 0, {within(took)}; the file has the last session")


@pytest.mark.fault(
    "SIGTERM in the middle of a fetch that hangs",
    face="exec",
    expected="its program gets the signal; it ends as that does, at once",
)
def test_exec_ends_with_its_program_in_the_middle_of_a_fetch(
    world: World, seen: Callable[[str], None]
) -> None:
    status, took = ended(that_hangs(world, lambda: Exec(world)))
    assert status == 128 + signal.SIGTERM
    seen(f"status 143, {within(took)}")


@pytest.mark.fault(
    "SIGTERM in the middle of a fetch that hangs",
    face="wheel",
    expected="the program ends as any Python program does, at once",
)
def test_a_python_program_ends_in_the_middle_of_a_fetch(
    world: World, seen: Callable[[str], None]
) -> None:
    status, took = ended(that_hangs(world, lambda: Wheel(world)))
    assert status == TERMINATED
    seen(f"ended by the signal, {within(took)}")


@pytest.mark.fault(
    "a program comes to its end in the middle of a fetch that hangs",
    face="wheel",
    expected="it ends well, at once",
)
def test_a_python_program_that_is_done_does_not_wait_for_a_fetch(
    world: World, seen: Callable[[str], None]
) -> None:
    wheel = that_hangs(world, lambda: Wheel(world))
    begun = time.monotonic()
    wheel.program.stdin.close()
    assert wheel.program.ends() == 0
    took = time.monotonic() - begun
    assert took < SOON, f"{took:.1f} s"
    assert wheel.program.said() == ""
    seen(f"status 0, {within(took)}")


@pytest.mark.fault(
    "`kill -9` of `rolekeeper exec`",
    face="exec",
    expected="its program lives on; its next read is refused at once",
)
def test_the_program_of_an_exec_that_was_killed_lives_on(
    world: World, seen: Callable[[str], None]
) -> None:
    world.sandbox(3600)
    kept = Exec(world)
    kept.first()
    kept.program.signal(signal.SIGKILL)
    kept.program.ends()
    read = kept.read()
    assert read.session is None
    assert "refused" in read.why.lower(), read.why
    assert read.took < 5
    os.kill(kept.child, 0)
    # It reads stdin until that ends.
    kept.program.stdin.close()
    wait_for("its end", lambda: not _is_there(kept.child))
    seen(f"refused {within(read.took)}; the program goes on")


def _is_there(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


@pytest.mark.fault(
    "a program forks again and again while STS is down, in the middle of its fetches",
    face="wheel",
    expected="parent and children read the session that there is, and all have new ones after it",
)
def test_forks_during_an_outage_all_have_sessions_after_it(
    world: World, seen: Callable[[str], None]
) -> None:
    sandbox = world.sandbox(24)
    words = [sys.executable, str(PROGRAMS / "forking.py"), sandbox.role_arn(ROLE)]
    program = world.start(words)
    assert program.line() == "ready"
    sandbox.set_faults(only=["AssumeRole"], hang=True)
    # Past its refresh point: a fetch is under way, and hangs.
    time.sleep(8)
    program.stdin.write(b"fork\n")
    program.stdin.flush()
    assert program.line() == "forked"
    sandbox.clear_faults()
    program.stdin.write(b"read\n")
    program.stdin.flush()
    told = program.line()
    assert told == "9 of 9 read a new session", f"{told}: {program.said()}"
    program.stdin.close()
    assert program.ends() == 0
    seen("parent and 8 children had the session, and then a new one each")


class Log:
    """A pipe that a program's log goes into, and of which this is the other end."""

    def __init__(self, world: World) -> None:
        self.path = world.home / "log.pipe"
        os.mkfifo(self.path)
        # Both ends, so that opening one waits for nobody.
        self.ours = os.open(self.path, os.O_RDWR | os.O_NONBLOCK)

    def around(self) -> list[str]:
        return ["sh", "-c", 'exec "$@" 2>"$0"', str(self.path)]

    def fill(self) -> None:
        """Nobody reads it, and it is full."""
        for size in (1 << 12, 1):
            with suppress(BlockingIOError):
                while True:
                    os.write(self.ours, b"x" * size)

    def close(self) -> None:
        """Nobody reads it any more: whoever writes is told so."""
        os.close(self.ours)


@pytest.mark.fault(
    "whoever read its log has gone (EPIPE)",
    face="{face}",
    expected="it serves and refreshes as before",
)
@pytest.mark.parametrize("face", [Agent.name, Exec.name])
def test_it_goes_on_when_nobody_reads_its_log_any_more(
    world: World, seen: Callable[[str], None], face: str
) -> None:
    sandbox = world.sandbox(LIFE)
    log = Log(world)
    kept: Face = (
        Agent(world, around=log.around()) if face == Agent.name else Exec(world, *log.around())
    )
    old = kept.first()
    log.close()
    with Watch(kept) as watch:
        second, _ = kept.fresh(than=old)
        # What goes wrong is told, too.
        sandbox.fail(next=2)
        kept.fresh(than=second)
        time.sleep(LIFE)
    watch.assert_unnoticed()
    seen("no read failed, for as long as a session lives and longer")


@pytest.mark.fault(
    "nobody reads its log, which is a pipe, and full",
    face="agent",
    expected="it serves and refreshes as before",
)
def test_an_agent_goes_on_when_its_log_is_full(world: World, seen: Callable[[str], None]) -> None:
    world.sandbox(LIFE)
    log = Log(world)
    agent = Agent(world, around=log.around())
    old = agent.first()
    log.fill()
    with Watch(agent) as watch:
        second, _ = agent.fresh(than=old)
        agent.fresh(than=second)
        time.sleep(LIFE)
    watch.assert_unnoticed()
    status, _ = ended(agent)
    assert status == 0
    log.close()
    seen("no read failed, for as long as a session lives and longer")
