"""A network between rolekeeper and STS that cuts, swallows, slows, garbles, halves, or never ends."""

from __future__ import annotations

import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from faces import Agent, Commands, Face, Watch, Wheel
from proxy import Proxy, Way
from system import knowing_names
from words import within
from world import wait_for

if TYPE_CHECKING:
    from collections.abc import Callable

    from session import Read
    from world import World

# Seconds. What is swallowed costs an attempt, which takes 10 s at most; the session outlives it.
LIFE = 20
FAULT = 3

WAYS = [way for way in Way if way is not Way.WHOLE]
FACES: dict[str, Callable[[World], Face]] = {face.name: face for face in (Agent, Wheel)}

# What an answer without an end may cost, in MB; an agent has some 10 by itself, Python some 40.
MOST_MEMORY = 40


def through_a_proxy(world: World, lifetime: int) -> Proxy:
    port = int(world.sandbox(lifetime).endpoint_url.rpartition(":")[2])
    proxy = world.enter(Proxy(port))
    world.point_at(proxy.url)
    return proxy


def most_memory(pid: int) -> float:
    """The most that it has had so far, in MB."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) / 1024 for line in lines if line.startswith("VmHWM"))


@pytest.mark.fault(
    "the network {way}",
    face="{face}",
    expected="nobody notices while the session lives; a new one when it is whole",
)
@pytest.mark.parametrize("way", WAYS, ids=lambda way: way.name.lower())
@pytest.mark.parametrize("face", FACES)
def test_nobody_notices_a_network_that_fails(
    world: World, seen: Callable[[str], None], face: str, way: Way
) -> None:
    proxy = through_a_proxy(world, LIFE)
    kept = FACES[face](world)
    kept.first()
    memory = most_memory(kept.program.pid)
    with Watch(kept) as watch:
        proxy.becomes(way)
        old = kept.read().session
        assert old
        wait_for("somebody to notice", lambda: proxy.taken or proxy.carried)
        time.sleep(FAULT)
        found = kept.read().session
        assert found and found.key == old.key, "nothing comes through"
        memory = most_memory(kept.program.pid) - memory
        proxy.becomes(Way.WHOLE)
        _, took = kept.fresh(than=old)
    watch.assert_unnoticed()
    assert memory < MOST_MEMORY, f"{memory:.0f} MB more"
    seen(f"no read failed; a new session {within(took)} after it was whole")


@pytest.mark.fault(
    "the network fails in any of these ways when a command begins, for 3 s",
    face="credential-process",
    expected="it waits for the network, and says why",
)
def test_a_command_waits_for_any_network(world: World, seen: Callable[[str], None]) -> None:
    through_a_proxy(world, 3600)
    reads: dict[Way, Read] = {}

    def run(way: Way) -> None:
        proxy = world.enter(Proxy(int(world.sts.endpoint_url.rpartition(":")[2])))
        proxy.becomes(way)
        command = Commands(world)
        command.words += ["--endpoint-url", proxy.url]
        threading.Timer(FAULT, proxy.becomes, [Way.WHOLE]).start()
        reads[way] = command.read()

    threads = [threading.Thread(target=run, args=[way]) for way in WAYS]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for way in WAYS:
        read = reads[way]
        assert read.session, f"{way}: {read.why}"
        assert world.accepts(read.session), way
    slowest = max(read.took for read in reads.values())
    seen(f"{len(reads)} of {len(WAYS)} had a session {within(slowest)}")


NAME = "sts.faults.invalid"


@pytest.mark.needs("mounts")
@pytest.mark.fault(
    "DNS is gone, and connections are cut",
    face="{face}",
    expected="the session is served to its end, then the reason; a new one when the name is known",
)
@pytest.mark.parametrize("face", FACES)
def test_a_name_that_nobody_knows_any_more_costs_no_session(
    world: World, seen: Callable[[str], None], face: str
) -> None:
    proxy = through_a_proxy(world, 6)
    world.point_at(f"http://{NAME}:{proxy.port}")
    hosts = world.home / "hosts"
    known = f"127.0.0.1 localhost {NAME}\n"
    hosts.write_text(known)
    around = knowing_names(hosts)
    kept: Face = Agent(world, around=around) if face == Agent.name else Wheel(world, *around)
    kept.first()
    with Watch(kept) as watch:
        # The file that is mounted stays the same file.
        hosts.write_text("127.0.0.1 localhost\n")
        proxy.cut()
        gone = time.time()
        calls = proxy.taken
        wait_for("the session's end", lambda: watch.failed)
        refused = watch.failed[0]
        assert proxy.taken == calls, "nobody finds the way"
        hosts.write_text(known)
        back = time.monotonic()
        wait_for("a session again", lambda: watch.reads[-1].session)
        took = time.monotonic() - back
    assert not watch.dead
    served = refused.sent - gone
    assert served > 2, f"{served:.1f} s"
    assert NAME in refused.why or "dns" in refused.why.lower(), refused.why
    seen(f"served to its end, then the reason; a new session {within(took)} after DNS was back")
