"""No file descriptor is left: those who are connected are served, and nobody runs in circles."""

from __future__ import annotations

import socket
import subprocess
import time
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from faces import Agent, Watch, Wheel
from test_network import through_a_proxy
from words import within
from world import wait_for

if TYPE_CHECKING:
    from collections.abc import Callable

    from world import World

# Seconds.
LIFE = 12
FLOOD = 6

# Of its own an agent has some 20.
LIMIT = 64

# Of a processor, while there is nothing to do but to say no.
MOST_BUSY = 0.25


def held(pid: int) -> set[int]:
    """The descriptors that it has."""
    return {int(path.name) for path in Path(f"/proc/{pid}/fd").iterdir()}


def limit(pid: int, number: int) -> None:
    subprocess.run(["prlimit", f"--pid={pid}", f"--nofile={number}:"], check=True)


def leave_none(pid: int) -> None:
    """The limit is lowered to the first number that is free."""

    def at_rest() -> set[int] | None:
        before = held(pid)
        time.sleep(0.5)
        return before if held(pid) == before else None

    numbers = wait_for("connections to be closed", at_rest)
    limit(pid, next(number for number in count() if number not in numbers))


@pytest.mark.fault(
    "programs open more connections than there are file descriptors, and keep them",
    face="agent",
    expected="who is connected is served, sessions are refreshed, no busy loop; all is well after it",
)
def test_a_flood_of_connections_harms_nobody_who_is_connected(
    world: World, seen: Callable[[str], None]
) -> None:
    proxy = through_a_proxy(world, LIFE)
    agent = Agent(world, around=["prlimit", f"--nofile={LIMIT}:{LIMIT}"])
    old = agent.first()
    read = agent.reader()
    assert read()[0]
    host, port = agent.address.rsplit(":", 1)
    flood = [socket.create_connection((host, int(port))) for _ in range(2 * LIMIT)]
    try:
        # The next fetch needs a connection of its own.
        proxy.cut()
        cpu, begun = agent.program.cpu_seconds(), time.monotonic()
        keys = set()
        while time.monotonic() < begun + FLOOD:
            session, why = read()
            assert session, why
            assert session.is_live()
            keys.add(session.key)
            time.sleep(0.05)
        busy = (agent.program.cpu_seconds() - cpu) / (time.monotonic() - begun)
        assert busy < MOST_BUSY, f"{busy:.0%} of a processor"
        assert keys != {old.key}, "it was refreshed meanwhile"
        lines = agent.program.said().splitlines()
        told = [line for line in lines if "accept" in line]
        assert len(told) <= 2, told[:3]
    finally:
        for connection in flood:
            connection.close()
    begun = time.monotonic()
    session = agent.first()
    assert world.accepts(session)
    took = time.monotonic() - begun
    seen(f"no read failed, refreshed meanwhile; a new reader is served {within(took)} after it")


@pytest.mark.fault(
    "the limit of file descriptors is lowered to what is in use, and raised again",
    face="agent",
    expected="who is connected is served, it is told once, no busy loop; a new session after it",
)
def test_no_descriptor_at_all_costs_no_session_that_lives(
    world: World, seen: Callable[[str], None]
) -> None:
    proxy = through_a_proxy(world, LIFE)
    agent = Agent(world)
    agent.first()
    read = agent.reader()
    assert read()[0]
    # The next fetch needs a connection of its own.
    proxy.cut()
    leave_none(agent.program.pid)
    old, why = read()
    assert old, why
    host, port = agent.address.rsplit(":", 1)
    # In the backlog, where it stays.
    waiting = socket.create_connection((host, int(port)))
    cpu, begun = agent.program.cpu_seconds(), time.monotonic()
    while time.monotonic() < begun + FLOOD:
        session, why = read()
        assert session, why
        assert session.key == old.key
        time.sleep(0.05)
    busy = (agent.program.cpu_seconds() - cpu) / (time.monotonic() - begun)
    assert busy < MOST_BUSY, f"{busy:.0%} of a processor"
    told = [line for line in agent.program.said().splitlines() if "cannot accept" in line]
    assert len(told) == 1, told[:3]
    waiting.close()
    limit(agent.program.pid, 1024)
    new, took = agent.fresh(than=old)
    assert world.accepts(new)
    seen(f"no read failed, told once; a new session {within(took)} after it")


@pytest.mark.fault(
    "the program that it is part of has used up its file descriptors",
    face="wheel",
    expected="the session is served while it lives; a new one when there are descriptors again",
)
def test_a_program_without_descriptors_has_its_session(
    world: World, seen: Callable[[str], None]
) -> None:
    proxy = through_a_proxy(world, LIFE)
    wheel = Wheel(world, "prlimit", "--nofile=256:256")
    wheel.first()
    # The next fetch needs a connection of its own, and the old one's descriptor is taken too.
    proxy.cut()
    wait_for("connections to be closed", lambda: proxy.is_idle)
    time.sleep(0.5)
    wheel.tell("exhaust")
    old = wheel.first()
    with Watch(wheel) as watch:
        # Its refresh point, at a quarter of its life, has gone by.
        time.sleep(FLOOD)
        found = wheel.read().session
        assert found and found.key == old.key, "there is nothing to fetch it with"
        wheel.tell("let_go")
        _, took = wheel.fresh(than=old)
    watch.assert_unnoticed()
    seen(f"no read failed; a new session {within(took)} after there were some again")


@pytest.mark.fault(
    "a program's very first read finds no file descriptor left",
    face="wheel",
    expected="an error that says so; the next read after that works",
)
def test_a_first_read_without_descriptors_says_so(
    world: World, seen: Callable[[str], None]
) -> None:
    world.sandbox(3600)
    wheel = Wheel(world, "prlimit", "--nofile=256:256")
    assert "open files" in wheel.tell("exhaust")["why"]
    read = wheel.read()
    assert read.session is None
    wheel.tell("let_go")
    begun = time.monotonic()
    session = wait_for("a session", lambda: wheel.read().session)
    assert world.accepts(session)
    took = time.monotonic() - begun
    assert "Error" in read.why, read.why
    seen(f"an error {within(read.took)}; a session {within(took)} after there were some again")
