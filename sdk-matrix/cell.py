"""One client with one delivery: its environment, its calls, and what became of them."""

from __future__ import annotations

import json
import re
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from agent import Agent
from clients import EXEC, FILE, IMDS, PROCESS, TOKEN, TOKEN_FILE, Client, Kind, Places
from process import Trouble, clean_environment, home
from services import Moto, Sandbox


# Below this lifetime some clients can't be supplied: with less than 15 minutes left they take it
# that there is no newer session, and go on with the one that they have.
ENOUGH = 25 * 60
# So many sessions can be seen at least.
FEWEST_PROCESSES = 5
KEEPS_IT = "goes on with its key past the end; needs 25 minutes, see below"


@dataclass(frozen=True)
class Pace:
    """How long things last, in seconds."""

    lifetime: int
    outage: int
    # Of a client's run: more than three lifetimes.
    run: float
    # Between two calls of one process, and between two processes of one call each.
    pause: float
    between_processes: float
    # Python clients wait for IMDS for 1 s, which on a fast clock is no time at all.
    metadata_timeout: int | None = None


@dataclass
class Row:
    """What became of it."""

    client: str
    version: str
    delivery: str
    how: str
    # How long a session lasts.
    lifetime: str
    # As the client tells it.
    calls: int = 0
    failed: int = 0
    first_error: str | None = None
    # On the wire, where no retry hides anything.
    refused: int = 0
    sessions: int = 0
    remark: str = ""
    expected: bool = True

    @property
    def holds(self) -> bool:
        return self.calls > 0 and self.failed == 0 and self.refused == 0 and self.sessions >= 3

    def failure(self, why: str | None) -> None:
        self.failed += 1
        self.first_error = self.first_error or why


@dataclass
class Cell:
    """A client that calls a service, by an agent's grace."""

    client: Client
    delivery: str
    service: Sandbox | Moto
    agent: Agent
    pace: Pace
    places: Places
    folder: Path

    def run(self) -> Row:
        home(self.folder)
        witness = self.service.witness()
        row = self.row()
        environment = self.environment() | {"AWS_ENDPOINT_URL": witness.url}
        words = self.client.words(self.places, witness.url)
        if self.client.kind is Kind.JOB:
            self.job(words, environment, row)
        elif self.starts_anew:
            self.process_by_process(words, environment, row)
        else:
            self.loop(words, environment, row)
        witness.close()
        seen = witness.seen
        row.refused, row.sessions = len(seen.refused), len(seen.keys)
        if seen.refused:
            row.first_error = row.first_error or seen.refused[0]
        row.first_error = row.first_error and row.first_error[:300]
        if self.client.kind is Kind.JOB:
            row.calls = seen.calls
        if seen.calls < row.calls - row.failed:
            raise Trouble(f"{row}: {seen.calls} calls came to the service, and no more")
        return row

    def row(self) -> Row:
        lifetime = self.pace.lifetime
        row = Row(
            self.client.name,
            self.client.version(self.places),
            self.delivery,
            (Kind.CALL if self.starts_anew else self.client.kind).value,
            f"{lifetime} s" if lifetime < 60 else f"{lifetime // 60} min",
        )
        if self.too_short:
            row.expected = False
            row.remark = KEEPS_IT
        return row

    @property
    def starts_anew(self) -> bool:
        """Whether each call is a process of its own."""
        is_loop = self.client.kind is Kind.LOOP
        return self.client.kind is Kind.CALL or (is_loop and self.delivery == FILE)

    @property
    def too_short(self) -> bool:
        """Whether the client is known not to hold such sessions."""
        return self.delivery in self.client.long_only and self.pace.lifetime < ENOUGH

    def environment(self) -> dict[str, str]:
        """One in which nothing but this delivery gives credentials."""
        environment = clean_environment(self.folder)
        agent = self.agent
        if self.delivery == EXEC:
            # As if a person had typed it: exec sees the role and its base, the program neither.
            environment = agent.environment | {"HOME": str(self.folder)}
        elif self.delivery == IMDS:
            del environment["AWS_EC2_METADATA_DISABLED"]
            environment["AWS_EC2_METADATA_SERVICE_ENDPOINT"] = agent.imds
            if self.pace.metadata_timeout:
                environment["AWS_METADATA_SERVICE_TIMEOUT"] = str(self.pace.metadata_timeout)
        elif self.delivery == PROCESS:
            # The agent's own, but without what its role stands on: only the agent can answer.
            for name in ("AWS_CONFIG_FILE", "AWS_SHARED_CREDENTIALS_FILE", "XDG_RUNTIME_DIR"):
                environment[name] = agent.environment[name]
        elif self.delivery == FILE:
            environment["AWS_SHARED_CREDENTIALS_FILE"] = str(agent.written)
            # s3cmd's name for it.
            environment["AWS_CREDENTIAL_FILE"] = str(agent.written)
        else:
            environment["AWS_CONTAINER_CREDENTIALS_FULL_URI"] = agent.container
            if self.delivery == TOKEN:
                environment["AWS_CONTAINER_AUTHORIZATION_TOKEN"] = agent.token_file.read_text()
            if self.delivery == TOKEN_FILE:
                environment["AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE"] = str(agent.token_file)
        return environment

    def loop(self, words: list[str], environment: dict[str, str], row: Row) -> None:
        seconds, pause = self.pace.run, self.pace.pause
        run = self.call([*words, str(seconds), str(pause)], environment, 2 * seconds)
        told = report(run)
        row.calls, row.failed, row.first_error = told["calls"], told["failed"], told["first_error"]

    def process_by_process(self, words: list[str], environment: dict[str, str], row: Row) -> None:
        loops = self.client.kind is Kind.LOOP
        end = time.monotonic() + self.pace.run
        # On a slow machine it takes longer.
        while time.monotonic() < end or row.calls < FEWEST_PROCESSES:
            begun = time.monotonic()
            run = self.call(
                [*words, "0", "0"] if loops else words, environment, 60 + self.pace.lifetime
            )
            row.calls += 1
            if loops and report(run)["failed"]:
                row.failure(report(run)["first_error"])
            elif run.returncode != 0:
                row.failure(last_words(run))
            time.sleep(max(0.0, self.pace.between_processes - (time.monotonic() - begun)))

    def job(self, words: list[str], environment: dict[str, str], row: Row) -> None:
        assert self.client.job
        for step in self.client.job(words, self.folder, self.pace.run):
            run = self.call(step, environment, 4 * self.pace.run)
            if run.returncode != 0:
                row.failure(last_words(run))

    def call(
        self, words: list[str], environment: dict[str, str], limit: float
    ) -> subprocess.CompletedProcess[str]:
        if self.delivery == EXEC:
            words = [*self.agent.exec, *words]
        return subprocess.run(
            words,
            env=environment,
            cwd=self.folder,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=limit,
        )


def report(run: subprocess.CompletedProcess[str]) -> dict[str, Any]:
    """What a program of ours tells; one that dies has failed."""
    try:
        told: dict[str, Any] = json.loads(run.stdout)
    except ValueError:
        return {"calls": 1, "failed": 1, "first_error": last_words(run)}
    return told


def last_words(run: subprocess.CompletedProcess[str]) -> str:
    lines = [line for line in run.stderr.splitlines() if line.strip()]
    return re.sub(r"\s+", " ", lines[-1]) if lines else f"ended with {run.returncode}"
