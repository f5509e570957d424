"""One session for many: processes of a machine, hosts of a fleet, and a million in virtual time.

`cargo xtask bench` runs it with what it has built, by a Python that has the package installed, and
adds its table to ``bench/RESULTS.md``. It is a report, not a test: it fails only when it can't
measure, and a requirement that is not met is printed as such.

Method
    *Warm store*: wall time from start to exit, in turns, started with posix_spawn. The profile
    assumes a role with keys in the credentials file; no agent runs.

    *Cold processes*: a hundred Python processes are ready before the first of them may read, and
    none ends before the last has read; STS takes 100 ms. botocore's have one JSONFileCache, as those of the AWS CLI do.

    *Fleet*: 200 Python processes, four on each of 50 hosts (a home folder each), read every 50 ms.
    Redis runs behind a sentinel, with a replica; in the second run its primary is killed (-9) in
    the middle. Sessions live for 10 s and are replaced when 7.5 s are left. Calls of STS are
    counted by the sandbox, sessions by the keys that more than half of the processes have seen.

    *A million*: `rolekeeper simulate`.

A part of it alone, printed and not written: ``sharing.py --program PATH warm``, or ``cold``,
``fleet``, ``simulated``. ``--quick`` shows that it works, no more.
"""

from __future__ import annotations

import argparse
import collections
import contextlib
import json
import os
import re
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[3]
sys.path.insert(0, str(ROOT / "crates/python/bench"))
import report  # noqa: E402

SECTION = report.Section("Sharing", "crates/cli/bench/sharing.py")
READER = Path(__file__).with_name("sharing_reader.py")
DEMO = "arn:aws:iam::123456789012:role/demo"
KEY = "07" * 32
SOURCE = 0.1
# Seconds, and between reads: whoever has read stays, or its end would cost the others their time.
STAY = ("2", "1")


@dataclass
class Options:
    program: Path
    dist: Path | None
    quick: bool


class World:
    """A sandbox, and homes whose profile `bench` assumes a role at it with keys in a file."""

    def __init__(self, options: Options, *, lifetime: str = "3600s", faults: dict | None = None):
        self.options, self.lifetime, self.faults = options, lifetime, faults or {}
        self.stack = contextlib.ExitStack()

    def __enter__(self) -> World:
        self.folder = Path(self.stack.enter_context(tempfile.TemporaryDirectory()))
        command = [str(self.options.program), "sandbox", "--json"]
        command += ["--session-lifetime", self.lifetime, "--faults", json.dumps(self.faults)]
        sandbox = self.started(command, {"PATH": os.environ["PATH"]}, stdout=subprocess.PIPE)
        told = json.loads(sandbox.stdout.readline())
        self.admin_token = told.pop("ROLEKEEPER_SANDBOX_TOKEN")
        key = told.pop("AWS_ACCESS_KEY_ID"), told.pop("AWS_SECRET_ACCESS_KEY")
        self.keys = f"[base]\naws_access_key_id = {key[0]}\naws_secret_access_key = {key[1]}\n"
        paths = {name: os.environ[name] for name in ("PATH", "PYTHONPATH") if name in os.environ}
        self.env = {name: value for name, value in told.items() if value} | paths
        return self

    def __exit__(self, *_) -> None:
        self.stack.close()

    def started(self, command: list[str], env: dict[str, str], **more) -> subprocess.Popen:
        process = subprocess.Popen(command, env=env, stderr=subprocess.DEVNULL, text=True, **more)

        def end() -> None:
            process.kill()
            process.wait()

        self.stack.callback(end)
        return process

    def home(self, name: str) -> dict[str, str]:
        """A host: the environment of its processes."""
        home = self.folder / name
        (home / ".aws").mkdir(parents=True)
        (home / ".aws/credentials").write_text(self.keys)
        (home / ".aws/config").write_text(
            "[profile base]\nregion = us-east-1\n"
            f"[profile bench]\nrole_arn = {DEMO}\nsource_profile = base\nregion = us-east-1\n"
        )
        return self.env | {"HOME": str(home)}

    def calls(self) -> int:
        request = urllib.request.Request(
            f"{self.env['AWS_ENDPOINT_URL']}/_sandbox/counts",
            headers={"Authorization": f"Bearer {self.admin_token}"},
        )
        with urllib.request.urlopen(request, timeout=30) as answer:
            rows = json.load(answer)["rows"]
        return sum(row["calls"] for row in rows if row["operation"] == "AssumeRole")


