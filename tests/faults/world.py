"""A test's world: a home of its own, a sandbox with short sessions, and programs that end with it."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import IO, TypeVar

from rolekeeper import testing
from rolekeeper.testing import command
from session import Session

Thing = TypeVar("Thing")

PROFILE = "etl"
ROLE = "demo"

# Seconds. What hangs does so for ever; a machine that is busy with other tests takes its time.
PATIENCE = 45.0

# Variables by which somebody's machine would change what a program does.
_NOT_OURS = ("AWS_", "ROLEKEEPER_", "PYTHON", "XDG_", "PYTEST_")


def wait_for(what: str, thing: Callable[[], Thing | None], patience: float = PATIENCE) -> Thing:
    """Asks again and again, until there is something."""
    end = time.monotonic() + patience
    while time.monotonic() < end:
        found = thing()
        if found:
            return found
        time.sleep(0.03)
    raise AssertionError(f"waited {patience:g} s for {what}")


class Program:
    """A program that runs until it is told to end; what it says on stderr goes to a file."""

    def __init__(self, words: Sequence[str], environment: Mapping[str, str], log: Path) -> None:
        self.words, self.log = " ".join(words), log
        with log.open("wb") as stderr:
            self.child = subprocess.Popen(
                words, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=stderr
            )

    @property
    def pid(self) -> int:
        return self.child.pid

    @property
    def stdin(self) -> IO[bytes]:
        assert self.child.stdin
        return self.child.stdin

    def line(self) -> str:
        assert self.child.stdout
        line = self.child.stdout.readline()
        if not line:
            raise AssertionError(f"{self.words} ended: {self.said()}")
        return line.decode().rstrip("\n")

    def said(self) -> str:
        return self.log.read_text(errors="replace")

    def signal(self, number: int) -> None:
        self.child.send_signal(number)

    def stop(self) -> None:
        """SIGSTOP; it takes effect thread by thread."""
        self.signal(signal.SIGSTOP)
        wait_for("its threads to stop", self._has_stopped)

    def _has_stopped(self) -> bool:
        threads = Path(f"/proc/{self.pid}/task").glob("*/stat")
        return all(thread.read_text().rpartition(") ")[2][0] == "T" for thread in threads)

    def go_on(self) -> None:
        self.signal(signal.SIGCONT)

    def ends(self, patience: float = PATIENCE) -> int:
        """Its exit status, once it has ended by itself."""
        return self.child.wait(patience)

    def cpu_seconds(self) -> float:
        """What it has used of a processor so far."""
        fields = Path(f"/proc/{self.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def kill(self) -> None:
        self.child.kill()
        self.child.wait()
        for pipe in (self.child.stdin, self.child.stdout):
            if pipe:
                try:
                    pipe.close()
                except BrokenPipeError:
                    pass


class World:
    """Sessions of so many seconds, and a home in which nothing of this machine's is."""

    def __init__(self) -> None:
        self._stack = ExitStack()
        self._sandbox: testing.Sandbox | None = None
        # A short path: a socket's has room for 107 bytes.
        self.home = Path(tempfile.mkdtemp(prefix="rk-"))
        self._stack.callback(shutil.rmtree, self.home, ignore_errors=True)
        self.programs: list[Program] = []
        self.command = command.find()

    def sandbox(self, lifetime: int) -> testing.Sandbox:
        """The STS of this world; the first call says for how long its sessions live."""
        if self._sandbox is None:
            self._sandbox = self._stack.enter_context(testing.Sandbox(session_lifetime=lifetime))
            self.point_at(self._sandbox.endpoint_url)
        return self._sandbox

    @property
    def sts(self) -> testing.Sandbox:
        assert self._sandbox, "a world has no STS until its sessions' life is told"
        return self._sandbox

    def point_at(self, url: str) -> None:
        """What is started from here on calls STS there."""
        self.url = url
        (self.home / "config").write_text(
            f"[profile {PROFILE}]\nrole_arn = {self.sts.role_arn(ROLE)}\n"
            f"credential_source = Environment\nendpoint_url = {url}\n"
        )

    @property
    def environment(self) -> dict[str, str]:
        kept = {name: text for name, text in os.environ.items() if not name.startswith(_NOT_OURS)}
        # Where the package is not installed, as while it is worked on.
        kept |= {name: os.environ[name] for name in ("PYTHONPATH",) if name in os.environ}
        # A busy machine must not be taken for a service that does not answer.
        return kept | {
            **self.sts.environment,
            "AWS_ENDPOINT_URL": self.url,
            "AWS_ENDPOINT_URL_STS": self.url,
            "HOME": str(self.home),
            "AWS_CONFIG_FILE": str(self.home / "config"),
            "AWS_SHARED_CREDENTIALS_FILE": str(self.home / "credentials"),
            "AWS_EC2_METADATA_DISABLED": "true",
            "PYTHONDONTWRITEBYTECODE": "1",
        }

    def start(self, words: Sequence[str], **environment: str) -> Program:
        log = self.home / f"program-{len(self.programs)}.log"
        program = Program(words, self.environment | environment, log)
        self.programs.append(program)
        self._stack.callback(program.kill)
        return program

    def run(
        self, words: Sequence[str], *, patience: float = PATIENCE, **environment: str
    ) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            words,
            env=self.environment | environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
            timeout=patience,
        )

    def enter(self, thing: Thing) -> Thing:
        """It is left when the world ends."""
        return self._stack.enter_context(thing)  # type: ignore[arg-type]

    def accepts(self, session: Session) -> bool:
        """Whether a service takes a call that this session signs."""
        return session.is_accepted_at(self.sts.endpoint_url)

    def fetches(self) -> int:
        """How often STS was asked for a session, and by whom it did not matter."""
        return self.sts.counts().calls("AssumeRole")

    def end(self) -> None:
        self._stack.close()
