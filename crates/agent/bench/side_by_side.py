"""The agent, beside nginx and /bin/true, in one run.

`cargo xtask bench` runs it with the command it has built, and adds its table to
``bench/RESULTS.md``. It is a report, not a test: it fails only when it can't measure, and a
requirement that is not met is printed as such.

Method
    *Endpoint*: wrk with 2 threads and 64 connections asks the agent and nginx in turns; nginx
    serves the same bytes as a file. The ratio is taken round by round; medians are reported.

    *Refresh, outage*: runs with sessions of an hour tell the noise; then runs in which STS is
    called, and runs in which each such call fails. The sandbox counts the calls.

    *Processes*: wall time from start to exit, in turns, started with posix_spawn.

    *Memory*: VmRSS of the agent, of the shipped build where there is one. *Cold start*: all connections are open before the first asks, and
    STS holds its answer until all have asked.

A part of it alone, printed and not written: ``side_by_side.py --program PATH throughput``, or
``refresh``, ``process``, ``memory``, ``cold``. ``--quick`` shows that it works, no more.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import re
import resource
import selectors
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

ROOT = Path(__file__).resolve().parents[3]
sys.path.insert(0, str(ROOT / "crates/python/bench"))
import report  # noqa: E402

SECTION = report.Section("Agent", "crates/agent/bench/side_by_side.py")
DEMO = "arn:aws:iam::123456789012:role/demo"
DONE = """
done = function(summary, latency, requests)
  local e = summary.errors
  print(string.format("told %d %d %d %d %d %d", summary.requests, summary.duration,
    latency:percentile(99), latency:percentile(99.9), latency.max,
    e.connect + e.read + e.write + e.status + e.timeout))
