"""Which servers and commands are compared, how each is started, and where it looks for sessions.

Each is pointed at a source of this machine by its own settings, and has a home of its own. A
server is started as its documentation says, with nothing tuned.
"""

from __future__ import annotations

import contextlib
import re
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from shutil import which

from probe import Endpoint
from world import (
    REGION,
    ROLE,
    CreateSession,
    Failed,
    Home,
    Process,
    Sandbox,
    Source,
    call,
    free_port,
    line_of,
    running,
    wait_for,
)

OURS, VAULT, HELPER, BROKER = "rolekeeper", "aws-vault", "aws_signing_helper", "imds-broker"
IMDS = "/latest/meta-data/iam/security-credentials/"
# The same server's other face, for those that have no container endpoint to be compared with.
OURS_IMDS = "rolekeeper, IMDS"
ALL = (VAULT, HELPER, BROKER)
VERSION_WORDS = {OURS: "--version", VAULT: "--version", HELPER: "version", BROKER: "version"}
NOT_COMPARED = {
    "aws-vault --ec2-server": "binds 169.254.169.254, by a helper that runs as root",
    "aws_signing_helper with IAM Roles Anywhere": "its source is a stand-in for CreateSession, "
    "which takes as long as the sandbox and verifies nothing",
    "aws-cli v2, cold processes": "versions before 2.13 take no other STS than the real one",
    "aws-runas": "not driven: its module was not to be had where this comparison was written",
    "eks-pod-identity-agent": "not driven: the SDK's module for the API that it calls was not to be "
    "had where this comparison was written",
}
ANYWHERE = f"arn:aws:rolesanywhere:{REGION}:123456789012"
# What aws_signing_helper keeps of a session at its end: it asks anew when less is left, in seconds.
HELPER_WINDOW = 600
SHOW = (
    'printf "%s %s\\n" "$AWS_CONTAINER_CREDENTIALS_FULL_URI" "$AWS_CONTAINER_AUTHORIZATION_TOKEN"'
)


@dataclass(frozen=True)
class Peers:
    """The programs that are here; None for one that is not."""

    # For the sandbox.
    rolekeeper: str
    # The build that is shipped, which is measured; the same if there is none.
    dist: str
    folder: Path
    # Whether they run in a network of their own.
    alone: bool

    def program(self, name: str) -> str | None:
        if name in (OURS, OURS_IMDS):
            return self.dist
        path = self.folder / name
        return str(path) if path.exists() else None

    def servers(self) -> list[str]:
        able = {OURS: True, VAULT: True, HELPER: which("openssl") is not None, BROKER: self.alone}
        return [name for name in able if able[name] and self.program(name)]


@dataclass
class Server:
    name: str
    endpoint: Endpoint
    source: Source
    pid: int


# === source and server ===


@contextlib.contextmanager
def served(peers: Peers, name: str, lifetime: int, *, lazy: bool = False) -> Iterator[Server]:
    """A server with a source of its own, whose sessions it would use for so many seconds."""
    with contextlib.ExitStack() as stack:
        source: Source
        if name == HELPER:
            source = CreateSession(lifetime + HELPER_WINDOW, stack)
        else:
            source = Sandbox(peers.rolekeeper, lifetime, stack)
        if lazy:
            source.set(hang=True)
        home = Home(source, stack)
        start = {
            OURS: rolekeeper,
            OURS_IMDS: rolekeeper_imds,
            VAULT: aws_vault,
            HELPER: signing_helper,
            BROKER: imds_broker,
        }
        program = peers.program(name)
        assert program is not None
        endpoint, pid = start[name](program, home, source, stack, lazy)
        yield Server(name, endpoint, source, pid)


Started = tuple[Endpoint, int]


def rolekeeper(
    program: str, home: Home, _source: Source, stack: contextlib.ExitStack, _lazy: bool
) -> Started:
    process = serve(program, home, stack)
    url, file = None, None
    while not (url and file):
        line = line_of(process, "rolekeeper serve")
        url = url or re.search(r"FULL_URI='?([^'\s]+)", line)
        file = file or re.search(r"TOKEN_FILE='?([^'\s]+)", line)
    token = Path(file[1]).read_text()
    return Endpoint(url[1], {"Authorization": token}), process.pid


def rolekeeper_imds(
    program: str, home: Home, _source: Source, stack: contextlib.ExitStack, _lazy: bool
) -> Started:
    address = f"127.0.0.1:{free_port()}"
    process = serve(program, home, stack, "--imds", f"bench={address}")
    return imds(f"http://{address}", process), process.pid


def serve(program: str, home: Home, stack: contextlib.ExitStack, *more: str) -> Process:
    command = [program, "serve", "--profile", "bench", "--store", "none", *more]
    command += ["--listen", f"127.0.0.1:{free_port()}"]
    return stack.enter_context(running(command, home.env, stdout=subprocess.PIPE, text=True))


def aws_vault(
    program: str, home: Home, source: Source, stack: contextlib.ExitStack, lazy: bool
) -> Started:
    env = vault_home(program, home, source)
    command = [program, "exec", "--ecs-server", *(["--lazy"] if lazy else []), "bench", "--"]
    command += ["sh", "-c", f"{SHOW}; exec sleep 3600"]
    process = stack.enter_context(running(command, env, stdout=subprocess.PIPE, text=True))
    url, token = line_of(process, "aws-vault exec").split()
    return Endpoint(url, {"Authorization": token}), process.pid


