"""What a comparison runs in: a network of its own, a source of sessions, and processes that all end.

Peers are pointed at a source on this machine. So that one that asks elsewhere all the same reaches
nothing, and one that listens on every address is reached by nobody, all of it runs in a network
namespace that has only a loopback interface.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Protocol

HERE = Path(__file__).parent
ROLE = "arn:aws:iam::123456789012:role/demo"
REGION = "us-east-1"
# What one call of the source takes, in milliseconds: about that of STS in another Region.
LATENCY = 100
INSIDE = "ROLEKEEPER_COMPARE_NETWORK"
# Of <linux/sockios.h> and <linux/if.h>.
SIOCGIFFLAGS, SIOCSIFFLAGS, IFF_UP = 0x8913, 0x8914, 1

Process = subprocess.Popen[Any]


class Failed(Exception):
    """A measurement that could not be made, and why."""


def told(*words: object) -> None:
    print(*words, file=sys.stderr, flush=True)


# === a network of its own ===


def enter_own_network() -> bool:
    """Starts this program anew in a network namespace; False where that is not allowed."""
    if os.environ.get(INSIDE):
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as control:
            request = struct.pack("16sh14x", b"lo", 0)
            flags = struct.unpack("16sh14x", fcntl.ioctl(control, SIOCGIFFLAGS, request))[1]
            request = struct.pack("16sh14x", b"lo", flags | IFF_UP)
            fcntl.ioctl(control, SIOCSIFFLAGS, request)
        return True
    for more in ([], ["--user", "--map-root-user"]):
        command = ["unshare", *more, "--net"]
        with contextlib.suppress(OSError):
            if subprocess.run([*command, "true"], capture_output=True, check=False).returncode == 0:
                env = os.environ | {INSIDE: "1"}
                os.execvpe("unshare", [*command, sys.executable, *sys.argv], env)
    return False


def end_on_signals() -> None:
    """However it is ended, what it has started is ended too."""

    def leave(number: int, _frame: object) -> None:
        sys.exit(128 + number)

    for ending in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(ending, leave)


# === processes ===


@contextlib.contextmanager
def running(command: list[str], env: dict[str, str], **more: Any) -> Iterator[Process]:
    """A process with all that it starts: a group of its own, which ends with the block."""
    more = {"stdin": subprocess.DEVNULL, "stderr": subprocess.DEVNULL} | more
    process = subprocess.Popen(command, env=env, start_new_session=True, **more)
    try:
        yield process
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGTERM)
        try:
            process.wait(3)
        except subprocess.TimeoutExpired:
            pass
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()


def line_of(process: Process, what: str) -> str:
    assert process.stdout is not None
    line = str(process.stdout.readline())
    if not line:
        raise Failed(f"{what} ended with {process.wait()}")
    return line


def wait_for(condition: Callable[[], object], what: str, process: Process) -> None:
    end = time.monotonic() + 20
    while not condition():
        if time.monotonic() > end or process.poll() is not None:
            raise Failed(f"waited in vain for {what}")
        time.sleep(0.02)


def resident(pid: int) -> float:
    """VmRSS, in MB."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) * 1024 / 1e6
    raise Failed(f"process {pid} has ended")


def free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


def call(
    method: str, url: str, body: object = None, headers: dict[str, str] | None = None
) -> bytes:
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(url, data, headers or {}, method=method)
    with urllib.request.urlopen(request, timeout=30) as answer:
        return bytes(answer.read())


# === sources ===


class Source(Protocol):
    """Where sessions come from."""

    url: str

    def calls(self) -> int:
        """How often it was asked, whatever it answered."""

    def set(self, *, latency: int = LATENCY, down: bool = False, hang: bool = False) -> None:
        """How it answers from now on."""


class Sandbox:
    """`rolekeeper sandbox`: an STS whose sessions last as long as is wanted."""

    def __init__(self, program: str, lifetime: int, stack: contextlib.ExitStack):
        faults = json.dumps({"latency_ms": LATENCY})
        command = [program, "sandbox", "--json", "--faults", faults]
        command += ["--session-lifetime", f"{lifetime}s"]
        env = {"PATH": os.environ["PATH"]}
        process = stack.enter_context(running(command, env, stdout=subprocess.PIPE, text=True))
        said = json.loads(line_of(process, "the sandbox"))
        self.token = said["ROLEKEEPER_SANDBOX_TOKEN"]
        self.url = said["AWS_ENDPOINT_URL"]
        self.key = said["AWS_ACCESS_KEY_ID"], said["AWS_SECRET_ACCESS_KEY"]

    def admin(self, method: str, what: str, body: object = None) -> Any:
        headers = {"Authorization": f"Bearer {self.token}"}
        return json.loads(call(method, f"{self.url}/_sandbox/{what}", body, headers))

    def calls(self) -> int:
        rows = self.admin("GET", "counts")["rows"]
        issuing = ("AssumeRole", "GetSessionToken")
        return sum(row["calls"] for row in rows if row["operation"] in issuing)

    def hanging(self) -> int:
        return int(self.admin("GET", "counts")["hanging"])

    def set(self, *, latency: int = LATENCY, down: bool = False, hang: bool = False) -> None:
        faults = {"latency_ms": latency, "close_connection": down, "hang": hang}
        self.admin("PUT", "faults", faults)


class CreateSession:
    """`create_session.py`: IAM Roles Anywhere's one call, which the sandbox does not have."""

    def __init__(self, lifetime: int, stack: contextlib.ExitStack):
        command = [sys.executable, str(HERE / "create_session.py")]
        command += ["--lifetime", str(lifetime), "--latency", str(LATENCY)]
        env = {"PATH": os.environ["PATH"], "PYTHONDONTWRITEBYTECODE": "1"}
        process = stack.enter_context(running(command, env, stdout=subprocess.PIPE, text=True))
        self.url = line_of(process, "create_session.py").strip()

    def calls(self) -> int:
        return int(json.loads(call("GET", f"{self.url}/_calls")))

    def set(self, *, latency: int = LATENCY, down: bool = False, hang: bool = False) -> None:
        call("PUT", f"{self.url}/_faults", {"latency_ms": latency, "down": down})


# === homes ===


class Home:
    """A folder that the programs take for their user's, and their environment: nobody else's."""

    def __init__(self, source: Source, stack: contextlib.ExitStack):
        self.path = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="compare-")))
        (self.path / "run").mkdir(mode=0o700)
        (self.path / ".aws").mkdir()
        self.env = {
            "PATH": os.environ["PATH"],
            "HOME": str(self.path),
            "XDG_RUNTIME_DIR": str(self.path / "run"),
            "AWS_REGION": REGION,
            "AWS_DEFAULT_REGION": REGION,
            "AWS_ENDPOINT_URL": source.url,
            "AWS_ENDPOINT_URL_STS": source.url,
            "AWS_EC2_METADATA_DISABLED": "true",
            "NO_PROXY": "127.0.0.1",
        }
        if isinstance(source, Sandbox):
            id_, secret = source.key
            # In this file too: some versions of the AWS CLI look for keys in it only.
            (self.path / ".aws/credentials").write_text(
                f"[base]\naws_access_key_id = {id_}\naws_secret_access_key = {secret}\n"
            )
            self.keys = {"AWS_ACCESS_KEY_ID": id_, "AWS_SECRET_ACCESS_KEY": secret}
        where = f"region = {REGION}\nendpoint_url = {source.url}\n"
        (self.path / ".aws/config").write_text(
            f"[profile base]\n{where}"
            f"[profile bench]\nrole_arn = {ROLE}\nsource_profile = base\n{where}"
        )
