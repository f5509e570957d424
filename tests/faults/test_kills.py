"""`kill -9` at each system call by which something is saved: whoever comes next finds the old or the
new, whole, and goes on."""

from __future__ import annotations

import shutil
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from faces import Commands, Wheel, Writer, read_section
from system import is_killed_at, phases
from words import within
from world import PROFILE, wait_for

if TYPE_CHECKING:
    from collections.abc import Callable

    from world import World

# Seconds.
LIFE = 8

EXPECTED = "the next one finds the old or the new, whole, and waits for nobody"


def saved(folder: Path, kind: str) -> list[Path]:
    return sorted(folder.glob(f"*.{kind}"))


@pytest.mark.needs("strace")
@pytest.mark.fault(
    "`kill -9` at each system call of a save into the file store",
    face="credential-process",
    expected=EXPECTED,
)
def test_a_save_that_is_killed_anywhere_leaves_nothing_half_done(
    world: World, seen: Callable[[str], None]
) -> None:
    world.sandbox(LIFE)
    commands = Commands(world, store="file")
    folder, old = world.home / ".cache/rolekeeper", world.home / "old"
    first = commands.first()
    name = saved(folder, "session")[0].stem
    paths = [folder / f"{name}.{kind}" for kind in ("session", "lease", "new")] + [folder]
    shutil.copytree(folder, old)
    # Past its refresh point, which is three quarters from its end, give or take a twentieth.
    time.sleep(LIFE * 0.5)

    def put_back() -> None:
        shutil.rmtree(folder)
        shutil.copytree(old, folder)

    put_back()
    all_phases = phases(world, commands.words, paths)
    killed = 0
    for phase in all_phases:
        put_back()
        if not is_killed_at(world, commands.words, paths, phase):
            continue
        killed += 1
        calls = world.fetches()
        read = commands.read()
        assert read.session, f"{phase}: {read.why}"
        assert read.why == "", f"{phase}: {read.why}"
        assert not read.is_dead, phase
        assert world.accepts(read.session), phase
        assert world.fetches() <= calls + 1, phase
        assert not saved(folder, "aside") and not saved(folder, "new"), phase
    assert killed >= 15, f"only {killed} of {all_phases}"
    assert first.key.startswith("ASIA")
    seen(f"killed at {killed // 5 * 5} places and more; each time the next one had its session")


@pytest.mark.needs("strace")
@pytest.mark.fault(
    "`kill -9` at each system call of the very first save, which makes folders and key",
    face="credential-process",
    expected=EXPECTED,
)
def test_a_first_save_that_is_killed_anywhere_leaves_nothing_half_done(
    world: World, seen: Callable[[str], None]
) -> None:
    world.sandbox(3600)
    commands = Commands(world, store="file")
    places = [world.home / ".cache", world.home / ".local"]

    def as_new() -> None:
        for place in places:
            shutil.rmtree(place, ignore_errors=True)

    killed = 0
    for phase in phases(world, commands.words):
        # Others are by hundreds: they read.
        if phase[0] in {"openat", "close"}:
            continue
        as_new()
        if not is_killed_at(world, commands.words, (), phase):
            continue
        killed += 1
        read = commands.read()
        assert read.session, f"{phase}: {read.why}"
        assert read.why == "", f"{phase}: {read.why}"
        assert world.accepts(read.session), phase
        calls = world.fetches()
        assert commands.first().key == read.session.key, "from here on it is shared"
        assert world.fetches() == calls, phase
    assert killed >= 15, killed
    seen(f"killed at {killed // 5 * 5} places and more; each time the next one had its session")


