"""Python's libraries side by side: rolekeeper, botocore's own classes, and what stands on them.

Prints one JSON document, which `bench/compare/report.py` puts into the table; what it is doing goes
to stderr. ``libraries.py threads`` is for the newest botocore, ``libraries.py asyncio`` for
aiobotocore, which wants another one: each is run by an environment of its own.

All get their sessions from `rolekeeper sandbox`, a process of its own whose STS takes 100 ms to
answer, by the AWS client that each of them uses, with that client's own retries. The first session
is of such a length that each contender refreshes half a second later by its own rule; those that
follow live for an hour.

A part of it alone: ``libraries.py threads reads``, or ``stalls``, ``outage``, ``calls``, ``cold``,
``memory``.
"""

from __future__ import annotations

import argparse
import logging
import signal
import subprocess
import sys
import time
import traceback
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from rolekeeper.testing import Sandbox

import peers
from document import OURS, Document, figure
from peers import Peer, Timing
from switch import Switch
from watch import Felt, Tasks, Threads

ROOT = Path(__file__).resolve().parents[3]

ROUNDS = 3
READERS = 32
LATENCY_MS = 100

# A refresh is due so long after its watch has begun, and the watch is so long.
BEFORE = 0.5
LENGTH = 1.5

# The source goes down at the moment zero, half a second before a refresh is due, and comes back while
# what was held then is still valid.
OUTAGE = 5.0
AFTER_OUTAGE = 1.0
OUTAGE_ROUNDS = 2

HOUR = 3600
# What is left of the shortest session that STS issues, 15 minutes, when its answer arrives.
SHORTEST = 899
MANY = 1_000
CALLS_ROUNDS = 2

# Of botocore, as the plot calls them.
WINDOWS = {"advisory": "15 min left", "mandatory": "10 min left"}

READS_ROUNDS = 31
BATCH_NS = 5_000_000

COLD_PROCESSES = 100

# In seconds. The whole of it takes half of that; nobody who hangs is waited for.
LONGEST = 480


class Run:
    """What was asked for, and what has been found."""

    def __init__(self, face: Any, contenders: list[Peer], document: Document, quick: bool) -> None:
        self.face, self.document = face, document
        self.contenders: list[Peer] = []
        self.quick = quick
        for peer in contenders:
            try:
                with world(HOUR):
                    face.one(face.made(peer.make))
            except Exception as error:  # noqa: BLE001
                traceback.print_exc()
                document.leave_out(peer.name, f"it could not be run: {error}")
            else:
                self.contenders.append(peer)

    def each(
        self,
        measure: Callable[[Peer], dict[str, float]],
        among: list[Peer] | None = None,
        rounds: int = ROUNDS,
    ) -> dict[str, dict[str, list[float]]]:
        """In turns; for each kind of figure, what each contender came to in all rounds."""
        found: dict[str, dict[str, list[float]]] = defaultdict(lambda: defaultdict(list))
        for _ in range(1 if self.quick else rounds):
            for peer in self.contenders if among is None else among:
                for kind, value in measure(peer).items():
                    found[kind][peer.name].append(value)
        return found

    def row(
        self,
        section: str,
        what: str,
        unit: str,
        found: dict[str, list[float]],
        *,
        note: str = "",
        better: str = "less",
    ) -> None:
        values = {name: figure(all_, note) for name, all_ in found.items()}
        self.document.row(section, f"Python, {what}", unit, values, better=better)


@contextmanager
def world(lifetime: int, latency_ms: int = 0) -> Iterator[Sandbox]:
    """An STS, which all that is made within calls."""
    with Sandbox(session_lifetime=lifetime, faults=faults(latency_ms)) as sandbox:
        peers.speak_to(dict(sandbox.environment))
        yield sandbox


def faults(latency_ms: int) -> dict[str, Any]:
    return {"only": ["AssumeRole"], "latency_ms": latency_ms}


def calls(sandbox: Sandbox) -> int:
    return sandbox.counts().calls("AssumeRole")


@contextmanager
def about_to_refresh(run: Run, peer: Peer, timing: Timing) -> Iterator[tuple[Sandbox, Any]]:
    """It holds a session, and its refresh is due in `BEFORE` seconds. Of the STS that it asks then,
    sessions live for an hour."""
    with (
        Sandbox(session_lifetime=timing.lifetime) as first,
        Sandbox(session_lifetime=HOUR, faults=faults(LATENCY_MS)) as sandbox,
        Switch(first.endpoint_url) as switch,
    ):
        environment = dict(first.environment)
        for name, value in environment.items():
            if value == first.endpoint_url:
                environment[name] = switch.url
        peers.speak_to(environment)
        read = run.face.made(peer.make)
        time.sleep(1 - time.time() % 1)
        begin = time.perf_counter()
        run.face.one(read)
        switch.turn_to(sandbox.endpoint_url)
        time.sleep(max(0.0, begin + timing.due - BEFORE - time.perf_counter()))
        yield sandbox, read


