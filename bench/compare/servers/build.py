"""Gets the peers of a comparison: Go programs, from their modules.

``build.py --into FOLDER`` puts programs into FOLDER/bin, and into FOLDER/left-out.json why one
could not be had. All go through the ordinary clients of their registries, at the versions below.
A program of that version is not made again; one that somebody else has put there stays where its
module can't be had, and is measured as it is.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

# For a whole build from nothing, with all that it downloads, on a busy machine.
LONGEST = 900


class Unavailable(Exception):
    """Why a peer can't be had."""


@dataclass(frozen=True)
class Peer:
    name: str
    module: str
    version: str
    # Of the program within the module.
    package: str = "."
    # The variable that a release is built with its version in.
    version_in: str = "main.Version"
    # A newer one of a module that it needs, for where that isn't served.
    newer: str | None = None
    # An npm package with the same program, for where the module isn't served.
    npm: str | None = None

    def stamp(self) -> str:
        return f"{self.module}@v{self.version}"


PEERS = [
    Peer(
        "aws-vault",
        "github.com/byteness/aws-vault/v7",
        "7.13.0",
        newer="github.com/byteness/keyring@v1.12.1",
    ),
    Peer(
        "aws_signing_helper",
        "github.com/aws/rolesanywhere-credential-helper",
        "1.4.0",
        version_in="github.com/aws/rolesanywhere-credential-helper/cmd.Version",
    ),
    Peer(
        "imds-broker",
        "github.com/jamestelfer/imds-broker",
        "0.4.0",
        package="./cmd/imds-broker",
        npm="@jamestelfer/imds-broker",
    ),
]


# === Go ===


def from_module(peer: Peer, into: Path) -> None:
    """Builds it as the main module that it is, so that its own `replace` lines hold."""
    build(peer, into, "-mod=readonly")


def with_newer(peer: Peer, into: Path) -> None:
    """The same, with a newer version of what it needs."""
    build(peer, into, "-mod=mod", ["go", "mod", "edit", f"-require={peer.newer}"])


def build(peer: Peer, into: Path, mod: str, *before: list[str]) -> None:
    if shutil.which("go") is None:
        raise Unavailable("Go is missing")
    env = {name: value for name, value in os.environ.items() if name != "GOFLAGS"} | {
        "GOTOOLCHAIN": "local",
        "GOWORK": "off",
        "GOMODCACHE": str(into / "modules"),
        "GOCACHE": str(into / "cache"),
    }
    told = run(["go", "mod", "download", "-modcacherw", "-json", peer.stamp()], env, into)
    flags = f"-s -w -X {peer.version_in}={peer.version}"
    made = into / "bin" / f"{peer.name}.new"
    command = ["go", "build", mod, "-modcacherw", "-buildvcs=false", "-trimpath"]
    with tempfile.TemporaryDirectory(dir=into) as folder:
        source = Path(folder) / peer.name
        shutil.copytree(json.loads(told)["Dir"], source)
        for step in before:
            run(step, env, source)
        run([*command, "-ldflags", flags, "-o", str(made), peer.package], env, source)
    # A new file: the old one may be running.
    made.replace(into / "bin" / peer.name)


# === npm ===


def from_npm(peer: Peer, into: Path) -> None:
    if peer.npm is None or shutil.which("npm") is None:
        raise Unavailable("npm is missing")
    folder = into / "npm"
    folder.mkdir(exist_ok=True)
    options = ["--ignore-scripts", "--no-audit", "--no-fund", "--silent"]
    package = f"{peer.npm}@{peer.version}"
    run(["npm", "install", "--prefix", str(folder), *options, package], dict(os.environ), folder)
    # In a package of its own for each kind of machine, of which npm installs the one that fits.
    found = [path for path in folder.glob(f"node_modules/{peer.npm}-*/{peer.name}")]
    if not found:
        raise Unavailable(f"{package} has no program for this machine")
    made = into / "bin" / f"{peer.name}.new"
    shutil.copy(found[0], made)
    made.chmod(0o755)
    made.replace(into / "bin" / peer.name)


# === all of them ===


def run(command: list[str], env: dict[str, str], folder: Path) -> str:
    """What it prints. What it complains of is why the peer can't be had."""
    try:
        done = subprocess.run(
            command, env=env, cwd=folder, capture_output=True, text=True, check=False,
            timeout=LONGEST, stdin=subprocess.DEVNULL,
        )  # fmt: skip
    except subprocess.TimeoutExpired:
        raise Unavailable(f"{command[0]} took more than {LONGEST} s") from None
    except OSError as error:
        raise Unavailable(f"{command[0]}: {error}") from None
    if done.returncode:
        raise Unavailable(reason(done.stdout if '"Error"' in done.stdout else done.stderr))
    return done.stdout


def reason(output: str) -> str:
    """The line that says what is wrong, without the address that was asked."""
    lines = [line.strip() for line in output.splitlines()]
    wanted = [line for line in lines if re.search(r"(?i)error|forbidden|not found|cannot", line)]
    line = (wanted or lines or ["it failed without a word"])[-1]
    line = line.replace(r"\n", " ").replace(r"\t", " ").replace(r"\"", "'")
    line = re.sub(r'^"Error": "|"$', "", line)
    line = re.sub(r"(reading )?https?://\S+\s?", "", line)
    return re.sub(r"\s+", " ", line)[:200].rstrip(". ")


def ready(peer: Peer, into: Path) -> bool:
    stamp = into / f"{peer.name}.made"
    made = stamp.read_text().partition("\n")[0] if stamp.exists() else ""
    return made == peer.stamp() and (into / "bin" / peer.name).exists()


def note(peer: Peer, into: Path, left_out: dict[str, str]) -> None:
    """Says of a program that isn't from its module why."""
    if instead := (into / f"{peer.name}.made").read_text().partition("\n")[2]:
        left_out[f"{peer.name}: its Go module"] = instead


def get(peer: Peer, into: Path) -> None:
    ways: list[tuple[Callable[[Peer, Path], None], str]] = [(from_module, "")]
    if peer.newer is not None:
        ways.append((with_newer, f"{peer.newer} was taken"))
    if peer.npm is not None:
        ways.append((from_npm, "its npm package was taken"))
    first: Unavailable | None = None
    for way, taken in ways:
        try:
            way(peer, into)
        except Unavailable as error:
            first = first or error
        else:
            instead = f"{first}; {taken}" if first else ""
            (into / f"{peer.name}.made").write_text(f"{peer.stamp()}\n{instead}")
            return
    assert first is not None
    raise first


def main() -> None:
    parser = argparse.ArgumentParser(description="the peers of the comparison of servers")
    parser.add_argument("--into", type=Path, required=True, help="such as target/compare/go")
    into = parser.parse_args().into.resolve()
    (into / "bin").mkdir(parents=True, exist_ok=True)
    left_out: dict[str, str] = {}
    for peer in PEERS:
        if ready(peer, into):
            note(peer, into, left_out)
            continue
        print(f"getting {peer.stamp()}", file=sys.stderr, flush=True)
        try:
            get(peer, into)
            note(peer, into, left_out)
        except Unavailable as why:
            left_out[peer.name] = str(why)
            print(f"left out: {peer.name}: {why}", file=sys.stderr, flush=True)
    (into / "left-out.json").write_text(json.dumps(left_out, indent=1))


if __name__ == "__main__":
    main()