end
"""


@dataclass
class Options:
    program: Path
    dist: Path | None
    quick: bool


@contextlib.contextmanager
def running(command: list[str], env: dict[str, str], **more) -> Iterator[subprocess.Popen]:
    process = subprocess.Popen(command, env=env, stderr=subprocess.DEVNULL, **more)
    try:
        yield process
    finally:
        process.terminate()
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return free.getsockname()[1]


class Bench:
    """A sandbox and an agent, in a home of their own."""

    def __init__(self, options: Options, *, lifetime="3600s", config=None, sandbox_config=None,
                 faults=None):
        self.options, self.stack = options, contextlib.ExitStack()
        self.lifetime, self.config, self.sandbox_config = lifetime, config, sandbox_config
        self.faults = faults

    def __enter__(self) -> Bench:
        try:
            self._start()
        except BaseException:
            self.stack.close()
            raise
        return self

    def __exit__(self, *_) -> None:
        self.stack.close()

    def _start(self) -> None:
        home = self.home = Path(self.stack.enter_context(tempfile.TemporaryDirectory()))
        (home / "run").mkdir(mode=0o700)
        (home / ".aws").mkdir()
        (home / ".aws/config").write_text(
            f"[profile bench]\nrole_arn = {DEMO}\ncredential_source = Environment\n"
        )
        self.env = {"HOME": str(home), "XDG_RUNTIME_DIR": str(home / "run"),
                    "PATH": os.environ["PATH"]}
        program = str(self.options.program)
        command = [program, "sandbox", "--json", "--session-lifetime", self.lifetime]
        if self.faults:
            command += ["--faults", json.dumps(self.faults)]
        if self.sandbox_config:
            (home / "sandbox.toml").write_text(self.sandbox_config)
            command += ["--config", str(home / "sandbox.toml")]
        sandbox = self.stack.enter_context(
            running(command, self.env, stdout=subprocess.PIPE, text=True)
        )
        told = json.loads(sandbox.stdout.readline())
        self.admin_token = told["ROLEKEEPER_SANDBOX_TOKEN"]
        self.sts = told["AWS_ENDPOINT_URL"]
        self.env |= told
        self.port = free_port()
        command = [program, "serve", "--listen", f"127.0.0.1:{self.port}"]
        if self.config:
            (home / "agent.toml").write_text(self.config)
            command += ["--config", str(home / "agent.toml")]
        else:
            command += ["--profile", "bench"]
        self.agent = self.stack.enter_context(
            running(command, self.env, stdout=(home / "out").open("w"))
        )
        wait_for(lambda: "export" in (home / "out").read_text(), "the agent to listen", self.agent)
        out = (home / "out").read_text()
        self.url = re.search(r"FULL_URI='?([^'\s]+)", out)[1]
        file = re.search(r"TOKEN_FILE='?([^'\s]+)", out)[1]
        self.token = Path(file).read_text().strip()

    def read(self) -> bytes:
        request = urllib.request.Request(self.url, headers={"Authorization": self.token})
        with urllib.request.urlopen(request, timeout=30) as answer:
            return answer.read()

    def admin(self, method: str, what: str, body: object = None):
        request = urllib.request.Request(
            f"{self.sts}/_sandbox/{what}", method=method,
            data=None if body is None else json.dumps(body).encode(),
            headers={"Authorization": f"Bearer {self.admin_token}"},
        )
        with urllib.request.urlopen(request, timeout=30) as answer:
            return json.load(answer)

    def calls(self) -> tuple[int, int]:
        """Of AssumeRole: served, and failed."""
        rows = [r for r in self.admin("GET", "counts")["rows"] if r["operation"] == "AssumeRole"]
        served = sum(row["calls"] for row in rows if row["result"] == "ok")
        return served, sum(row["calls"] for row in rows) - served

    def rss(self) -> int:
        status = Path(f"/proc/{self.agent.pid}/status").read_text()
        return int(re.search(r"VmRSS:\s+(\d+)", status)[1]) * 1024

    def rss_after_a_read(self) -> int:
        self.read()
        time.sleep(1)
        return self.rss()

    def wrk(self, seconds: int) -> Run:
        return wrk(self.url, seconds, self.home, self.token)


def wait_for(condition, what: str, process=None, seconds=60) -> None:
    end = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > end or (process and process.poll() is not None):
            raise SystemExit(f"error: waited in vain for {what}")
        time.sleep(0.02)


@dataclass
class Run:
    rate: float
    p99: float
    p999: float
    worst: float
    failed: int


def wrk(url: str, seconds: int, folder: Path, token: str = "-") -> Run:
    (folder / "done.lua").write_text(DONE)
    out = subprocess.run(
        ["wrk", "-t2", "-c64", f"-d{seconds}s", "-s", str(folder / "done.lua"),
         "-H", f"Authorization: {token}", url],
        check=True, capture_output=True, text=True,
    ).stdout
    requests, micros, p99, p999, worst, failed = map(
        int, re.search(r"^told (.*)$", out, re.M)[1].split()
    )
    return Run(requests / micros * 1e6, p99 / 1e3, p999 / 1e3, worst / 1e3, failed)


def missing(*programs: str) -> str | None:
    without = [name for name in programs if not shutil.which(name)]
    return f"not run: {without[0]} is missing" if without else None


@contextlib.contextmanager
def nginx(body: bytes) -> Iterator[str]:
    with tempfile.TemporaryDirectory() as name:
        folder, port = Path(name), free_port()
        folder.chmod(0o755)
        (folder / "html").mkdir()
        (folder / "html/body").write_bytes(body)
        temporary = " ".join(
            f"{kind}_temp_path {name}/{kind};"
            for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
        )
        user = "user root;" if os.geteuid() == 0 else ""
        (folder / "nginx.conf").write_text(
            f"worker_processes 2; daemon off; pid {name}/pid; error_log {name}/err; {user}\n"
            "events { worker_connections 4096; }\n"
            f"http {{ access_log off; sendfile on; tcp_nodelay on; {temporary}\n"
            "keepalive_requests 100000000; keepalive_timeout 60; open_file_cache max=100;\n"
            "default_type application/json;\n"
            f"server {{ listen 127.0.0.1:{port}; root {name}/html; }} }}\n"
        )
        command = ["nginx", "-e", f"{name}/err", "-c", f"{name}/nginx.conf"]
        with running(command, dict(os.environ)) as process:
            def answers() -> bool:
                with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port)):
                    return True
                return False
            wait_for(answers, "nginx to listen", process)
            yield f"http://127.0.0.1:{port}/body"


def throughput(options: Options) -> list[report.Row]:
    what = "container endpoint, keep-alive, wrk with 2 threads, 64 connections"
    must_be = "≥ 0.8 × nginx's requests a second for the same bytes as a file; p99 ≤ 2 × nginx's"
    if why := missing("wrk", "nginx"):
        return [report.Row(what, must_be, why, "", None)]
    rounds, seconds = (2, 1) if options.quick else (5, 5)
    with Bench(options) as bench, nginx(bench.read()) as url:
        pairs = [(bench.wrk(seconds), wrk(url, seconds, bench.home)) for _ in range(rounds)]
    median = statistics.median
    rate = median(ours.rate / theirs.rate for ours, theirs in pairs)
    p99 = median(ours.p99 / theirs.p99 for ours, theirs in pairs)
    ours, theirs = zip(*pairs)
    failed = sum(run.failed for run in ours)
    return [report.Row(
        what, must_be, f"{rate:.2f} × nginx's requests a second; p99 {p99:.2f} × nginx's",
        f"{median(r.rate for r in ours):,.0f} requests a second, p99 "
        f"{median(r.p99 for r in ours):.2f} ms; nginx "
        f"{median(r.rate for r in theirs):,.0f}, {median(r.p99 for r in theirs):.2f} ms; "
        f"{failed} failed; {rounds} rounds of {seconds} s",
        rate >= 0.8 and p99 <= 2 and failed == 0,
    )]


def refresh(options: Options) -> list[report.Row]:
    must_be = "p99.9 within the noise of runs without; none fails"
    names = ["the same, across a refresh", "the same, across an STS outage"]
    if why := missing("wrk"):
        return [report.Row(name, must_be, why, "", None) for name in names]
    rounds, seconds, lifetime = (2, 8, 10) if options.quick else (5, 15, 20)
    plain, across, outage = [], [], []
    calls = [0, 0]
    with Bench(options) as calm, Bench(options, lifetime=f"{lifetime}s") as short:
        calm.read(), short.read()
        for _ in range(rounds):
            plain.append(calm.wrk(seconds))
            before = short.calls()[0]
            across.append(short.wrk(seconds))
            calls[0] += short.calls()[0] - before
            # From a fresh session on: it outlives the run.
            before = short.calls()[0]
            wait_for(lambda: short.calls()[0] > before, "a refresh")  # noqa: B023
            failed = short.calls()[1]
            short.admin("PUT", "faults", {"fail": {"status": 503}})
            outage.append(short.wrk(seconds))
            calls[1] += short.calls()[1] - failed
            short.admin("DELETE", "faults")
    low, high = min(r.p999 for r in plain), max(r.p999 for r in plain)
    middle = statistics.median(r.p999 for r in plain)
    rows = []
    for name, runs, made, kind in zip(names, (across, outage), calls, ("served", "failed")):
        p999 = statistics.median(r.p999 for r in runs)
        failed = sum(r.failed for r in runs)
        rows.append(report.Row(
            name, must_be, f"p99.9 {p999 / middle:.2f} × that without; failed: {failed}",
            f"p99.9 {p999:.2f} ms, worst {max(r.worst for r in runs):.1f} ms; without "
            f"{middle:.2f} ms ({low:.2f} to {high:.2f}), worst "
            f"{max(r.worst for r in plain):.1f} ms; {made} STS calls {kind} in "
            f"{rounds} runs of {seconds} s",
            p999 <= high and failed == 0 and made > 0,
        ))
    return rows


def process(options: Options) -> list[report.Row]:
    programs = {"release": options.program}
    if options.dist:
        programs = {"shipped build": options.dist, **programs}
    rounds = 30 if options.quick else 200
    commands = {"/bin/true": ["/bin/true"]} | {
        name: [str(path), "credential-process", "--profile", "bench"]
        for name, path in programs.items()
    }
    times: dict[str, list[float]] = {name: [] for name in commands}
    with Bench(options) as bench:
        bench.read()
        before = sum(bench.calls())
        actions = [(os.POSIX_SPAWN_OPEN, 1, os.devnull, os.O_WRONLY, 0)]
        for _ in range(rounds):
            for name, command in commands.items():
                start = time.perf_counter()
                pid = os.posix_spawn(command[0], command, bench.env, file_actions=actions)
                status = os.waitpid(pid, 0)[1]
                times[name].append(time.perf_counter() - start)
                if status:
                    raise SystemExit(f"error: {' '.join(command)} failed")
        asked = sum(bench.calls()) - before
    median = {name: statistics.median(all_) * 1e3 for name, all_ in times.items()}
    ratios = {name: median[name] / median["/bin/true"] for name in programs}
    first = next(iter(programs))
    return [report.Row(
        "rolekeeper credential-process with an agent running, start to exit", "≤ 3 × /bin/true",
        "; ".join(f"{ratio:.2f} × /bin/true ({name})" for name, ratio in ratios.items()),
        ", ".join(f"{name} {ms:.2f} ms" for name, ms in median.items())
        + f"; {asked} STS calls; medians of {rounds}",
        ratios[first] <= 3 and asked == 0,
    )]


def memory(options: Options) -> list[report.Row]:
    many = 500 if options.quick else 10_000
    with Bench(options) as bench:
        plain = bench.rss_after_a_read()
    shipped = replace(options, program=options.dist or options.program)
    with Bench(shipped) as bench:
        one = bench.rss_after_a_read()
        connections: list[socket.socket] = []
        wanted = 500 if options.quick else 10_000
        try:
            for _ in range(wanted):
                try:
                    connections.append(ask(bench))
                    answer(connections[-1])
                except OSError:
                    break
            time.sleep(1)
            idle = (bench.rss() - one) / max(1, len(connections))
        finally:
            for connection in connections:
                connection.close()
    # Of one account: the pace is raised to fetch them all soon.
    roles = "".join(
        f'[role.r{n}]\nrole_arn = "{DEMO}"\nsession_name = "r{n}"\n' for n in range(many)
    )
    with Bench(shipped, config=f"pace = 1000\n{roles}") as bench:
        wait_for(lambda: bench.calls()[0] >= many, f"{many} roles", bench.agent, 300)
        time.sleep(2)
        further = (bench.rss() - one) / (many - 1)
    return [
        report.Row("memory with 1 role", "≤ 15 MB", f"{one / 1e6:.1f} MB",
                   f"VmRSS, after a read; the release build, not optimised as one piece: "
                   f"{plain / 1e6:.1f} MB",
                   one <= 15e6),
        report.Row(f"memory with {many:,} roles, all fetched", "≤ 4 KB a further role",
                   f"{further / 1024:.2f} KB a further role", "VmRSS beyond that with 1 role",
                   further <= 4096),
        report.Row(f"memory with {len(connections):,} idle connections", "reported",
                   f"{idle / 1024:.2f} KB a connection",
                   f"kept alive after one read each; wanted: {wanted:,}", None),
    ]


def ask(bench: Bench) -> socket.socket:
    connection = socket.create_connection(("127.0.0.1", bench.port), 30)
    send(bench, connection)
    return connection


def send(bench: Bench, connection: socket.socket) -> None:
    path = bench.url.split(str(bench.port), 1)[1]
    connection.sendall(
        f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1:{bench.port}\r\n"
        f"Authorization: {bench.token}\r\n\r\n".encode()
    )


def answer(connection: socket.socket) -> bool:
    return connection.recv(65536).startswith(b"HTTP/1.1 200 ")


def cold(options: Options) -> list[report.Row]:
    clients = 1_000
    with Bench(options, faults={"hang": True}) as bench, contextlib.ExitStack() as stack:
        connections = [
            stack.enter_context(socket.create_connection(("127.0.0.1", bench.port), 30))
            for _ in range(clients)
        ]
        for connection in connections:
            send(bench, connection)
        # STS holds its answer until all have asked, and a little longer.
        time.sleep(0.3)
        hanging = bench.admin("GET", "counts")["hanging"]
        start = time.perf_counter()
        bench.admin("DELETE", "faults")
        served = sum(answer(connection) for connection in connections)
        took = (time.perf_counter() - start) * 1e3
        ok, failed = bench.calls()
    return [report.Row(
        f"cold start, {clients:,} clients at once", "1 STS call", f"STS calls: {ok + failed}",
        f"{served:,} of {clients:,} answered 200, the last {took:.0f} ms after STS let go; calls "
        f"that STS held while they asked: {hanging}",
        ok + failed == 1 and hanging == 1 and served == clients,
    )]


PARTS = {"throughput": throughput, "refresh": refresh, "process": process, "memory": memory,
         "cold": cold}


def version(*command: str) -> str:
    if not shutil.which(command[0]):
        return "none"
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    return (done.stdout + done.stderr).strip().splitlines()[0].partition(" [")[0]


def main() -> None:
    parser = argparse.ArgumentParser(description="rolekeeper's agent beside nginx and /bin/true")
    parser.add_argument("parts", nargs="*", metavar="PART", help=f"one of {', '.join(PARTS)}")
    parser.add_argument("--program", type=Path, default=ROOT / "target/release/rolekeeper")
    parser.add_argument("--dist", type=Path, help="the shipped build, if there is one")
    parser.add_argument("--quick", action="store_true", help="short rounds: only to try it")
    parser.add_argument("--append-to", type=Path, help="the Markdown file to add the table to")
    arguments = parser.parse_args()
    if unknown := set(arguments.parts) - set(PARTS):
        parser.error(f"no such part: {', '.join(sorted(unknown))}")
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    dist = arguments.dist if arguments.dist and arguments.dist.exists() else None
    options = Options(arguments.program, dist, arguments.quick)
    before = os.getloadavg()[0]
    rows: list[report.Row] = []
    for name, measure in PARTS.items():
        if not arguments.parts or name in arguments.parts:
            print(f"measuring: {name}", file=sys.stderr, flush=True)
            rows += measure(options)
    told = [
        ("load", f"{before:.2f} at the beginning, {os.getloadavg()[0]:.2f} at the end"),
        ("versions", f"{version(str(options.program), '--version')}, "
                     f"{version('nginx', '-v')}, {version('wrk', '-v')}"),
    ]
    print(report.text(told, rows))
    if arguments.append_to is not None:
        with arguments.append_to.open("a", encoding="utf-8") as file:
            file.write(report.markdown(SECTION, told, rows))


if __name__ == "__main__":
    main()