# === what is measured ===


def reads(run: Run) -> None:
    """CPU time a read of a valid session, the loop's own cost included; a batch each in turns."""
    with world(10 * HOUR):
        readers = {peer.name: run.face.made(peer.make) for peer in run.contenders}
        count = {}
        for name, read in readers.items():
            run.face.one(read)
            run.face.cost(read, 100)
            count[name] = int(BATCH_NS / run.face.cost(read, 1000)) + 1
        found: dict[str, list[float]] = defaultdict(list)
        for _ in range(3 if run.quick else READS_ROUNDS):
            for name, read in readers.items():
                found[name].append(run.face.cost(read, count[name]))
    what = f"{run.face.told}, get_frozen_credentials() of a valid session: CPU a read"
    run.row("hot reads", what, "ns", found)


def stalls(run: Run) -> None:
    windows = {
        "advisory": ("the first window that its rules know", lambda peer: peer.advisory),
        "mandatory": (
            "the last (botocore's: nobody has read for minutes)",
            lambda peer: peer.mandatory,
        ),
    }
    for window, (told, timing) in windows.items():
        drawn: dict[str, Felt] = {}

        def one(peer: Peer, timing=timing, drawn=drawn) -> dict[str, float]:
            with about_to_refresh(run, peer, timing(peer)) as (_, read):
                felt = run.face.watch(read, READERS, LENGTH)
            drawn.setdefault(peer.name, felt)
            return {"stalled": felt.stalled, "worst": felt.worst}

        found = run.each(one)
        what = f"{READERS} {run.face.told} over a refresh in {told}, STS takes {LATENCY_MS} ms"
        run.row(
            "stall at refresh",
            f"{what}: readers that wait for it",
            "readers",
            found["stalled"],
            note=f"of {READERS}",
        )
        run.row("stall at refresh", f"{what}: longest read", "ms", found["worst"])
        for name, felt in drawn.items():
            points = felt.points()
            if name != OURS:
                note = WINDOWS[window]
                run.document.plotted("refresh", name, run.face.name, points, note=note)
            elif window == "advisory":
                run.document.plotted("refresh", name, run.face.name, points)


def outage(run: Run) -> None:
    windows = {
        "advisory": ("15 minutes", lambda peer: peer.advisory_outage),
        "mandatory": ("10 minutes", lambda peer: peer.mandatory_outage),
    }
    for window, (left, timing) in windows.items():
        # What stands on botocore's class does as that class does.
        among = run.contenders if window == "mandatory" else run.contenders[:2]
        drawn: dict[str, Felt] = {}

        def one(peer: Peer, timing=timing, drawn=drawn) -> dict[str, float]:
            with about_to_refresh(run, peer, timing(peer)) as (sandbox, read):
                sandbox.set_faults(**faults(LATENCY_MS), fail={"status": 503})
                asked = []

                def script() -> None:
                    time.sleep(OUTAGE)
                    sandbox.set_faults(**faults(LATENCY_MS))
                    asked.append(calls(sandbox))

                felt = run.face.watch(read, READERS, OUTAGE + AFTER_OUTAGE, script)
            drawn.setdefault(peer.name, felt)
            return {
                "failed": felt.failed,
                "served": felt.served_within(OUTAGE),
                "worst": felt.worst,
                "calls": asked[0],
            }

        found = run.each(one, among, OUTAGE_ROUNDS)
        what = (
            f"{READERS} {run.face.told}, STS answers 503 for {OUTAGE:.0f} s while the session is "
            f"valid (botocore's: from some {left} before its end)"
        )
        run.row("source down", f"{what}: failed reads", "reads", found["failed"])
        run.row("source down", f"{what}: reads served meanwhile", "reads", found["served"],
                better="more")  # fmt: skip
        run.row("source down", f"{what}: longest read", "ms", found["worst"])
        run.row("source down", f"{what}: calls of STS meanwhile", "calls", found["calls"])
        for name, felt in drawn.items():
            if window == "mandatory":
                run.document.plotted(
                    "source-down", name, run.face.name, felt.points(), outage=[0, OUTAGE]
                )


