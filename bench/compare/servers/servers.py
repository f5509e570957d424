"""Endpoints side by side: throughput, memory, a refresh, an outage, and what the source is asked.

All servers are measured in turn, round by round, each with a source of its own that takes 100 ms.
Sessions last for seconds where something has to happen at their end. aws_signing_helper asks anew
when ten minutes are left, so its sessions last ten minutes longer than the others'.
"""

from __future__ import annotations

import contextlib
import re
import shutil
import subprocess
from collections import defaultdict
from collections.abc import Iterator
from contextlib import AbstractContextManager
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import probe
from peers import BROKER, HELPER, HELPER_WINDOW, OURS, OURS_IMDS, VAULT, Peers, Server, served
from report import Report, value
from world import LATENCY, Failed, resident, told

READERS = 32
# Milliseconds: a reader asks every 20, so one that waits for the source waits for 80 of its 100. Less is
# a busy machine's doing.
STALL = 0.75 * LATENCY

HOUR = 3600
LOAD = ["-t2", "-c64"]
LOAD_SECONDS = 2

REFRESH_LIFETIME, REFRESH_WATCH = 6, 8
# The outage begins while every session is valid and goes on beyond the end of those that began with
# the watch; it takes less than what is left of one that was refreshed when three quarters of it were
# left.
DOWN_LIFETIME, DOWN_FROM, DOWN_UNTIL, DOWN_WATCH = 14, 8.9, 17.0, 19

SHORT = 900
MANY_READS = 1_000
COLD_CLIENTS = 200
# Seconds that the source holds its answer when all have asked.
COLD_HOLD = 0.2

# For wrk, as it tells nothing finer than what it prints.
DONE = """
done = function(summary, latency, requests)
  local e = summary.errors
  print(string.format("told %d %d %d %d", summary.requests, summary.duration,
    latency:percentile(99), e.connect + e.read + e.write + e.status + e.timeout))
end
"""

Figures = dict[str, list[float]]


def figures(kinds: int) -> list[Figures]:
    """So many tables of each server's figures."""
    return [defaultdict(list) for _ in range(kinds)]


def values(table: Figures, notes: dict[str, str] | None = None) -> dict[str, dict[str, Any]]:
    return {name: value(all_, (notes or {}).get(name, "")) for name, all_ in table.items()}


# === endpoint, memory ===


def endpoint(peers: Peers, report: Report, rounds: int) -> None:
    if shutil.which("wrk") is None:
        report.leave_out("endpoint", "wrk is missing")
        return
    rate, p99, before, after = figures(4)
    failed: dict[str, int] = defaultdict(int)
    with contextlib.ExitStack() as stack:
        servers = []
        for name in (*peers.servers(), OURS_IMDS):
            try:
                servers.append(stack.enter_context(served(peers, name, HOUR)))
            except Failed as error:
                report.leave_out(name, str(error))
        for server in servers:
            probe.once(server.endpoint)
            before[server.name].append(resident(server.pid))
        for number in range(rounds):
            if number and report.is_late():
                break
            for server in servers:
                told(f"  wrk: {server.name}")
                requests, seconds, tail, errors = wrk(server)
                rate[server.name].append(requests / seconds)
                p99[server.name].append(tail)
                failed[server.name] += errors
        for server in servers:
            after[server.name].append(resident(server.pid))
    notes = dict.fromkeys((HELPER, BROKER), "IMDS")
    notes |= {name: f"{number} failed" for name, number in failed.items() if number}
    what = "a valid session, kept-alive connections, wrk with 2 threads and 64 connections"
    report.row("endpoint", what, "requests/s", values(rate, notes), better="more")
    report.row("endpoint", f"{what}: the slowest of a hundred", "ms", values(p99, notes))
    report.row("memory", "of the server, after one reader (VmRSS)", "MB", values(before))
    report.row("memory", "of the server, after that load (VmRSS)", "MB", values(after))


def wrk(server: Server) -> tuple[int, float, float, int]:
    headers = [f"-H{name}: {content}" for name, content in server.endpoint.headers.items()]
    with TemporaryDirectory() as folder:
        (script := Path(folder) / "done.lua").write_text(DONE)
        out = subprocess.run(
            ["wrk", *LOAD, f"-d{LOAD_SECONDS}s", "-s", str(script), *headers, server.endpoint.url],
            check=True, capture_output=True, text=True, stdin=subprocess.DEVNULL,
        ).stdout  # fmt: skip
    found = re.search(r"^told (\d+) (\d+) (\d+) (\d+)$", out, re.MULTILINE)
    if not found:
        raise Failed("wrk told nothing")
    requests, micros, tail, errors = map(int, found.groups())
    return requests, micros / 1e6, tail / 1e3, errors


# === a refresh, an outage ===


