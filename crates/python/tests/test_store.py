"""Sessions that are shared with other processes and hosts."""

from __future__ import annotations

import json
import pickle
import subprocess
import sys
from pathlib import Path
from typing import Any

import boto3
import pytest

import rolekeeper
from rolekeeper.testing import Sandbox

KEY = "07" * 32


@pytest.fixture(autouse=True)
def home(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    for name in ("STORE", "STORE_KEY", "STORE_KEY_FILE"):
        monkeypatch.delenv(f"ROLEKEEPER_{name}", raising=False)
    for name in ("XDG_CACHE_HOME", "XDG_STATE_HOME"):
        monkeypatch.delenv(name, raising=False)
    home = tmp_path / "home"
    home.mkdir()
    monkeypatch.setenv("HOME", str(home))
    return home


def role(sandbox: Sandbox, **options: Any) -> rolekeeper.Role:
    return rolekeeper.Role(sandbox.role_arn("demo"), region_name="us-east-1", **options)


def calls(sandbox: Sandbox) -> int:
    return sandbox.counts().ok("AssumeRole")


def test_two_processes_share_a_session_through_the_users_folder(
    rolekeeper_sandbox: Sandbox, home: Path
) -> None:
    program = (
        "import sys, rolekeeper\n"
        "role = rolekeeper.Role(sys.argv[1], region_name='us-east-1', store='file')\n"
        "print(role.credentials().access_key)"
    )
    command = [sys.executable, "-c", program, rolekeeper_sandbox.role_arn("demo")]
    keys = {subprocess.check_output(command, text=True).strip() for _ in range(2)}
    with role(rolekeeper_sandbox, store="file") as here:
        keys.add(here.credentials().access_key)
    assert len(keys) == 1
    assert calls(rolekeeper_sandbox) == 1
    assert list((home / ".cache/rolekeeper").glob("*.session"))


def test_the_environment_names_a_store_for_those_who_name_none(
    rolekeeper_sandbox: Sandbox, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ROLEKEEPER_STORE", "file")
    with role(rolekeeper_sandbox) as one, role(rolekeeper_sandbox) as other:
        assert one.credentials().access_key == other.credentials().access_key
    with role(rolekeeper_sandbox, store="none") as alone:
        alone.credentials()
    assert calls(rolekeeper_sandbox) == 2


def test_without_a_word_nothing_is_stored(rolekeeper_sandbox: Sandbox, home: Path) -> None:
    with role(rolekeeper_sandbox) as alone:
        alone.credentials()
    assert not list(home.iterdir())


def test_sessions_share_and_their_clients_work(rolekeeper_sandbox: Sandbox) -> None:
    arguments: dict[str, Any] = {
        "role_arn": rolekeeper_sandbox.role_arn("demo"),
        "region_name": "us-east-1",
        "store": "file",
    }
    for _ in range(3):
        with rolekeeper.Session(**arguments) as session:
            session.client("s3").list_buckets()
    assert calls(rolekeeper_sandbox) == 1


def test_another_parameter_is_another_session(rolekeeper_sandbox: Sandbox) -> None:
    for name in ("one", "two", "one"):
        with role(rolekeeper_sandbox, store="file", role_session_name=name) as kept:
            kept.credentials()
    assert calls(rolekeeper_sandbox) == 2


def test_a_role_on_a_shared_role_is_shared_too(rolekeeper_sandbox: Sandbox) -> None:
    keys, chained = set(), rolekeeper_sandbox.role_arn("chained")
    for _ in range(2):
        with (
            role(rolekeeper_sandbox, store="file") as first,
            rolekeeper.Role(chained, region_name="us-east-1", store="file", source=first) as second,
        ):
            keys.add(second.credentials().access_key)
    assert len(keys) == 1
    assert calls(rolekeeper_sandbox) == 2


def test_a_redis_that_is_not_there_stops_nobody(rolekeeper_sandbox: Sandbox) -> None:
    events: list[str] = []
    options = {"store": "redis://:open-sesame@127.0.0.1:1", "store_key_file": None}
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("ROLEKEEPER_STORE_KEY", KEY)
        alone = role(
            rolekeeper_sandbox, on_event=lambda event: events.append(str(event)), **options
        )
    with alone:
        alone.credentials()
    assert calls(rolekeeper_sandbox) == 1
    assert "open-sesame" not in "".join(events)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"store": ""}, "the store's name is empty"),
        ({"store": "memcached"}, "no store is known by that name.*redis://HOST:PORT"),
        ({"store": "redis://:open-sesame@h"}, "has no key to seal sessions with.*KEY_FILE"),
        ({"store": "redis://h", "store_key_file": "/nowhere"}, "/nowhere"),
        ({"store": 7}, "store is of type int"),
        ({"store": "file", "store_key_file": 7}, "store_key_file is of type int"),
        ({"store": "file", "source": boto3.Session("k", "s")}, "can't be shared"),
    ],
)
def test_what_cannot_be_a_store_is_refused_before_anybody_is_called(
    rolekeeper_sandbox: Sandbox, options: dict[str, Any], words: str
) -> None:
    with pytest.raises(rolekeeper.ConfigurationError, match=f"(?s){words}") as refusal:
        role(rolekeeper_sandbox, **options)
    assert "open-sesame" not in str(refusal.value)
    assert calls(rolekeeper_sandbox) == 0


def test_a_wrong_key_is_told_and_not_shown(
    rolekeeper_sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ROLEKEEPER_STORE_KEY", KEY[1:])
    with pytest.raises(rolekeeper.ConfigurationError, match="64 hexadecimal digits") as refusal:
        role(rolekeeper_sandbox, store="redis://h")
    assert KEY[1:] not in str(refusal.value)


def test_a_password_is_not_pickled(
    rolekeeper_sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ROLEKEEPER_STORE_KEY", KEY)
    with pytest.raises(pickle.PicklingError, match="ROLEKEEPER_STORE"):
        pickle.dumps(role(rolekeeper_sandbox, store="redis://:open-sesame@127.0.0.1:1"))
    carried = pickle.dumps(role(rolekeeper_sandbox, store="redis://127.0.0.1:1"))
    assert KEY.encode() not in carried
    with pickle.loads(carried) as there:
        assert there.credentials().access_key


def test_a_forked_worker_shares_on(rolekeeper_sandbox: Sandbox, tmp_path: Path) -> None:
    program = """
import json, os, sys, rolekeeper
role = rolekeeper.Role(sys.argv[1], region_name="us-east-1", store="file")
keys = [role.credentials().access_key]
for _ in range(3):
    reads, writes = os.pipe()
    if os.fork() == 0:
        fresh = rolekeeper.Role(sys.argv[1], region_name="us-east-1", store="file")
        told = [role.credentials().access_key, fresh.credentials().access_key]
        os.write(writes, json.dumps(told).encode())
        os._exit(0)
    os.close(writes)
    keys += json.loads(os.read(reads, 1000))
    os.wait()
print(json.dumps(keys))
"""
    command = [sys.executable, "-c", program, rolekeeper_sandbox.role_arn("demo")]
    keys = json.loads(subprocess.check_output(command, timeout=60))
    assert len(keys) == 7 and len(set(keys)) == 1
    assert calls(rolekeeper_sandbox) == 1
