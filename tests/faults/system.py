"""What the operating system is asked for: kills within a system call, disks of a test's own, names
that nobody else resolves, clocks that a test sets."""

from __future__ import annotations

import re
import time
from collections.abc import Iterable, Sequence
from pathlib import Path

from world import World

# === kills ===

# All by which something is changed, or somebody else is kept out.
_CHANGES = "mkdir,openat,write,ftruncate,fsync,fdatasync,rename,linkat,unlink,flock,fchmod,close"
_KILLED = -9

_CALL = re.compile(r"^(\d+) +(\w+)\(")


def _strace(trace: Path, paths: Iterable[Path]) -> list[str]:
    words = ["strace", "-f", "-qq", "-o", str(trace), "-e", f"trace={_CHANGES}"]
    return words + [word for path in paths for word in ("-P", str(path))]


def phases(world: World, words: Sequence[str], paths: Sequence[Path] = ()) -> list[tuple[str, int]]:
    """Runs it, and returns each of its calls that changes one of the paths (without paths:
    anything): its name, and how many of that name there have been in its thread, as strace counts."""
    trace = world.home / "trace"
    ran = world.run([*_strace(trace, paths), *words])
    assert ran.returncode == 0, ran.stderr
    counts: dict[tuple[str, str], int] = {}
    found: dict[tuple[str, int], None] = {}
    for line in trace.read_text().splitlines():
        if call := _CALL.match(line):
            thread, name = call.groups()
            counts[thread, name] = counts.get((thread, name), 0) + 1
            found[name, counts[thread, name]] = None
    return list(found)


def is_killed_at(
    world: World, words: Sequence[str], paths: Sequence[Path], phase: tuple[str, int]
) -> bool:
    """Runs it and kills it as it enters that call (`kill -9`). False if it ended by itself: its
    threads shared the work in another way."""
    name, number = phase
    inject = f"inject={name}:signal=KILL:when={number}"
    trace = world.home / "trace"
    ran = world.run([*_strace(trace, paths), "-e", inject, *words])
    assert ran.returncode in (0, _KILLED), ran.stderr
    return ran.returncode == _KILLED


# === mounts, which only the program sees ===


def on_a_disk(folder: Path, options: str) -> list[str]:
    """What is put before a program's words, so that this folder is a disk of its own (tmpfs)."""
    folder.mkdir(parents=True, exist_ok=True)
    script = 'mount -t tmpfs -o "$1" tmpfs "$2" && shift 2 && exec "$@"'
    return [*_UNSHARE, "sh", "-c", script, "sh", f"mode=0700,{options}", str(folder)]


def knowing_names(hosts: Path) -> list[str]:
    """What is put before a program's words, so that it knows these names and asks nobody else."""
    nobody = hosts.with_name("resolv.conf")
    # Nobody answers there, and that is known at once.
    nobody.write_text("nameserver 127.0.0.1\noptions timeout:1 attempts:1\n")
    script = 'mount --bind "$1" /etc/hosts && mount --bind "$2" /etc/resolv.conf'
    script += ' && shift 2 && exec "$@"'
    return [*_UNSHARE, "sh", "-c", script, "sh", str(hosts), str(nobody)]


_UNSHARE = ["unshare", "--mount", "--propagation", "private"]


def as_seen_by(pid: int, path: Path) -> Path:
    """A path that leads to what this process finds there, for us who have other mounts."""
    return Path(f"/proc/{pid}/root") / path.relative_to("/")


def fill(folder: Path) -> Path:
    """Takes all the room that there is."""
    filler = folder / "filler"
    with filler.open("wb", buffering=0) as file:
        for size in (1 << 16, 1 << 12, 1):
            try:
                while True:
                    file.write(b"x" * size)
            except OSError:
                continue
    return filler


# === clocks ===


class Clock:
    """The time that a program is told by the C library: steps are put into a file."""

    def __init__(self, world: World) -> None:
        self._file = world.home / "time"
        self.set(0)

    def set(self, seconds: int) -> None:
        """So many seconds off the true time."""
        new = self._file.with_suffix(".new")
        new.write_text(f"{seconds:+d}\n")
        new.rename(self._file)
        self.offset = seconds

    def environment(self, *, sleeps: bool) -> dict[str, str]:
        """`sleeps`: the time since the start is stepped too, as when a machine has slept."""
        found = [*Path("/usr/lib").glob("*/faketime/libfaketimeMT.so.1")]
        assert found, "faketime has its library there"
        return {
            "LD_PRELOAD": str(found[0]),
            "FAKETIME_TIMESTAMP_FILE": str(self._file),
            "FAKETIME_CACHE_DURATION": "1",
            "FAKETIME_DONT_FAKE_MONOTONIC": "0" if sleeps else "1",
        }

    def now(self) -> float:
        return time.time() + self.offset
