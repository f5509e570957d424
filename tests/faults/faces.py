"""The faces of rolekeeper, as programs read from them: each is started, read from, and watched."""

from __future__ import annotations

import configparser
import http.client
import json
import sys
import threading
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar
from urllib.parse import urlsplit

from session import Read, Session, parsed, unix
from world import PATIENCE, PROFILE, ROLE, Program, World, wait_for

if TYPE_CHECKING:
    from typing_extensions import Self

PROGRAMS = Path(__file__).parent / "programs"

# How long a client of an endpoint waits here: longer than any SDK does, so as to see how long it takes.
_CLIENT_PATIENCE = 30.0


class Face(ABC):
    """Something that sessions are read from."""

    name: ClassVar[str]
    program: Program

    @abstractmethod
    def ask(self) -> tuple[Session | None, str]:
        """A session, or why there is none."""

    def read(self) -> Read:
        sent, begun = time.time(), time.monotonic()
        session, why = self.ask()
        return Read(sent, time.monotonic() - begun, session, why)

    def first(self) -> Session:
        return wait_for(f"{self.name}'s first session", lambda: self.read().session)

    def fresh(self, than: Session, patience: float = PATIENCE) -> tuple[Session, float]:
        """The first session that is another and live, and how long that took."""
        begun = time.monotonic()

        def newer() -> Session | None:
            found = self.read().session
            return found if found and found.key != than.key and found.is_live() else None

        return wait_for(f"{self.name}'s next session", newer, patience), time.monotonic() - begun


class Agent(Face):
    """`rolekeeper serve`, read from as a container's program reads."""

    name = "agent"

    def __init__(
        self,
        world: World,
        *more: str,
        around: Sequence[str] = (),
        command: str | None = None,
        **environment: str,
    ) -> None:
        words = [*around, command or world.command, "serve", "--profile", PROFILE]
        words += ["--listen", "127.0.0.1:0", "--socket", str(world.home / "agent/sock"), *more]
        self.program = world.start(words, **environment)
        told: dict[str, str] = {}
        while "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE" not in told:
            name, equals, value = self.program.line().partition("=")
            if equals:
                told[name.removeprefix("export ")] = value.strip("'")
        url = urlsplit(told["AWS_CONTAINER_CREDENTIALS_FULL_URI"])
        self.address, self.path = url.netloc, url.path
        self.token = Path(told["AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE"]).read_text()

    def ask(self) -> tuple[Session | None, str]:
        return self.reader()()

    def reader(self) -> Callable[[], tuple[Session | None, str]]:
        """A program with a connection of its own, which it keeps."""
        connection = http.client.HTTPConnection(self.address, timeout=_CLIENT_PATIENCE)

        def read() -> tuple[Session | None, str]:
            return _asked(connection, self.path, self.token)

        return read


class Exec(Face):
    """The endpoint that `rolekeeper exec` serves its program, which prints where that is."""

    name = "exec"

    def __init__(self, world: World, *around: str, command: str | None = None) -> None:
        self.pid_file = world.home / "child.pid"
        script = (
            f'echo $$ > "{self.pid_file}"; echo "$AWS_CONTAINER_CREDENTIALS_FULL_URI";'
            ' echo "$AWS_CONTAINER_AUTHORIZATION_TOKEN"; exec cat'
        )
        words = [*around, command or world.command, "exec", "--store", "none"]
        words += ["--profile", PROFILE, "--", "sh", "-c", script]
        self.program = world.start(words)
        url = urlsplit(self.program.line())
        self.address, self.path = url.netloc, url.path
        self.token = self.program.line()
        self.child = int(self.pid_file.read_text())

    def ask(self) -> tuple[Session | None, str]:
        connection = http.client.HTTPConnection(self.address, timeout=_CLIENT_PATIENCE)
        return _asked(connection, self.path, self.token, close=True)


class Writer(Face):
    """The section that `rolekeeper write` keeps of a credentials file."""

    name = "write"
    section = "kept"

    def __init__(
        self,
        world: World,
        *around: str,
        file: Path | None = None,
        command: str | None = None,
        **environment: str,
    ) -> None:
        self.file = file or world.home / "kept/credentials"
        self.seen = self.file
        words = [*around, command or world.command, "write", "--store", "none"]
        words += ["--profile", PROFILE, "--section", self.section, "--file", str(self.file)]
        self.program = world.start(words, **environment)

    def ask(self) -> tuple[Session | None, str]:
        return read_section(self.seen, self.section)