def missing(*programs: str) -> str | None:
    without = [name for name in programs if not shutil.which(name)]
    return f"not run: {without[0]} is missing" if without else None


# === warm store ===


def warm(options: Options) -> list[report.Row]:
    programs = {"shipped build": options.dist} if options.dist else {}
    programs |= {"release": options.program}
    words = ["credential-process", "--profile", "bench"]
    commands = {"/bin/true": ["/bin/true"]}
    commands |= {name: [str(path), *words] for name, path in programs.items()}
    rounds = 30 if options.quick else 300
    slow = {}
    if aws := aws_cli():
        # The least that it can do: some versions know no other STS than the real one.
        slow["aws"] = [aws, "configure", "export-credentials", "--profile", "base"]
    with World(options) as world:
        env = world.home("one")
        for command in (*commands.values(), *slow.values()):
            timed(command, env)
        before = world.calls()
        times: dict[str, list[float]] = {name: [] for name in (*commands, *slow)}
        for round_ in range(rounds):
            # Seldom, since it takes long; but in turns, as all others.
            turn = commands | slow if round_ % 15 == 0 else commands
            for name, command in turn.items():
                times[name].append(timed(command, env))
        asked = world.calls() - before
    median = {name: statistics.median(all_) * 1e3 for name, all_ in times.items()}
    first = next(iter(programs))
    ratios = "; ".join(f"{median[n] / median['/bin/true']:.2f} × /bin/true ({n})" for n in programs)
    absolute = ", ".join(f"{name} {ms:.2f} ms" for name, ms in median.items())
    row = report.Row(
        "rolekeeper credential-process with a warm file store, no agent, start to exit",
        "≤ 4 × /bin/true",
        ratios,
        f"{absolute}; {asked} STS calls; medians of {rounds}",
        median[first] <= 4 * median["/bin/true"] and asked == 0,
    )
    if "aws" not in median:
        return [row, report.Row(
            "the same beside aws configure export-credentials", "≥ 100 × faster",
            "not run: there is no AWS CLI v2 here", "", None,
        )]
    faster = median["aws"] / median[first]
    return [row, report.Row(
        "the same beside aws configure export-credentials of keys in a file", "≥ 100 × faster",
        f"{faster:.0f} × faster", f"aws {median['aws']:.0f} ms ({aws_version(aws)})", faster >= 100,
    )]


def timed(command: list[str], env: dict[str, str]) -> float:
    actions = [(os.POSIX_SPAWN_OPEN, 1, os.devnull, os.O_WRONLY, 0)]
    begin = time.perf_counter()
    pid = os.posix_spawn(command[0], command, env, file_actions=actions)
    status = os.waitpid(pid, 0)[1]
    took = time.perf_counter() - begin
    if status:
        raise SystemExit(f"error: {' '.join(command)} failed")
    return took


def aws_version(aws: str | None) -> str:
    told = aws and subprocess.run([aws, "--version"], capture_output=True, text=True).stdout
    return told.split(" ")[0].strip() if told else "no AWS CLI v2"


def aws_cli() -> str | None:
    """Version 2: the first has no such command, and often stands before it."""
    folders = [*os.environ["PATH"].split(os.pathsep), "/usr/bin", "/usr/local/bin"]
    found = (shutil.which("aws", path=folder) for folder in folders)
    return next((aws for aws in found if aws_version(aws).startswith("aws-cli/2")), None)


# === cold processes ===


@dataclass
class Read:
    first: float
    keys: list[str]
    failed: int
    reads: int
    worst: float
    why: str


class Readers:
    """Processes that are ready to read, and are all let go at once."""

    def __init__(self, world: World, hosts: list[dict[str, str]], arguments: list[str]):
        self.gate, gate = os.pipe()
        self.processes = [
            world.started(
                [sys.executable, str(READER), *arguments], env, stdin=self.gate,
                stdout=subprocess.PIPE, close_fds=True,
            )
            for env in hosts
        ]
        self._let_go = gate
        for process in self.processes:
            if process.stdout.readline() != "ready\n":
                raise SystemExit("error: a reader did not get ready")

    def let_go(self) -> float:
        begin = time.monotonic()
        os.close(self._let_go)
        return begin

    def told(self) -> list[Read]:
        reads = [Read(**json.loads(process.stdout.readline())) for process in self.processes]
        os.close(self.gate)
        return reads