def source_calls(run: Run) -> None:
    def one(peer: Peer) -> dict[str, float]:
        with world(SHORTEST) as sandbox:
            run.face.many(run.face.made(peer.make), MANY)
            short = calls(sandbox)
        with world(HOUR, LATENCY_MS) as sandbox:
            last = run.face.all_at_once(run.face.made(peer.make), MANY)
            return {"short": short, "cold": calls(sandbox), "last": last * 1e3}

    found = run.each(one, rounds=CALLS_ROUNDS)
    told = run.face.told
    run.row(
        "source calls",
        f"{MANY:,} reads of sessions of 15 minutes, a second less, {told}: calls of STS",
        "calls",
        found["short"],
    )
    what = f"cold start of {MANY:,} {told} at once, STS takes {LATENCY_MS} ms"
    run.row("source calls", f"{what}: calls", "calls", found["cold"])
    run.row("source calls", f"{what}: until the last is served", "ms", found["last"])


def cold(run: Run) -> None:
    """By the benchmark of sharing, which has the method in its header."""
    sys.path.insert(0, str(ROOT / "crates/cli/bench"))
    import sharing

    count = 20 if run.quick else COLD_PROCESSES
    options = sharing.Options(program=command(), dist=None, quick=run.quick)
    asked, last = {}, {}
    for kind in (OURS, "botocore", "aws-assume-role-lib"):
        if kind not in [peer.name for peer in run.contenders]:
            continue
        made, took = sharing.cold_processes(options, kind, count)
        asked[kind], last[kind] = [made], [took * 1e3]
    what = f"{count} cold processes at once, one role, one file cache, STS takes {LATENCY_MS} ms"
    run.row("cold processes", f"{what}: calls of STS", "calls", asked)
    run.row("cold processes", f"{what}: until the last is served", "ms", last)


def memory(run: Run) -> None:
    """Each in a process of its own, which holds one role's session."""

    def one(peer: Peer) -> dict[str, float]:
        with world(HOUR):
            told = subprocess.run(
                [sys.executable, __file__, run.face.word, "--memory-of", peer.name],
                capture_output=True,
                text=True,
                check=True,
            )
        return {"resident": float(told.stdout)}

    what = f"{run.face.told}, a process with one role's session: resident memory"
    run.row("memory", what, "MB", run.each(one)["resident"])


def memory_of(face: Any, peer: Peer) -> None:
    read = face.made(peer.make)
    face.one(read)
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            print(int(line.split()[1]) * 1024 / 1e6)


def command() -> Path:
    """The one that came with the package."""
    return Path(sys.executable).parent / "rolekeeper"


FACES = {"threads": (Threads, peers.THREADS), "asyncio": (Tasks, peers.TASKS)}
PARTS = {
    "reads": reads,
    "stalls": stalls,
    "outage": outage,
    "calls": source_calls,
    "memory": memory,
}
# Where one process of many is not asyncio's business.
OF_THREADS = {"cold": cold}
PACKAGES = {
    "threads": ["rolekeeper", "botocore", "boto3", "boto3-refresh-session", "aws-assume-role-lib"],
    "asyncio": ["rolekeeper", "aiobotocore", "botocore"],
}


def too_long(*_: object) -> None:
    raise TimeoutError(f"it took more than {LONGEST} s")


def main() -> None:
    parser = argparse.ArgumentParser(description="rolekeeper beside Python's other libraries")
    parser.add_argument("face", choices=FACES)
    parser.add_argument("parts", nargs="*", metavar="PART")
    parser.add_argument("--quick", action="store_true", help="short rounds: only to try it")
    parser.add_argument("--memory-of", help=argparse.SUPPRESS)
    arguments = parser.parse_intermixed_args()
    parts = PARTS | (OF_THREADS if arguments.face == "threads" else {})
    if unknown := set(arguments.parts) - set(parts):
        parser.error(f"no such part: {', '.join(sorted(unknown))}")
    # A source that is down is logged by all of them; nobody reads it here.
    logging.disable()
    face, contenders = FACES[arguments.face]
    if arguments.memory_of:
        memory_of(face(), next(peer for peer in contenders if peer.name == arguments.memory_of))
        return
    signal.signal(signal.SIGALRM, too_long)
    signal.alarm(LONGEST)
    document = Document(f"Python libraries, {arguments.face}", PACKAGES[arguments.face])
    run = Run(face(), contenders, document, arguments.quick)
    for name, measure in parts.items():
        if not arguments.parts or name in arguments.parts:
            print(f"measuring: Python, {arguments.face}, {name}", file=sys.stderr, flush=True)
            try:
                measure(run)
            except Exception as error:  # noqa: BLE001
                traceback.print_exc()
                document.leave_out(f"{document.part}: {name}", f"it failed: {error}")
    print(document)


if __name__ == "__main__":
    main()