class Commands(Face):
    """`rolekeeper credential-process`, as a tool runs it: again and again."""

    name = "credential-process"

    def __init__(self, world: World, store: str = "none") -> None:
        self.world = world
        self.words = [world.command, "credential-process", "--no-agent", "--store", store]
        self.words += ["--profile", PROFILE]

    def ask(self) -> tuple[Session | None, str]:
        self.ran = self.world.run(self.words)
        if self.ran.returncode != 0:
            return None, f"{self.ran.returncode}: {self.ran.stderr}"
        return Session.of(json.loads(self.ran.stdout)), self.ran.stderr


class Wheel(Face):
    """A Python program with a `rolekeeper.Role`, which reads when it is told to."""

    name = "wheel"

    def __init__(self, world: World, *around: str, **environment: str) -> None:
        words = [*around, sys.executable, str(PROGRAMS / "reader.py"), world.sts.role_arn(ROLE)]
        self.program = world.start(words, **environment)
        self.lock = threading.Lock()

    def ask(self) -> tuple[Session | None, str]:
        told = self.tell("read")
        if told.get("error"):
            return None, told["error"]
        return Session.of(told), ""

    def tell(self, what: str) -> dict[str, str]:
        """One of the words that `programs/reader.py` knows."""
        with self.lock:
            self.program.stdin.write(what.encode() + b"\n")
            self.program.stdin.flush()
            answer = parsed(self.program.line())
        assert answer is not None, "the program answers in JSON"
        return answer


class Watch:
    """Reads from a face all the time, beside what the test does."""

    def __init__(self, face: Face, every: float = 0.05) -> None:
        self.reads: list[Read] = []
        self._face, self._every = face, every
        self._has_ended = threading.Event()
        self._pool = ThreadPoolExecutor(max_workers=1)

    def _run(self) -> None:
        while not self._has_ended.is_set():
            self.reads.append(self._face.read())
            self._has_ended.wait(self._every)

    def __enter__(self) -> Self:
        self._reading = self._pool.submit(self._run)
        return self

    def __exit__(self, *_: object) -> None:
        self._has_ended.set()
        # What went wrong there is raised here; a reader that hangs is told as such.
        self._reading.result(PATIENCE)

    @property
    def failed(self) -> list[Read]:
        return [read for read in self.reads if read.session is None]

    @property
    def dead(self) -> list[Read]:
        return [read for read in self.reads if read.is_dead]

    @property
    def slowest(self) -> float:
        return max(read.took for read in self.reads)

    def assert_unnoticed(self, slowest: float = 5.0) -> None:
        """No reader was refused, given a dead session, or kept waiting."""
        assert self.reads, "somebody read"
        assert not self.failed, self.failed[0].why
        assert not self.dead, self.dead
        # By far more than any read takes, and by far less than what the fault would cost a reader.
        assert self.slowest < slowest, f"{self.slowest:.1f} s"


def read_section(file: Path, name: str) -> tuple[Session | None, str]:
    """As botocore reads a credentials file."""
    parser = configparser.RawConfigParser(default_section=None)  # type: ignore[arg-type]
    try:
        parser.read_string(file.read_text())
        keys = parser[name]
        return Session(
            keys["aws_access_key_id"],
            keys["aws_secret_access_key"],
            keys["aws_session_token"],
            unix(keys["x_security_token_expires"]),
        ), ""
    except (OSError, KeyError) as why:
        return None, repr(why)


def _asked(
    connection: http.client.HTTPConnection, path: str, token: str, *, close: bool = False
) -> tuple[Session | None, str]:
    try:
        connection.request("GET", path, headers={"Authorization": token})
        answer = connection.getresponse()
        text = answer.read().decode()
    except (OSError, http.client.HTTPException) as error:
        connection.close()
        return None, f"no answer: {error!r}"
    if close:
        connection.close()
    told = parsed(text) or {}
    if answer.status != http.client.OK:
        return None, f"{answer.status} {told.get('Message', text)}"
    return Session.of(told), ""
