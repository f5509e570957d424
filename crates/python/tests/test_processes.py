"""Worker processes, however they are made, work with the session and client of their parent."""

from __future__ import annotations

import http.client
import os
import re
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from processes import PROGRAMS, environment, succeeds

if TYPE_CHECKING:
    from rolekeeper.testing import Sandbox

LIMIT = 60.0
METHODS = ("fork", "spawn", "forkserver")


@pytest.fixture
def short_sessions(rolekeeper_sandbox: Sandbox) -> Sandbox:
    return rolekeeper_sandbox


# A worker begins with the session that its parent held, in time to replace it even on a busy
# machine: that it ended first would be told on stderr, and rightly.
@pytest.mark.rolekeeper_sandbox(session_lifetime=4)
@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("way", ["pool", "executor"])
def test_workers_of_a_pool_work_across_sessions(
    way: str, method: str, short_sessions: Sandbox
) -> None:
    succeeds("pools.py", way, method, limit=120)
    assert short_sessions.counts().with_result("GetCallerIdentity", "ExpiredToken") == 0


@pytest.mark.rolekeeper_sandbox(session_lifetime=30)
@pytest.mark.parametrize("method", METHODS)
def test_loaders_workers_get_a_session_of_their_own_with_the_dataset(
    method: str, short_sessions: Sandbox
) -> None:
    succeeds("pools.py", "loader", method, limit=120)


@pytest.mark.needs(cloudpickle="3")
def test_what_is_pickled_or_copied_carries_the_recipe_and_no_secret(
    rolekeeper_sandbox: Sandbox,
) -> None:
    succeeds("pools.py", "carried", "as copies")


@pytest.mark.needs(gunicorn="23")
@pytest.mark.rolekeeper_sandbox(session_lifetime=2)
def test_gunicorns_preloaded_workers_serve_across_sessions(
    short_sessions: Sandbox, tmp_path: Path
) -> None:
    log = tmp_path / "log"
    words = ["--preload", "--workers", "2", "--bind", "127.0.0.1:0", "--chdir", str(PROGRAMS)]
    with log.open("w") as said:
        server = subprocess.Popen(
            [sys.executable, "-m", "gunicorn", *words, "--no-control-socket", "web_app:app"],
            stdout=said,
            stderr=said,
            env=environment(),
        )
    try:
        port = int(_wait_for(r"Listening at: http://127\.0\.0\.1:(\d+)", log, server))
        workers: set[str] = set()
        keys: set[str] = set()
        end = time.monotonic() + LIMIT
        while len(workers) < 2 or len(keys) < 5:
            assert time.monotonic() < end, (workers, keys, log.read_text())
            connection = http.client.HTTPConnection("127.0.0.1", port, timeout=LIMIT)
            connection.request("GET", "/")
            response = connection.getresponse()
            body = response.read().decode()
            connection.close()
            assert response.status == http.client.OK, log.read_text()
            worker, key, arn = body.split()
            assert "assumed-role/demo/" in arn
            workers.add(worker)
            keys.add(key)
            time.sleep(0.1)
    finally:
        _end(server)
    assert server.returncode == 0, log.read_text()
    assert short_sessions.counts().with_result("GetCallerIdentity", "ExpiredToken") == 0


@pytest.mark.needs(celery="5")
@pytest.mark.rolekeeper_sandbox(session_lifetime=2)
def test_celerys_prefork_workers_run_tasks_across_sessions(
    short_sessions: Sandbox, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for directory in ("queue", "control", "results"):
        (tmp_path / directory).mkdir()
    monkeypatch.setenv("CELERY_ROOM", str(tmp_path))
    monkeypatch.setenv("C_FORCE_ROOT", "1")
    log = tmp_path / "log"
    words = [
        "--pool=prefork",
        "--concurrency=2",
        "--without-gossip",
        "--without-mingle",
        "--loglevel=INFO",
    ]
    with log.open("w") as said:
        worker = subprocess.Popen(
            [sys.executable, "-m", "celery", "-A", "celery_app", "worker", *words],
            stdout=said,
            stderr=said,
            env=environment(),
            cwd=tmp_path,
        )
    try:
        _wait_for("(ready)", log, worker)
        succeeds("celery_asks.py", limit=LIMIT)
    finally:
        _end(worker)
    assert short_sessions.counts().with_result("GetCallerIdentity", "ExpiredToken") == 0


def _wait_for(pattern: str, log: Path, process: subprocess.Popen[bytes]) -> str:
    end = time.monotonic() + LIMIT
    while not (found := re.search(pattern, log.read_text())):
        assert process.poll() is None, log.read_text()
        assert time.monotonic() < end, log.read_text()
        time.sleep(0.05)
    return found[1]


def _end(process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    try:
        process.wait(20)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
        raise AssertionError(
            f"process {process.pid} did not end; this one is {os.getpid()}"
        ) from None
