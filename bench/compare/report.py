"""Merges what the parts of a comparison have measured into one table and two plots.

``report.py --parts FOLDER --into FOLDER`` writes ``COMPARISON.md``, ``refresh.svg`` and
``source-down.svg``; without ``--into`` it prints the tables. A part is a JSON document of rows,
series and what it left out; of one that failed, a file that ends in ``.failed`` has the reason.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import platform
import re
import subprocess
import sys
from datetime import datetime, timezone
from itertools import groupby
from pathlib import Path
from typing import Any

import plots

OURS = "rolekeeper"

SECTIONS = [
    "hot reads",
    "stall at refresh",
    "source down",
    "source calls",
    "cold processes",
    "command start",
    "endpoint",
    "memory",
]

# What starting any program takes: a floor, not a peer.
FLOOR = "/bin/true"

BETTER, SAME = "better than ours", "the same"
# What stands before a figure says of what it is the number.
COUNTED = {"calls", "reads", "readers"}

METHOD = """
## Method

One machine, one run, and nothing else at work on it as far as that can be had: the load above says so. The contenders of
a row take turns (A B C A B C …), each with a source of its own that is made and set alike. What stands in a cell is the
median of the rounds, and in brackets the lowest and the highest; ratios are of medians. "Within the spread" says that
these ranges overlap.

- **The source** of the libraries is `rolekeeper sandbox`, a process of its own, which verifies signatures and really
  expires sessions. Where a row says so its AssumeRole takes 100 ms; while it is down it answers 503, as slowly. Each calls
  it by its own AWS client, with that client's own retries. object_store assumes no roles: it reads from a container
  endpoint, which for each request makes one AssumeRole at that STS.
- **Everybody has its defaults**, and refreshes by its own rule. The session that is held when a watch begins has such an
  end that a refresh is due half a second later (the Rust SDK spreads its own over some seconds); those that follow live
  for an hour. botocore, and what stands on it, has two rules: when 15 minutes are left one reader refreshes, when 10 are
  left all wait. It comes to the second if nobody has read for five minutes, or if the source has been down for as long.
- **Readers** read about every millisecond, each in a thread or a task of its own. Whoever waits for 50 ms or more has
  waited for the source. Where the source is down, all reads are counted, also those that ended later.
- **Hot reads** are CPU time of the reading thread, in batches of 2 to 5 ms, in turns.
- **Cold processes**: all are ready before the first may read, and none ends before the last has read. One round.
- **Memory** is VmRSS, of a process of its own for each; in Rust, what 1,000 roles add to it.
- **Plots** are of the first round.

