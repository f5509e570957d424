"""Programs that run beside the clients, and environments that nothing of this machine is in."""

from __future__ import annotations

import os
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

Thing = TypeVar("Thing")

# Variables by which somebody's machine would change what a client does.
NOT_OURS = ("AWS_", "ROLEKEEPER_", "PYTHON", "RCLONE_", "RESTIC_", "JAVA_", "JDK_JAVA_", "NODE_")


class Trouble(Exception):
    """The matrix could not be run: nothing is known of the clients."""


def wait_for(what: str, thing: Callable[[], Thing | None], seconds: float = 30) -> Thing:
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        found = thing()
        if found is not None:
            return found
        time.sleep(0.05)
    raise Trouble(f"waited {seconds} s for {what}")


def clean_environment(home: Path) -> dict[str, str]:
    """Nothing about AWS, and one try a call: a second one would hide a failure of ours."""
    kept = {name: text for name, text in os.environ.items() if not name.startswith(NOT_OURS)}
    return kept | {
        "HOME": str(home),
        "XDG_RUNTIME_DIR": str(home / "run"),
        "AWS_REGION": "us-east-1",
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_MAX_ATTEMPTS": "1",
        "AWS_EC2_METADATA_DISABLED": "true",
        "AWS_CONFIG_FILE": str(home / "config"),
        "AWS_SHARED_CREDENTIALS_FILE": str(home / "credentials"),
        "PYTHONDONTWRITEBYTECODE": "1",
    }


def home(path: Path) -> Path:
    """A home with empty files of AWS' in it."""
    (path / "run").mkdir(parents=True, mode=0o700)
    for name in ("config", "credentials"):
        (path / name).write_text("")
    return path


class Process:
    """A program that runs until it is told to end; what it says on stderr is kept in a file."""

    def __init__(self, log: Path, words: list[str], environment: dict[str, str]) -> None:
        self.log, self.words = log, " ".join(words)
        self.child = subprocess.Popen(
            words, env=environment, stdout=subprocess.PIPE, stderr=log.open("w"), text=True
        )

    def line(self) -> str:
        assert self.child.stdout
        line = self.child.stdout.readline()
        if not line:
            raise Trouble(f"{self.words} ended: {self.log.read_text()}")
        return line

    def end(self) -> None:
        self.child.terminate()
        try:
            self.child.wait(10)
        except subprocess.TimeoutExpired:
            self.child.kill()
            self.child.wait()
