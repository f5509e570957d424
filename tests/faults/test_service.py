"""STS misbehaves for a while, in every way that the sandbox knows."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import pytest
from faces import Agent, Commands, Exec, Face, Watch, Wheel
from words import at_most, within
from world import wait_for

if TYPE_CHECKING:
    from collections.abc import Callable

    from world import World

# Seconds. A session is replaced after a quarter of its life; what is left outlives the outage.
LIFE = 12
OUTAGE = 3

# The attempts of an outage of that length: a backoff that begins with a second.
MOST_CALLS = 10

FACES: dict[str, Callable[[World], Face]] = {face.name: face for face in (Agent, Wheel)}

MISBEHAVIOURS: dict[str, dict[str, Any]] = {
    "answers 500": {"fail": {"status": 500}},
    "answers 503": {"fail": {"status": 503}},
    "throttles everybody": {"throttle_per_second": 0},
    "never answers": {"hang": True},
    "closes connections": {"close_connection": True},
    "cuts answers off": {"truncate_body": True},
    "answers what is no XML": {"malformed_body": True},
    "leaves the token out": {"missing_field": "SessionToken"},
    "issues what has ended": {"already_expired": True},
    "refuses (AccessDenied)": {"refuse_assume_role": {"code": "AccessDenied", "message": "no"}},
}


@pytest.mark.fault(
    "STS {misbehaviour} for a while",
    face="{face}",
    expected="nobody notices while the session lives; STS is asked a few times; a new one follows",
)
@pytest.mark.parametrize("misbehaviour", MISBEHAVIOURS)
@pytest.mark.parametrize("face", FACES)
def test_nobody_notices_an_outage_that_is_shorter_than_a_session(
    world: World, seen: Callable[[str], None], face: str, misbehaviour: str
) -> None:
    sandbox = world.sandbox(LIFE)
    kept = FACES[face](world)
    kept.first()
    with Watch(kept) as watch:
        before = sandbox.counts()
        sandbox.set_faults(only=["AssumeRole"], **MISBEHAVIOURS[misbehaviour])
        old = kept.read().session
        assert old
        hangs = misbehaviour == "never answers"
        if hangs:
            # A call that hangs is counted when it is let go.
            time.sleep(LIFE * 0.4)
        else:
            wait_for("somebody to notice", lambda: world.fetches() > before.calls("AssumeRole"))
        time.sleep(OUTAGE)
        found = kept.read().session
        assert found and found.key == old.key, "there is nothing to replace it"
        calls = world.fetches() - before.calls("AssumeRole")
        sandbox.clear_faults()
        _, took = kept.fresh(than=old)
    watch.assert_unnoticed()
    assert calls <= MOST_CALLS
    asked = "" if hangs else f", asked {at_most(calls, (MOST_CALLS,))} times"
    seen(f"no read failed{asked}; a new session {within(took)} after it was well again")


@pytest.mark.fault(
    "STS is down for longer than a session lives",
    face="{face}",
    expected="served to its end, then the reason, at once; a new one within one backoff",
)
@pytest.mark.parametrize("face", [*FACES, Exec.name])
def test_an_outage_that_is_longer_than_a_session_is_told_and_ends_by_itself(
    world: World, seen: Callable[[str], None], face: str
) -> None:
    sandbox = world.sandbox(4)
    kept: Face = {**FACES, Exec.name: Exec}[face](world)
    kept.first()
    sandbox.fail(status=503)
    with Watch(kept) as watch:
        wait_for("the session's end", lambda: watch.failed)
        time.sleep(OUTAGE)
        refused = watch.failed
        up = time.monotonic()
        sandbox.clear_faults()
        wait_for("a session again", lambda: watch.reads[-1].session)
        took = time.monotonic() - up
    assert not watch.dead, watch.dead
    assert all("ServiceUnavailable" in read.why for read in refused), refused[0].why
    assert all("role/demo" in read.why for read in refused), refused[0].why
    # An endpoint holds a request for 1.5 s, which every SDK waits for; a library has an error at hand.
    slowest = max(read.took for read in refused)
    assert slowest < 5, slowest
    # The longest backoff, and a fetch.
    assert took < 32, took
    seen(f"the reason {within(slowest)}; a new session within its backoff, which is 30 s at most")


@pytest.mark.fault(
    "STS is down when a command begins, and up 3 s later",
    face="credential-process",
    expected="it waits, and says why",
)
def test_a_command_waits_for_sts_and_says_why(world: World, seen: Callable[[str], None]) -> None:
    sandbox = world.sandbox(3600)
    sandbox.down(OUTAGE)
    read = Commands(world).read()
    assert read.session, read.why
    assert world.accepts(read.session)
    assert "no new session" in read.why, read.why
    assert read.took >= OUTAGE - 1
    seen(f"a session, and a warning, {within(read.took)} after its start")


@pytest.mark.fault(
    "STS's clock is 20 minutes {way}",
    face="{face}",
    expected="sessions are had, and are served for as long as they live",
)
@pytest.mark.parametrize(("way", "offset"), [("ahead", 1200), ("behind", -1200)])
@pytest.mark.parametrize("face", FACES)
def test_a_clock_that_is_off_costs_nobody_a_session(
    world: World, seen: Callable[[str], None], face: str, way: str, offset: int
) -> None:
    sandbox = world.sandbox(8)
    sandbox.set_faults(clock_offset_seconds=offset)
    kept = FACES[face](world)
    old = kept.first()
    # By the clock of here, whoever is off.
    assert 0 < old.expiration - time.time() < 10
    with Watch(kept) as watch:
        kept.fresh(than=old)
        time.sleep(8)
    watch.assert_unnoticed()
    keys = {read.session.key for read in watch.reads if read.session}
    refused = sandbox.counts().failed("AssumeRole")
    assert len(keys) >= 3 and refused <= 2, (keys, refused)
    seen(f"no read failed; STS refused {at_most(refused, (2,))} calls")


@pytest.mark.fault(
    "all sessions of the role are revoked",
    face="agent",
    expected="an endpoint is told of it by nobody: the next session comes at the refresh point",
)
def test_an_agent_has_another_session_at_its_refresh_point(
    world: World, seen: Callable[[str], None]
) -> None:
    sandbox = world.sandbox(8)
    agent = Agent(world)
    old = agent.first()
    sandbox.revoke_sessions()
    assert not world.accepts(old)
    new, _ = agent.fresh(than=old)
    assert world.accepts(new)
    seen("a session that is accepted, at the refresh point")


@pytest.mark.fault(
    "all sessions of the role are revoked",
    face="wheel",
    expected="told of it by `rejected(key)`, the next read has another session",
)
def test_a_program_that_says_so_has_another_session_at_once(
    world: World, seen: Callable[[str], None]
) -> None:
    sandbox = world.sandbox(3600)
    wheel = Wheel(world)
    old = wheel.first()
    sandbox.revoke_sessions()
    assert not world.accepts(old)
    wheel.tell(f"rejected {old.key}")
    read = wheel.read()
    assert read.session and read.session.key != old.key, read.why
    assert world.accepts(read.session)
    seen(f"another session {within(read.took)}")