def cold_processes(options: Options, kind: str, count: int) -> tuple[int, float]:
    """Calls of STS, and the seconds until the last of them has a session."""
    with World(options, faults={"latency_ms": int(SOURCE * 1000)}) as world:
        env = world.home("one")
        store = "file" if kind == "rolekeeper" else str(world.folder / "cache")
        # What needs keys of its own has them where botocore looks too.
        env |= {"AWS_PROFILE": "base"}
        readers = Readers(world, [env] * count, [kind, DEMO, store, *STAY])
        begin = readers.let_go()
        reads = readers.told()
        if why := next((read.why for read in reads if read.failed), None):
            raise SystemExit(f"error: a {kind} process failed: {why}")
        return world.calls(), max(read.first for read in reads) - begin


def cold(options: Options) -> list[report.Row]:
    count = 20 if options.quick else 100
    found = {
        kind: cold_processes(options, kind, count) for kind in ("rolekeeper", "botocore")
    }
    (calls, last), (theirs, their_last) = found["rolekeeper"], found["botocore"]
    return [report.Row(
        f"{count} cold processes at once, one role, file store, 100 ms source",
        "1 AssumeRole; all served within the source's time + 200 ms",
        f"AssumeRole calls: {calls}; botocore's with one cache folder {theirs}",
        f"the last is served after {last * 1e3:.0f} ms; botocore's {their_last * 1e3:.0f} ms",
        calls == 1 and last <= SOURCE + 0.2,
    )]


# === fleet ===


@contextlib.contextmanager
def redis(world: World) -> Iterator[tuple[str, subprocess.Popen]]:
    """A primary, a replica, and a sentinel that watches them; the store's address."""
    ports = [free_port() for _ in range(3)]
    primary, replica, sentinel = ports
    local = ["--bind", "127.0.0.1", "--save", "", "--dir", str(world.folder)]
    first = world.started(["redis-server", "--port", str(primary), *local], os.environ.copy(),
                          stdout=subprocess.DEVNULL)
    wait_for_port(primary)
    world.started(
        ["redis-server", "--port", str(replica), *local, "--replicaof", "127.0.0.1", str(primary)],
        os.environ.copy(), stdout=subprocess.DEVNULL,
    )
    wait_for_port(replica)
    file = world.folder / "sentinel.conf"
    file.write_text(
        f"port {sentinel}\nbind 127.0.0.1\nsentinel monitor fleet 127.0.0.1 {primary} 1\n"
        "sentinel down-after-milliseconds fleet 500\nsentinel failover-timeout fleet 3000\n"
    )
    world.started(["redis-server", str(file), "--sentinel"], os.environ.copy(),
                  stdout=subprocess.DEVNULL)
    wait_for_port(sentinel)
    # It knows of the replica once it has asked the primary.
    deadline = time.monotonic() + 30
    while b"slave0" not in ask(sentinel, b"INFO sentinel\r\n") and time.monotonic() < deadline:
        if b"slaves=1" in ask(sentinel, b"INFO sentinel\r\n"):
            break
        time.sleep(0.1)
    yield f"redis+sentinel://127.0.0.1:{sentinel}/fleet", first


def ask(port: int, words: bytes) -> bytes:
    with socket.create_connection(("127.0.0.1", port), 5) as connection:
        connection.sendall(words)
        return connection.recv(65536)


def free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return free.getsockname()[1]


def wait_for_port(port: int) -> None:
    deadline = time.monotonic() + 30
    while True:
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
            return
        except OSError:
            if time.monotonic() > deadline:
                raise SystemExit("error: a server did not start") from None
            time.sleep(0.02)