def refresh(peers: Peers, report: Report, rounds: int) -> None:
    worst, stalled, failed, calls = figures(4)
    for name, watch, asked in watched(
        peers, report, rounds, "refresh", REFRESH_LIFETIME, REFRESH_WATCH, []
    ):
        worst[name].append(watch.worst())
        stalled[name].append(watch.stalled(STALL))
        failed[name].append(watch.failed())
        calls[name].append(asked)
    what = f"{READERS} readers across the refresh of a session, the source takes {LATENCY} ms"
    report.row("stall at refresh", f"{what}: the worst reader's wait", "ms", values(worst))
    report.row("stall at refresh", f"{what}: readers that waited for it", "readers",
               values(stalled))  # fmt: skip
    report.row("stall at refresh", f"{what}: failed reads", "reads", values(failed))
    often = f"it refreshes ahead, so more often in these {REFRESH_WATCH} s"
    report.row("source calls", what, "calls", values(calls, {OURS: often}))


def outage(peers: Peers, report: Report, rounds: int) -> None:
    worst, failed, calls = figures(3)
    reads: dict[str, str] = {}
    events = [(DOWN_FROM, {"down": True}), (DOWN_UNTIL, {"down": False})]
    for name, watch, asked in watched(
        peers, report, rounds, "source-down", DOWN_LIFETIME, DOWN_WATCH, events
    ):
        worst[name].append(watch.worst())
        failed[name].append(watch.failed())
        calls[name].append(asked)
        reads[name] = f"of {len(watch.reads):,} reads"
    what = (
        f"{READERS} readers, sessions of {DOWN_LIFETIME} s, the source down from second "
        f"{DOWN_FROM:g} to {DOWN_UNTIL:g}"
    )
    report.row("source down", f"{what}: reads without a valid session in {probe.PATIENCE:g} s",
               "reads", values(failed, reads))  # fmt: skip
    report.row("source down", f"{what}: the worst reader's wait", "ms", values(worst))
    report.row("source down", f"{what}: calls that the source got", "calls", values(calls))


def watched(
    peers: Peers,
    report: Report,
    rounds: int,
    plot: str,
    lifetime: int,
    seconds: float,
    events: list[tuple[float, dict[str, bool]]],
) -> Iterator[tuple[str, probe.Watch, int]]:
    """Each server in turn from its first session on, with the calls made meanwhile."""
    for number in range(rounds):
        if number and report.is_late():
            break
        for name in peers.servers():
            told(f"  {plot}, round {number + 1}: {name}")
            try:
                with served(peers, name, lifetime) as server:
                    probe.once(server.endpoint)
                    before = server.source.calls()
                    watch = probe.watch(
                        server.endpoint, READERS, seconds,
                        [(at, partial(server.source.set, **faults)) for at, faults in events],
                    )  # fmt: skip
                    asked = server.source.calls() - before
            except Failed as error:
                report.leave_out(name, str(error))
                continue
            if number == 0:
                series: dict[str, Any] = {"plot": plot, "who": name, "face": "endpoint"}
                # The plot shades the time between the two.
                series |= {"outage": [at for at, _ in events]} if events else {}
                report.series.append(series | {"points": watch.points()})
            yield name, watch, asked


# === what the source is asked ===


def source_calls(peers: Peers, report: Report, rounds: int) -> None:
    short, calls, last = figures(3)
    for name in peers.servers():
        with contextlib.suppress(Failed), served_with_left(peers, name) as server:
            probe.once(server.endpoint)
            before, reads = server.source.calls(), 0
            while reads < MANY_READS:
                reads += len(probe.watch(server.endpoint, READERS, 0.25).reads)
            short[name].append(server.source.calls() - before)
    report.row("source calls", f"{MANY_READS:,} reads of a session of {SHORT} s", "calls",
               values(short))  # fmt: skip

    unserved: dict[str, int] = {}
    for number in range(rounds):
        if number and report.is_late():
            break
        for name in (OURS, VAULT):
            if not peers.program(name):
                continue
            told(f"  cold: {name}")
            with contextlib.suppress(Failed), served(peers, name, HOUR, lazy=True) as server:
                ok, took = probe.at_once(
                    server.endpoint, COLD_CLIENTS, partial(server.source.set, latency=0), COLD_HOLD
                )
                calls[name].append(server.source.calls())
                last[name].append(took)
                unserved[name] = max(unserved.get(name, 0), COLD_CLIENTS - ok)
    notes = {name: f"up to {number} unserved" for name, number in unserved.items() if number}
    what = f"{COLD_CLIENTS} clients at once, before there is a session"
    report.row("source calls", what, "calls", values(calls, notes))
    report.row("source calls", f"{what}: the last one's wait, once the source answers", "ms",
               values(last, notes))  # fmt: skip


def served_with_left(peers: Peers, name: str) -> AbstractContextManager[Server]:
    """With 900 s left, whatever its window is."""
    return served(peers, name, SHORT - HELPER_WINDOW if name == HELPER else SHORT)


PARTS = {"endpoint": endpoint, "refresh": refresh, "down": outage, "calls": source_calls}
