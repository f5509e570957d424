"""Servers and commands that hand out AWS credentials, rolekeeper's beside others, in one run.

``run.py --rolekeeper PATH --dist PATH --peers FOLDER`` prints one JSON document to stdout, for
``cargo xtask compare``, and tells on stderr how far it is. What isn't in the folder is left out, and
named. Parts of it alone: ``run.py … endpoint refresh``; ``--quick`` shows that it works, no more.

It runs in a network namespace of its own where the system lets it (see ``world.py``), and ends all
that it has started, also on Ctrl-C.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import resource
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import commands
import peers as programs
import servers
from report import Report
from world import end_on_signals, enter_own_network, told

ROOT = Path(__file__).resolve().parents[3]
ROUNDS, DOWN_ROUNDS = 3, 2
# Seconds for all of it.
LONGEST = 350
AWS = "aws-cli v2"


def main() -> None:
    parser = argparse.ArgumentParser(description="servers and commands, side by side")
    parser.add_argument("parts", nargs="*", metavar="PART", help=f"of {', '.join(PARTS)}")
    parser.add_argument("--rolekeeper", type=Path, default=ROOT / "target/release/rolekeeper")
    parser.add_argument("--dist", type=Path, help="the shipped build, for timing commands")
    parser.add_argument("--peers", type=Path, default=ROOT / "target/compare/go/bin")
    parser.add_argument("--quick", action="store_true", help="one round of each")
    arguments = parser.parse_args()
    if unknown := set(arguments.parts) - set(PARTS):
        parser.error(f"no such part: {', '.join(sorted(unknown))}")
    end_on_signals()
    own = enter_own_network()
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))

    shipped = arguments.dist if arguments.dist and arguments.dist.exists() else None
    here = programs.Peers(
        str(arguments.rolekeeper.resolve()),
        str((shipped or arguments.rolekeeper).resolve()),
        arguments.peers.resolve(),
        own,
    )
    aws = aws_clis()
    report = Report()
    report.versions = programs.versions(here, aws)
    left_out(report, here, aws)
    signal.signal(signal.SIGALRM, late)
    signal.alarm(LONGEST)
    for name, measure in PARTS.items():
        if not arguments.parts or name in arguments.parts:
            told(f"measuring: {name}, {report.seconds():.0f} s in")
            try:
                measure(here, report, aws, arguments.quick)
            except Late:
                report.leave_out(f"from {name} on", "the machine was too busy to get that far")
                break
    signal.alarm(0)
    told(f"measured in {report.seconds():.0f} s")
    json.dump(report.document(), sys.stdout)
    print()


Part = Callable[[programs.Peers, Report, dict[str, str], bool], None]

# What takes long and is told by few rounds comes last.
PARTS: dict[str, Part] = {
    "endpoint": lambda here, report, _, quick: servers.endpoint(here, report, rounds(quick)),
    "calls": lambda here, report, _, quick: servers.source_calls(here, report, rounds(quick)),
    "start": lambda here, report, aws, _: commands.starts(here, report, aws),
    "cold": lambda here, report, _, quick: commands.cold(here, report, rounds(quick)),
    "refresh": lambda here, report, _, quick: servers.refresh(here, report, rounds(quick)),
    "down": lambda here, report, _, quick: servers.outage(
        here, report, 1 if quick else DOWN_ROUNDS
    ),
}


class Late(Exception):
    """All the time that there is has passed."""


def late(_number: int, _frame: object) -> None:
    raise Late


def rounds(quick: bool) -> int:
    return 1 if quick else ROUNDS


def aws_clis() -> dict[str, str]:
    """Of version 2 only: version 1 prints no credentials."""
    for path in (shutil.which("aws"), "/usr/bin/aws"):
        if path and Path(path).exists():
            said = subprocess.run([path, "--version"], capture_output=True, text=True, check=False)
            if said.stdout.startswith("aws-cli/2."):
                return {AWS: path}
    return {}


def left_out(report: Report, here: programs.Peers, aws: dict[str, str]) -> None:
    """What cannot be measured, with the reason that `build.py` has noted."""
    noted = {}
    with contextlib.suppress(OSError, ValueError):
        noted = json.loads((here.folder.parent / "left-out.json").read_text())
    for name in programs.ALL:
        if not here.program(name):
            report.leave_out(name, noted.get(name, "not built"))
        elif name in noted:
            why = f"{noted[name]}; measured is the program that was there"
            report.leave_out(f"{name}: its Go module", why)
    if not here.alone:
        why = "it listens on every address, and no network namespace could be made for it"
        report.leave_out(programs.BROKER, why)
    if AWS not in aws:
        report.leave_out(AWS, "not installed")
    if shutil.which("openssl") is None:
        report.leave_out(programs.HELPER, "openssl, which makes its certificate, is missing")
    for name, why in (
        {who: why for who, why in noted.items() if ":" in who} | programs.NOT_COMPARED
    ).items():
        report.leave_out(name, why)


if __name__ == "__main__":
    main()