How the servers and commands are measured stands in `bench/compare/servers`.
"""


def main() -> None:
    parser = argparse.ArgumentParser(description="the report of `cargo xtask compare`")
    parser.add_argument("--parts", type=Path, required=True, help="the folder with all of them")
    parser.add_argument("--into", type=Path, help="where COMPARISON.md and the plots go")
    parser.add_argument("--load-before", default="unknown", help="the load when it began")
    arguments = parser.parse_args()
    parts, failed = read(arguments.parts)
    if not parts:
        sys.exit("error: no part has measured anything")
    if arguments.into is None:
        print(better_elsewhere(parts) + tables(parts) + left_out(parts, failed))
        return
    series = [one for part in parts for one in part["series"]]
    for plot in plots.PLOTS:
        drawn = plots.svg(plot, series)
        if drawn is not None:
            (arguments.into / f"{plot.name}.svg").write_text(drawn, encoding="utf-8")
    written = markdown(machine(arguments.load_before), parts, failed)
    (arguments.into / "COMPARISON.md").write_text(written, encoding="utf-8")


def machine(load_before: str) -> list[tuple[str, str]]:
    """Where this ran, and when."""
    uname, model = os.uname(), "unknown"
    # Other systems have no /proc; what is not known is told as such.
    with contextlib.suppress(OSError):
        found = re.search(r"^model name\s*: (.*)$", Path("/proc/cpuinfo").read_text(), re.MULTILINE)
        model = found[1] if found else model
    rustc = subprocess.run(["rustc", "--version"], capture_output=True, text=True, check=False)
    return [
        ("date", datetime.now(timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")),
        ("command", "cargo xtask compare"),
        ("CPU", f"{model}, {os.cpu_count()} cores"),
        ("kernel", f"{uname.sysname} {uname.release} {uname.machine}"),
        ("load", f"{load_before} at the beginning, {os.getloadavg()[0]:.2f} at the end"),
        ("compiler", rustc.stdout.strip()),
        ("Python", f"{platform.python_implementation()} {platform.python_version()}"),
    ]


def read(folder: Path) -> tuple[list[dict[str, Any]], dict[str, str]]:
    """The parts, and why others failed."""
    parts = []
    failed = {file.stem: file.read_text(encoding="utf-8") for file in folder.glob("*.failed")}
    for file in sorted(folder.glob("*.json")):
        try:
            parts.append(json.loads(file.read_text(encoding="utf-8")))
        except ValueError as error:
            failed[file.stem] = f"what it printed is no JSON: {error}"
    return parts, failed


def markdown(
    told: list[tuple[str, str]], parts: list[dict[str, Any]], failed: dict[str, str]
) -> str:
    versions = {name: which for part in parts for name, which in part["versions"].items()}
    lines = [
        "# Beside the peers",
        "",
        "Written by `cargo xtask compare`, which builds what is compared and measures it in one run. Compare ratios:",
        "absolute figures are this machine's. [Where a peer is better](#where-a-peer-is-better) has its own list.",
        "",
        "| | |",
        "|---|---|",
        *(f"| {name} | {value} |" for name, value in told),
        "| versions | " + ", ".join(f"{name} {which}" for name, which in versions.items()) + " |",
        "",
        *(f"![{plot.title}]({plot.name}.svg)\n" for plot in plots.PLOTS),
    ]
    return (
        "\n".join(lines)
        + better_elsewhere(parts)
        + tables(parts)
        + left_out(parts, failed)
        + METHOD
    )


# === tables ===


def tables(parts: list[dict[str, Any]]) -> str:
    rows = [row for part in parts for row in part["rows"]]
    known = SECTIONS + sorted({row["section"] for row in rows} - set(SECTIONS))
    lines = []
    for section in known:
        chosen = [row for row in rows if row["section"] == section]
        if chosen:
            lines += ["", f"## {section[0].upper()}{section[1:]}"]
        for (case, names), group in groupby(
            chosen, key=lambda row: (case_of(row), contenders(row))
        ):
            lines += ["", f"{case[0].upper()}{case[1:]}:", ""]
            lines += ["| " + " | ".join(["", *names]) + " |", "|---" * (len(names) + 1) + "|"]
            for row in group:
                cells = [cell(row, name) for name in names]
                lines.append("| " + " | ".join([asked(row), *cells]) + " |")
    return "\n".join(lines) + "\n"


def contenders(row: dict[str, Any]) -> tuple[str, ...]:
    """Ours first."""
    return tuple(sorted(row["values"], key=lambda name: not name.startswith(OURS)))


def case_of(row: dict[str, Any]) -> str:
    """Several rows of one part tell of the same; what each asks stands after a colon."""
    case: str = row["what"]
    return case.rpartition(": ")[0] or case


def asked(row: dict[str, Any]) -> str:
    """And where there is no colon, the unit says it."""
    told = row["what"].rpartition(": ")[2] if ": " in row["what"] else row["unit"]
    return f"{told} (more is better)" if row["better"] == "more" else told


def cell(row: dict[str, Any], name: str) -> str:
    ours, value = row["values"].get(OURS), row["values"][name]
    told = amount(value, row["unit"])
    if ours is None or name == OURS:
        return told
    if ours["median"] == 0 and value["median"] > 0 and row["better"] == "less":
        return f"**{told}**"
    ratio = compared(row, name)
    return f"{told}, {ratio}" if ratio == SAME else f"**{ratio}**<br>{told}"


def compared(row: dict[str, Any], name: str) -> str:
    """First, since it holds on other machines too."""
    ours, theirs = row["values"][OURS], row["values"][name]
    if same(ours, theirs):
        return SAME
    better = is_peer(name) and is_better(row, theirs, ours)
    within = ", within the spread" if overlap(ours, theirs) else ""
    ratio = ""
    if ours["median"] and theirs["median"]:
        ratio = f"{number(theirs['median'] / ours['median'])} × ours"
    told = ": ".join(part for part in (BETTER if better else "", ratio) if part)
    return (told or "worse than ours") + within


def is_peer(name: str) -> bool:
    """Neither another of our own faces nor the floor."""
    return name != FLOOR and not name.startswith(OURS)


def is_better(row: dict[str, Any], one: dict[str, Any], other: dict[str, Any]) -> bool:
    if row["better"] == "less":
        return one["median"] < other["median"]
    return one["median"] > other["median"]


def same(one: dict[str, Any], other: dict[str, Any]) -> bool:
    return number(one["median"]) == number(other["median"])


def overlap(one: dict[str, Any], other: dict[str, Any]) -> bool:
    return one["low"] <= other["high"] and other["low"] <= one["high"]


def amount(value: dict[str, Any], unit: str) -> str:
    if unit == "ms" and 0 < value["median"] < 1:
        # Of the noise of a machine's scheduling rather than of anybody's waiting.
        unit, value = "µs", value | {key: value[key] * 1e3 for key in ("median", "low", "high")}
    told, note = number(value["median"]), value["note"]
    low, high = number(value["low"]), number(value["high"])
    if note.startswith("of "):
        told, note = f"{told} {note}", ""
    elif unit not in COUNTED:
        told += f" {unit}"
    if low != high:
        told += f" ({low} to {high})"
    return told + (f", {note}" if note else "")


def number(value: float) -> str:
    """Three figures that count."""
    if value == 0 or abs(value) >= 100:
        return f"{value:,.0f}"
    return f"{value:.3g}"


# === in words ===


def better_elsewhere(parts: list[dict[str, Any]]) -> str:
    found = []
    for row in (row for part in parts for row in part["rows"]):
        ours = row["values"].get(OURS)
        for name, theirs in row["values"].items():
            if ours is None or not is_peer(name) or same(ours, theirs):
                continue
            if is_better(row, theirs, ours):
                figures = f"{amount(theirs, row['unit'])}; ours {amount(ours, row['unit'])}"
                ratio = compared(row, name).removeprefix(BETTER).removeprefix(": ")
                found.append(f"- **{name}**: {row['what']}: {figures} ({ratio}).")
    lines = ["", "## Where a peer is better", "", *(found or ["Nowhere in this run."])]
    return "\n".join(lines) + "\n"


def left_out(parts: list[dict[str, Any]], failed: dict[str, str]) -> str:
    lines = [f"- {one['who']}: {one['why']}" for part in parts for one in part["left_out"]]
    lines += [f"- the part {name}: {why.strip()}" for name, why in sorted(failed.items())]
    if not lines:
        return ""
    return "\n".join(["", "## Not measured, or had in another way", "", *lines]) + "\n"


if __name__ == "__main__":
    main()
