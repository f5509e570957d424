"""The clients: how each is run, its version, and which deliveries it knows."""

from __future__ import annotations

import json
import os
import re
import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum
from pathlib import Path

HERE = Path(__file__).parent

EXEC = "exec"
TOKEN = "container, token"
TOKEN_FILE = "container, token file"
IMDS = "IMDSv2"
PROCESS = "credential_process"
FILE = "credentials file"
ALL = (EXEC, TOKEN, TOKEN_FILE, IMDS, PROCESS, FILE)


@dataclass(frozen=True)
class Places:
    """Where the clients were built, and the environments of the Python ones."""

    built: Path
    debug: Path
    venv: Path
    aio: Path


class Kind(Enum):
    # A program of ours around one client object, told SECONDS and PAUSE; it reports in JSON.
    LOOP = "one process"
    # Somebody's program that makes one call and ends.
    CALL = "a process a call"
    # Somebody's program that is busy for long with what it is given to do.
    JOB = "one job"


@dataclass(frozen=True)
class Client:
    """A client as people have it."""

    name: str
    version: Callable[[Places], str]
    # Told where the service is.
    words: Callable[[Places, str], list[str]]
    kind: Kind
    knows: tuple[str, ...]
    # A job's steps, told a folder and how long they are to take.
    job: Callable[[list[str], Path, float], list[list[str]]] | None = None
    # Deliveries through which short sessions can't reach it in time, for reasons of its own.
    long_only: tuple[str, ...] = ()
    # Why it does not know the others.
    remark: str = ""


def python_package(environment: Callable[[Places], Path], package: str) -> Callable[[Places], str]:
    def version(places: Places) -> str:
        code = f"import importlib.metadata as m; print(m.version('{package}'))"
        return told([str(environment(places) / "bin/python"), "-c", code]).strip()

    return version


def locked(file: str, pattern: str) -> Callable[[Places], str]:
    """As a lock file of this folder says."""

    def version(_: Places) -> str:
        found = re.search(pattern, (HERE / file).read_text())
        return found[1] if found else "?"

    return version


def says(*words: str) -> Callable[[Places], str]:
    """As the program itself says."""

    def version(_: Places) -> str:
        found = re.search(r"\d+(\.\d+)+", told(list(words)))
        return found[0] if found else "?"

    return version


def told(words: list[str]) -> str:
    run = subprocess.run(words, capture_output=True, text=True, check=True)
    return run.stdout + run.stderr


def rclone(url: str) -> str:
    return f":s3,provider=Other,env_auth,region=us-east-1,endpoint='{url}':"


def rclone_copy(words: list[str], folder: Path, seconds: float) -> list[list[str]]:
    """Small files, four requests a second: to look, to write, and for credentials."""
    files = folder / "files"
    files.mkdir()
    for number in range(int(seconds)):
        (files / f"{number}.txt").write_text(f"{number}\n")
    # A bucket of its own.
    *words, bucket = [*words[:-1], words[-1] + folder.name.lower()]
    once = ["--retries", "1", "--low-level-retries", "1"]
    slow = ["--tpslimit", "4", "--tpslimit-burst", "1", "--transfers", "1", "--checkers", "1"]
    return [[*words, "mkdir", bucket], [*words, "copy", *once, *slow, str(files), bucket]]


def restic_backup(words: list[str], folder: Path, seconds: float) -> list[list[str]]:
    """What cannot be compressed, in the smallest packs, as slowly as it takes."""
    packs, pack = 6, 4 * 1024
    (folder / "data").write_bytes(os.urandom(packs * pack * 1024))
    (folder / "password").write_text("no secret")
    words = [*words[:-1], words[-1] + folder.name.lower()]
    words += ["--password-file", str(folder / "password"), "--no-cache"]
    slow = ["--pack-size", "4", "--limit-upload", str(int(packs * pack / seconds))]
    slow += ["-o", "s3.connections=1"]
    return [[*words, "init"], [*words, "backup", *slow, str(folder / "data")], [*words, "check"]]


CLIENTS = (
    Client(
        "boto3",
        python_package(lambda p: p.venv, "boto3"),
        lambda p, _: [str(p.venv / "bin/python"), str(HERE / "python/boto3_client.py")],
        Kind.LOOP,
        ALL,
        long_only=(IMDS,),
    ),
    Client(
        "aiobotocore",
        python_package(lambda p: p.aio, "aiobotocore"),
        lambda p, _: [str(p.aio / "bin/python"), str(HERE / "python/aiobotocore_client.py")],
        Kind.LOOP,
        ALL,
        long_only=(IMDS,),
    ),
    Client(
        "AWS CLI v1",
        python_package(lambda p: p.venv, "awscli"),
        lambda p, _: [str(p.venv / "bin/aws"), "sts", "get-caller-identity"],
        Kind.CALL,
        ALL,
    ),
    Client(
        "AWS SDK for Rust",
        locked("../Cargo.lock", r'name = "aws-config"\nversion = "([^"]+)"'),
        lambda p, _: [str(p.debug / "sdk-matrix-client")],
        Kind.LOOP,
        ALL,
    ),
    Client(
        "AWS SDK for JavaScript v3",
        lambda _: json.loads((HERE / "javascript/package.json").read_text())["dependencies"][
            "@aws-sdk/client-sts"
        ],
        lambda p, _: ["node", str(p.built / "javascript/client.js")],
        Kind.LOOP,
        ALL,
    ),
    Client(
        "AWS SDK for Go v2",
        locked("go/go.mod", r"aws-sdk-go-v2 v(\S+)"),
        lambda p, _: [str(p.built / "go/client")],
        Kind.LOOP,
        ALL,
    ),
    Client(
        "AWS SDK for Java v2",
        locked("java/pom.xml", r"<artifactId>sts</artifactId>\s*<version>([^<]+)"),
        # As small as a client can be: many run at once.
        lambda p, _: [
            *("java", "-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC", "-Xshare:auto", "-Xmx96m"),
            *("-cp", f"{p.built / 'java/classes'}:{p.built / 'java/jars'}/*", "Client"),
        ],
        Kind.LOOP,
        ALL,
    ),
    Client(
        "rclone",
        says("rclone", "version"),
        lambda _, url: [
            *("rclone", "lsd", "--retries", "1", "--low-level-retries", "1"),
            rclone(url),
        ],
        Kind.CALL,
        (EXEC, TOKEN, IMDS, PROCESS, FILE),
    ),
    Client(
        "s3cmd",
        says("s3cmd", "--version"),
        lambda _, url: [
            *("s3cmd", "ls", "--no-ssl"),
            *(f"--host={url.removeprefix('http://')}", "--host-bucket="),
        ],
        Kind.CALL,
        (FILE,),
        remark="IMDS at 169.254.169.254 alone",
    ),
    Client(
        "rclone copy",
        says("rclone", "version"),
        lambda _, url: ["rclone", rclone(url)],
        Kind.JOB,
        (EXEC, TOKEN, IMDS, PROCESS),
        rclone_copy,
        remark="a file it reads once",
    ),
    Client(
        "restic",
        says("restic", "version"),
        lambda _, url: ["restic", "-r", f"s3:{url}/"],
        Kind.JOB,
        (EXEC, TOKEN),
        restic_backup,
        remark="IMDS at 169.254.169.254 alone; a file it reads once",
    ),
)