def vault_home(program: str, home: Home, source: Source) -> dict[str, str]:
    """Its keys, in a file of its own: a desktop's or the kernel's keyring is not for a test."""
    assert isinstance(source, Sandbox)
    # Its server wants a program that could ask for MFA codes, though no code is asked for.
    (tools := home.path / "bin").mkdir()
    (tools / "zenity").write_text("#!/bin/sh\nexit 1\n")
    (tools / "zenity").chmod(0o755)
    env = home.env | {
        "AWS_VAULT_BACKEND": "file",
        "AWS_VAULT_FILE_PASSPHRASE": "opens nothing",
        "AWS_VAULT_FILE_DIR": str(home.path / "vault"),
        "PATH": f"{tools}:{home.env['PATH']}",
    }
    added = subprocess.run(
        [program, "add", "--env", "--no-add-config", "base"],
        env=env | home.keys,
        capture_output=True,
        text=True,
        check=False,
        timeout=30,
    )
    if added.returncode:
        raise Failed(f"aws-vault add: {added.stderr.strip()}")
    return env


def signing_helper(
    program: str, home: Home, source: Source, stack: contextlib.ExitStack, _lazy: bool
) -> Started:
    assert isinstance(source, CreateSession)
    port = free_port()
    command = [program, "serve", *anywhere(home, source), "--port", str(port)]
    process = stack.enter_context(running(command, home.env, stdout=subprocess.DEVNULL))
    return imds(f"http://127.0.0.1:{port}", process), process.pid


def anywhere(home: Home, source: Source) -> list[str]:
    """The options of aws_signing_helper that say who asks, for what, and where."""
    key, certificate = home.path / "key.pem", home.path / "certificate.pem"
    if not key.exists():
        subprocess.run(
            ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256",
             "-nodes", "-days", "1", "-subj", "/CN=compare", "-addext",
             "keyUsage=digitalSignature", "-keyout", str(key), "-out", str(certificate)],
            check=True, capture_output=True,
        )  # fmt: skip
    return [
        "--certificate", str(certificate), "--private-key", str(key), "--role-arn", ROLE,
        "--trust-anchor-arn", f"{ANYWHERE}:trust-anchor/00000000-0000-0000-0000-000000000000",
        "--profile-arn", f"{ANYWHERE}:profile/00000000-0000-0000-0000-000000000000",
        "--region", REGION, "--endpoint", source.url,
    ]  # fmt: skip


def imds_broker(
    program: str, home: Home, _source: Source, stack: contextlib.ExitStack, _lazy: bool
) -> Started:
    log = stack.enter_context((home.path / "broker.log").open("w"))
    command = [program, "serve", "--profile", "bench"]
    process = stack.enter_context(running(command, home.env, stderr=log))

    def listening() -> re.Match[str] | None:
        return re.search(r"url=http://\S+:(\d+)\s", (home.path / "broker.log").read_text())

    wait_for(listening, "imds-broker to listen", process)
    found = listening()
    assert found is not None
    return imds(f"http://127.0.0.1:{found[1]}", process), process.pid


def imds(url: str, process: Process) -> Endpoint:
    """Waits until it listens, and gets a token as an SDK does."""

    def token() -> str | None:
        with contextlib.suppress(OSError):
            ttl = {"X-aws-ec2-metadata-token-ttl-seconds": "21600"}
            return call("PUT", f"{url}/latest/api/token", headers=ttl).decode()
        return None

    wait_for(token, "a token", process)
    headers = {"X-aws-ec2-metadata-token": str(token())}
    role = call("GET", url + IMDS, headers=headers).decode().strip()
    return Endpoint(f"{url}{IMDS}{role}", headers)


# === versions ===


def versions(peers: Peers, aws: dict[str, str]) -> dict[str, str]:
    """Of all that is here, in its own words."""
    commands = {name: [path, "--version"] for name, path in aws.items()}
    for name, word in VERSION_WORDS.items():
        if path := peers.program(name):
            commands[name] = [path, word]
    for name in ("wrk", "openssl"):
        if path := which(name):
            commands[name] = [path, "-v" if name == "wrk" else "version"]
    return {name: version(command) for name, command in commands.items()}


def version(command: list[str]) -> str:
    done = subprocess.run(
        command, capture_output=True, text=True, check=False, timeout=30,
        stdin=subprocess.DEVNULL,
    )  # fmt: skip
    said = (done.stdout + done.stderr).strip()
    if number := re.search(r"\d+\.\d+(\.\d+)?\S*", said.partition("\n")[0]):
        return number[0].rstrip(",")
    # Built without the flags that a release is built with; the Go toolchain has noted it.
    if go := which("go"):
        noted = subprocess.run(
            [go, "version", "-m", command[0]], capture_output=True, text=True, check=False
        ).stdout
        if found := re.search(r"^\tmod\t\S+\tv(\S+)", noted, re.MULTILINE):
            return found[1]
    return "unknown"