def fleet(options: Options) -> list[report.Row]:
    hosts, each = (5, 4) if options.quick else (50, 4)
    what = f"{hosts * each} processes as {hosts} hosts on one Redis, 10 s sessions"
    must = "STS calls = sessions × 1; 0 failed reads"
    if why := missing("redis-server"):
        return [report.Row(what, must, why, "", None)]
    rows = []
    for fails_over, seconds in ((False, 15), (True, 15)) if options.quick else (
        (False, 120), (True, 120),
    ):
        with World(options, lifetime="10s", faults={"latency_ms": 50}) as world:
            with redis(world) as (store, primary):
                envs = [
                    world.home(f"host-{host}")
                    | {"AWS_PROFILE": "base", "ROLEKEEPER_STORE_KEY": KEY}
                    for host in range(hosts)
                ]
                arguments = ["rolekeeper", DEMO, store, str(seconds), "0.05"]
                readers = Readers(world, envs * each, arguments)
                readers.let_go()
                if fails_over:
                    time.sleep(seconds / 2)
                    primary.kill()
                reads = readers.told()
                calls = world.calls()
        seen = collections.Counter(key for read in reads for key in read.keys)
        # A session that one has fetched for itself is none that all have.
        sessions = sum(count > len(reads) / 2 for count in seen.values())
        failed, all_ = sum(read.failed for read in reads), sum(read.reads for read in reads)
        worst = max(read.worst for read in reads)
        minutes = f"{seconds // 60} minutes" if seconds >= 60 else f"{seconds} s"
        rows.append(report.Row(
            f"{what}, {minutes}" + (", its primary killed in the middle" if fails_over else ""),
            must,
            f"STS calls: {calls} for {sessions} sessions; failed: {failed} of {all_:,} reads",
            f"worst read {worst * 1e3:.1f} ms; each for itself they would need "
            f"{hosts * each * sessions:,} calls",
            calls == sessions and failed == 0,
        ))
    return rows


# === a million ===


def simulated(options: Options) -> list[report.Row]:
    workers = "10000" if options.quick else "1000000"
    rows = []
    for scenario, what in {
        "start": "simulated workers, 1 h sessions, all started in the same minute",
        "fail-over": "the same; the store is gone for 30 s and forgets everything",
    }.items():
        command = [str(options.program), "simulate", "--workers", workers, "--only", scenario]
        told = subprocess.run(command, check=True, capture_output=True, text=True).stdout
        line = re.compile(
            r"^(rolekeeper \+ store|rolekeeper alone|SDKs' standard|botocore) +([\d,]+) +([\d,]+)",
            re.M,
        )
        found = {name: (peak, hour) for name, peak, hour in line.findall(told)}
        ours = found.pop("rolekeeper + store")
        rows.append(report.Row(
            f"{int(workers):,} {what}" if scenario == "start" else what,
            "peak STS calls a second and calls an hour, beside the peers' rules",
            f"{ours[0]} a second, {ours[1]} an hour",
            "; ".join(f"{name} {peak}, {hour}" for name, (peak, hour) in found.items()),
            None,
        ))
    return rows


PARTS = {"warm": warm, "cold": cold, "fleet": fleet, "simulated": simulated}


def main() -> None:
    parser = argparse.ArgumentParser(description="one session for many, measured")
    parser.add_argument("parts", nargs="*", metavar="PART", help=f"one of {', '.join(PARTS)}")
    parser.add_argument("--program", type=Path, default=ROOT / "target/release/rolekeeper")
    parser.add_argument("--dist", type=Path, help="the shipped build, if there is one")
    parser.add_argument("--quick", action="store_true", help="short rounds: only to try it")
    parser.add_argument("--append-to", type=Path, help="the Markdown file to add the table to")
    arguments = parser.parse_args()
    if unknown := set(arguments.parts) - set(PARTS):
        parser.error(f"no such part: {', '.join(sorted(unknown))}")
    dist = arguments.dist if arguments.dist and arguments.dist.exists() else None
    options = Options(arguments.program.resolve(), dist, arguments.quick)
    before = os.getloadavg()[0]
    rows: list[report.Row] = []
    for name, measure in PARTS.items():
        if not arguments.parts or name in arguments.parts:
            print(f"measuring: {name}", file=sys.stderr, flush=True)
            rows += measure(options)
    version = subprocess.run([options.program, "--version"], capture_output=True, text=True)
    told = [
        ("load", f"{before:.2f} at the beginning, {os.getloadavg()[0]:.2f} at the end"),
        ("versions", f"{version.stdout.strip()}, {aws_version(aws_cli())}"),
    ]
    print(report.text(told, rows))
    if arguments.append_to is not None:
        with arguments.append_to.open("a", encoding="utf-8") as file:
            file.write(report.markdown(SECTION, told, rows))


if __name__ == "__main__":
    main()
