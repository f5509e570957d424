"""Disks that are full from some moment on: what was written stays whole, sessions are
served all the same, and it is written again when there is room."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from faces import Agent, Face, Watch, Wheel, Writer
from system import as_seen_by, fill, on_a_disk
from words import within
from world import wait_for

if TYPE_CHECKING:
    from collections.abc import Callable

    from world import World

# Seconds.
LIFE = 6

# Enough for a few small files.
SMALL = "size=64k"

FACES = {face.name: face for face in (Agent, Wheel)}


def a_writer_on_a_disk(world: World) -> tuple[Writer, Path]:
    folder = world.home / "kept"
    writer = Writer(world, *on_a_disk(folder, SMALL))
    writer.seen = as_seen_by(writer.program.pid, writer.file)
    return writer, writer.seen.parent


def assert_old_is_whole(writer: Writer, least: float) -> None:
    """For so many seconds, the file is never anything but a whole one."""
    end = time.monotonic() + least
    while time.monotonic() < end:
        session, why = writer.ask()
        assert session, why
        time.sleep(0.05)


@pytest.mark.needs("mounts")
@pytest.mark.fault(
    "the disk with the credentials file is full, then there is room again",
    face="write",
    expected="the old file stays whole; it is told once; a new session when there is room",
)
def test_a_file_on_a_full_disk_stays_whole_and_is_written_when_there_is_room(
    world: World, seen: Callable[[str], None]
) -> None:
    world.sandbox(LIFE)
    writer, folder = a_writer_on_a_disk(world)
    writer.first()
    filler = fill(folder)
    full = wait_for("the first session that can't be written", lambda: _told(writer))
    old, _ = writer.ask()
    assert old
    assert "No space left on device" in full
    assert_old_is_whole(writer, LIFE / 2)
    assert writer.ask()[0] == old
    assert writer.program.said().count("No space left") == 1, writer.program.said()
    filler.unlink()
    new, took = writer.fresh(than=old)
    assert world.accepts(new)
    wait_for("its being told", lambda: "wrote to" in writer.program.said())
    assert [path.name for path in folder.iterdir() if path.suffix == ".new"] == []
    seen(f"the file was whole all the time, told once; written {within(took)} after there was room")


def _told(writer: Writer) -> str:
    lines = writer.program.said().splitlines()
    return next((line for line in lines if "it is tried again" in line), "")


@pytest.mark.needs("mounts")
@pytest.mark.fault(
    "the disk with the shared sessions is full, then there is room again",
    face="{face}",
    expected="sessions are served without it, which is told once; shared when there is room",
)
@pytest.mark.parametrize("face", FACES)
def test_a_store_on_a_full_disk_costs_nobody_a_session(
    world: World, seen: Callable[[str], None], face: str
) -> None:
    world.sandbox(LIFE)
    folder = world.home / ".cache"
    around = on_a_disk(folder, SMALL)
    store = {"ROLEKEEPER_STORE": "file"}
    kept: Face
    if face == Agent.name:
        kept = Agent(world, around=around, **store)
    else:
        kept = Wheel(world, *around, **store)
    kept.first()
    shared = as_seen_by(kept.program.pid, folder)
    with Watch(kept) as watch:
        (record,) = wait_for("a record", lambda: [*shared.glob("rolekeeper/*.session")])
        filler = fill(shared)
        full = record.stat().st_ino
        before = kept.read().session
        assert before
        # Two sessions further on.
        second, _ = kept.fresh(than=before)
        kept.fresh(than=second)
        assert record.stat().st_ino == full, "nothing could be written"
        filler.unlink()
        began = time.monotonic()
        wait_for("a record again", lambda: record.exists() and record.stat().st_ino != full)
        took = time.monotonic() - began
    watch.assert_unnoticed()
    if face == Agent.name:
        # A library tells those who listen to its events.
        assert kept.program.said().count("cannot share sessions") == 1, kept.program.said()
    seen(f"no read failed; shared again {within(took)} after there was room")
