"""Commands side by side: from their start to their exit, and a hundred at once with nothing cached.

Commands are run in turn, round by round, started with posix_spawn. `/bin/true` tells what starting
any process takes.
"""

from __future__ import annotations

import contextlib
import os
import subprocess
import time
from collections import defaultdict
from dataclasses import dataclass, field
from pathlib import Path

from peers import BROKER, HELPER, OURS, VAULT, Peers, anywhere, served, vault_home
from report import Report, value
from world import LATENCY, CreateSession, Failed, Home, Sandbox, Source, call, told

TRUE = "/bin/true"
# The AWS CLI takes half a second or more; of the others many more rounds fit in that time.
ROUNDS, SLOW_ROUNDS = 40, 6
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
        start = time.perf_counter()
        status = os.waitpid(self.spawn(), 0)[1]
        took = (time.perf_counter() - start) * 1e3
        if status:
            raise Failed(f"{' '.join(self.words[:2])} failed with {status}")
        return took


# === start ===


def starts(peers: Peers, report: Report, aws: dict[str, str]) -> None:
    with contextlib.ExitStack() as stack:
        plain = {"PATH": os.environ["PATH"], "HOME": "/nonexistent"}
        versions = [Command(TRUE, [TRUE], plain)]
        for who, words in {OURS: "--version", VAULT: "--version", HELPER: "version",
                           BROKER: "version"}.items():  # fmt: skip
            if program := peers.dist if who == OURS else peers.program(who):
                versions.append(Command(who, [program, words], plain))
        versions += [
            Command(who, [path, "--version"], plain, slow=True) for who, path in aws.items()
        ]
        in_turn(report, "says its version, start to exit", versions)

        warm = commands(peers, report, aws, stack, HOUR)
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
    for number in range(ROUNDS):
        for command in able:
            if number < SLOW_ROUNDS or not command.slow:
                command.times.append(command.run())
    report.row("command start", what, "ms",
               {command.who: value(command.times, command.note) for command in able})  # fmt: skip


def commands(
    peers: Peers, report: Report, aws: dict[str, str], stack: contextlib.ExitStack, lifetime: int
) -> list[Command]:
    """What prints a session as `credential_process` wants it, each with a home and a source."""
    made = []

    def sandbox() -> tuple[Sandbox, Home]:
        source = Sandbox(peers.rolekeeper, lifetime, stack)
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
        anywhere_source = CreateSession(lifetime, stack)
        home = Home(anywhere_source, stack)
        words = [program, "credential-process", *anywhere(home, anywhere_source)]
        made.append(Command(HELPER, words, home.env, anywhere_source))
    for who, path in aws.items():
        source, home = sandbox()
        words = [path, "configure", "export-credentials", "--profile", "bench"]
        if elsewhere := ignores_endpoint(path):
            # The least that it can do, with the keys as they are: it would ask the real STS.
            report.leave_out(f"{who}: a role's session", elsewhere)
            words[-1] = "base"
            note, source_used = "only keys, no role", None
        else:
            note, source_used = "from its cache", source
        made.append(Command(who, words, home.env, source_used, note, slow=True))
    return made


def ignores_endpoint(aws: str) -> str | None:
    """Whether this AWS CLI is too old to be told another STS than the real one."""
    said = subprocess.run([aws, "--version"], capture_output=True, text=True, check=False).stdout
    version = said.partition("/")[2].partition(" ")[0].split(".")
    # Read from the profile and from AWS_ENDPOINT_URL since these.
    since = {"1": 29, "2": 13}
    if len(version) > 1 and int(version[1]) >= since.get(version[0], 0):
        return None
    return f"version {'.'.join(version)} takes no other endpoint of STS"


# === a hundred at once ===


def cold(peers: Peers, report: Report, aws: dict[str, str], rounds: int) -> None:
    calls: dict[str, list[float]] = defaultdict(list)
    last: dict[str, list[float]] = defaultdict(list)
    notes: dict[str, str] = {}
    for number in range(rounds):
        with contextlib.ExitStack() as stack:
            for command in commands(peers, report, aws, stack, HOUR):
                if command.source is None or (command.slow and number > 0):
                    continue
                told(f"  {AT_ONCE} at once: {command.who}")
                before = command.source.calls()
                start = time.perf_counter()
                started = [command.spawn() for _ in range(AT_ONCE)]
                failed = sum(os.waitpid(pid, 0)[1] != 0 for pid in started)
                last[command.who].append((time.perf_counter() - start) * 1e3)
                calls[command.who].append(command.source.calls() - before)
                if failed:
                    notes[command.who] = f"{failed} of them failed"
                elif command.slow:
                    notes[command.who] = "one run"
    what = f"{AT_ONCE} processes at once, nothing cached, the source takes {LATENCY} ms"
    for unit, figures, which in (("calls", calls, "calls of the source"),
                                 ("ms", last, "until the last has ended")):  # fmt: skip
        report.row("cold processes", f"{what}: {which}", unit,
                   {who: value(all_, notes.get(who, "")) for who, all_ in figures.items()})  # fmt: skip
