"""Commands side by side: from their start to their exit, and a hundred at once with nothing cached.

Commands are run in turn, round by round, started with posix_spawn. `/bin/true` tells what starting
any process takes.
"""

from __future__ import annotations

import contextlib
import os
import signal
import time
from collections import defaultdict
from dataclasses import dataclass, field
from pathlib import Path

from peers import HELPER, OURS, VAULT, VERSION_WORDS, Peers, anywhere, served, vault_home
from report import Report, value
from world import LATENCY, CreateSession, Failed, Home, Sandbox, Source, call, told

TRUE = "/bin/true"
# The AWS CLI takes half a second or more; of the others many more rounds fit in that time.
ROUNDS, SLOW_ROUNDS = 40, 5
# Seconds for one table; what a busy machine leaves undone then has so many rounds less.
LONGEST = 25
FEWEST_ROUNDS = 3
AT_ONCE = 100
HOUR = 3600


@dataclass
class Command:
    """A command line with its environment, and what it talks to."""

    who: str
    words: list[str]
    env: dict[str, str]
    source: Source | None = None
    note: str = ""
    slow: bool = False
    times: list[float] = field(default_factory=list)

    def spawn(self) -> int:
        actions = [
            (os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0),
            (os.POSIX_SPAWN_OPEN, 1, os.devnull, os.O_WRONLY, 0),
            (os.POSIX_SPAWN_OPEN, 2, os.devnull, os.O_WRONLY, 0),
        ]
        return os.posix_spawn(self.words[0], self.words, self.env, file_actions=actions)

    def run(self) -> float:
        failed, took = self.run_at_once(1)
        if failed:
            raise Failed(f"{' '.join(self.words[:2])} failed")
        return took

    def run_at_once(self, many: int) -> tuple[int, float]:
        """How many failed, and the milliseconds until the last had ended."""
        running: list[int] = []
        failed = 0
        start = time.perf_counter()
        try:
            for _ in range(many):
                running.append(self.spawn())
            while running:
                failed += os.waitpid(running[-1], 0)[1] != 0
                running.pop()
        finally:
            for pid in running:
                os.kill(pid, signal.SIGKILL)
        return failed, (time.perf_counter() - start) * 1e3


# === start ===


def starts(peers: Peers, report: Report, aws: dict[str, str]) -> None:
    with contextlib.ExitStack() as stack:
        plain = {"PATH": os.environ["PATH"], "HOME": "/nonexistent"}
        versions = [Command(TRUE, [TRUE], plain)]
        for who, word in VERSION_WORDS.items():
            if program := peers.program(who):
                versions.append(Command(who, [program, word], plain))
        versions += [
            Command(who, [path, "--version"], plain, slow=True) for who, path in aws.items()
        ]
        in_turn(report, "says its version, start to exit", versions)

        warm = of_a_role(peers, stack)
        for who, path in aws.items():
            # The least that it can do: many versions take no other STS than the real one.
            home = Home(Sandbox(peers.rolekeeper, HOUR, stack), stack)
            words = [path, "configure", "export-credentials", "--profile", "base"]
            warm.append(Command(who, words, home.env, note="only keys, no role", slow=True))
        warm.append(Command(TRUE, [TRUE], plain))
        for command in warm:
            if command.who == OURS:
                command.note = "from its store"
            elif command.source and command.who in (VAULT, HELPER):
                command.note = f"keeps no session of a role: calls the source, {LATENCY} ms"
        in_turn(report, "prints a session that it has printed before, start to exit", warm)

        with_agent(peers, report, stack)


def with_agent(peers: Peers, report: Report, stack: contextlib.ExitStack) -> None:
    """`rolekeeper credential-process` beside a server that has the session."""
    server = stack.enter_context(served(peers, OURS, HOUR))
    call("GET", server.endpoint.url, headers=server.endpoint.headers)
    env = dict(
        part.split("=", 1)
        for part in Path(f"/proc/{server.pid}/environ").read_text().split("\0")
        if "=" in part
    )
    words = [peers.dist, "credential-process", "--profile", "bench"]
    in_turn(report, "prints a session that a server of its own has, start to exit",
            [Command(TRUE, [TRUE], env), Command(OURS, words, env)])  # fmt: skip


def in_turn(report: Report, what: str, commands: list[Command]) -> None:
    told(f"  commands: {what}")
    able = []
    for command in commands:
        try:
            command.run()
            able.append(command)
        except Failed as error:
            report.leave_out(command.who, f"{what}: {error}")
    end = time.monotonic() + LONGEST
    for number in range(ROUNDS):
        if number >= FEWEST_ROUNDS and time.monotonic() > end:
            break
        for command in able:
            if number < SLOW_ROUNDS or not command.slow:
                command.times.append(command.run())
    report.row("command start", what, "ms",
               {command.who: value(command.times, command.note) for command in able})  # fmt: skip


def of_a_role(peers: Peers, stack: contextlib.ExitStack) -> list[Command]:
    """What prints a role's session as `credential_process` wants it, each with its source."""
    made = []

    def sandbox() -> tuple[Sandbox, Home]:
        source = Sandbox(peers.rolekeeper, HOUR, stack)
        return source, Home(source, stack)

    source, home = sandbox()
    words = [peers.dist, "credential-process", "--no-agent", "--store", "file"]
    made.append(Command(OURS, [*words, "--profile", "bench"], home.env, source))
    if program := peers.program(VAULT):
        source, home = sandbox()
        with contextlib.suppress(Failed):
            env = vault_home(program, home, source)
            words = [program, "export", "--format=json", "bench"]
            made.append(Command(VAULT, words, env, source))
    if program := peers.program(HELPER):
        anywhere_source = CreateSession(HOUR, stack)
        home = Home(anywhere_source, stack)
        words = [program, "credential-process", *anywhere(home, anywhere_source)]
        made.append(Command(HELPER, words, home.env, anywhere_source))
    return made


# === a hundred at once ===


def cold(peers: Peers, report: Report, rounds: int) -> None:
    calls: dict[str, list[float]] = defaultdict(list)
    last: dict[str, list[float]] = defaultdict(list)
    notes: dict[str, str] = {}
    end = time.monotonic() + LONGEST
    for number in range(rounds):
        if number and (report.is_late() or time.monotonic() > end):
            break
        with contextlib.ExitStack() as stack:
            for command in of_a_role(peers, stack):
                told(f"  {AT_ONCE} at once: {command.who}")
                assert command.source is not None
                failed, took = command.run_at_once(AT_ONCE)
                last[command.who].append(took)
                calls[command.who].append(command.source.calls())
                if failed:
                    notes[command.who] = f"{failed} of them failed"
    what = f"{AT_ONCE} processes at once, nothing cached, the source takes {LATENCY} ms"
    for unit, figures, which in (("calls", calls, "calls of the source"),
                                 ("ms", last, "until the last has ended")):  # fmt: skip
        report.row("cold processes", f"{what}: {which}", unit,
                   {who: value(all_, notes.get(who, "")) for who, all_ in figures.items()})  # fmt: skip