@pytest.mark.needs("strace")
@pytest.mark.fault(
    "`kill -9` at each system call of writing a credentials file",
    face="write",
    expected="the file is the old or the new one, whole; others' sections are as they were",
)
def test_a_credentials_file_is_whole_wherever_its_writer_is_killed(
    world: World, seen: Callable[[str], None]
) -> None:
    world.sandbox(3600)
    folder = world.home / "kept"
    folder.mkdir()
    file = folder / "credentials"
    others = "# somebody's\n[theirs]\naws_access_key_id = AKIATHEIRS\nregion=eu-west-1\n\n"
    words = [world.command, "write", "--once", "--profile", PROFILE]
    words += ["--section", Writer.section, "--file", str(file)]
    file.write_text(others)
    assert world.run(words).returncode == 0
    old = file.read_text()
    assert old.startswith(others)
    # What is written beside it, and the locks of the file and of the section.
    beside = ["new", "lock", f"{Writer.section}.lock"]
    paths = [folder / f".credentials.rolekeeper.{name}" for name in beside] + [file, folder]
    killed = 0
    for phase in phases(world, words, paths):
        file.write_text(old)
        if not is_killed_at(world, words, paths, phase):
            continue
        killed += 1
        left = file.read_text()
        assert left.startswith(others), phase
        session, why = read_section(file, Writer.section)
        assert session, f"{phase}: {why}"
        assert left == old or world.accepts(session), phase
        ran = world.run(words)
        assert ran.returncode == 0, f"{phase}: {ran.stderr}"
        session, why = read_section(file, Writer.section)
        assert session and world.accepts(session), phase
    assert killed >= 15, killed
    assert [path.name for path in folder.iterdir()] == ["credentials"], "nothing is left beside it"
    seen(f"killed at {killed // 5 * 5} places and more; nothing was lost, nothing left beside it")


@pytest.mark.fault(
    "`kill -9` of a program that shares sessions, at any moment",
    face="wheel",
    expected=EXPECTED,
)
def test_programs_that_share_go_on_when_one_of_them_is_killed(
    world: World, seen: Callable[[str], None]
) -> None:
    world.sandbox(3)
    slowest = 0.0
    for number in range(5):
        # Their refreshes come every second or so: some of them are hit in the middle.
        doomed = Wheel(world, ROLEKEEPER_STORE="file")
        doomed.first()
        time.sleep(0.9 + number * 0.1)
        doomed.program.kill()
        other = Wheel(world, ROLEKEEPER_STORE="file")
        read = other.read()
        assert read.session, read.why
        assert not read.is_dead
        assert other.program.said() == ""
        slowest = max(slowest, read.took)
        other.program.kill()
    seen(f"5 of 5 that came after one had a session {within(slowest)}")


@pytest.mark.fault(
    "`kill -9` of whoever asks STS for all who share, in the middle of the call",
    face="agent",
    expected="the lock goes with its process: the next one asks",
)
def test_nobody_waits_for_an_agent_that_was_killed_while_it_asked_for_all(
    world: World, seen: Callable[[str], None]
) -> None:
    sandbox = world.sandbox(3600)
    sandbox.set_faults(only=["AssumeRole"], hang=True)
    words = [world.command, "serve", "--profile", PROFILE, "--listen", "127.0.0.1:0"]
    words += ["--socket", str(world.home / "agent/sock"), "--store", "file"]
    agent = world.start(words)
    folder = world.home / ".cache/rolekeeper"
    wait_for("the lease", lambda: saved(folder, "lease"))
    # The sandbox counts a call once it is let go, so the connection is what tells of it.
    wait_for("the call", lambda: _calls(agent.pid, sandbox.endpoint_url))
    agent.kill()
    sandbox.clear_faults()
    read = Commands(world, store="file").read()
    assert read.session, read.why
    assert read.why == ""
    seen(f"the next one had its session {within(read.took)}")


def _calls(pid: int, url: str) -> bool:
    """Whether a process of this machine has a connection to it."""
    port = f":{int(url.rpartition(':')[2]):04X}"
    lines = Path(f"/proc/{pid}/net/tcp").read_text().splitlines()[1:]
    established = "01"
    ends = [line.split()[2:4] for line in lines]
    return any(there.endswith(port) and state == established for there, state in ends)
