"""Side by side: rolekeeper and botocore's own classes, in one process and one run.

`cargo xtask bench` runs it in an environment that has the wheel, and adds its table to
``bench/RESULTS.md``. It is a report, not a test: it fails only when it can't measure, and a
requirement that is not met is printed as such.

Method
    *Reads*: all contenders take turns, a batch of about 5 ms each in every round (A B C A B C …),
    so that whatever else the machine does hits all alike. What is counted is the CPU time of the
    reading thread per call, the loop's own cost included; with eight threads, the wall time of a
    batch of 0.2 s per call, beside the same batch in one thread. The ratio of two contenders is taken round by round, from batches that lie
    milliseconds apart, and the median of these ratios is reported.

    *Stalls*: 32 threads read about every millisecond, while a source takes 100 ms. Wall time around
    each read. A read that took half the source's time or more has stalled. botocore's session is in
    the window from the first read on; ours would have been replaced long before it, so that a
    simulated clock leaps into the window while the readers read.

    *Fork and import*: wall time, in processes of their own.

A part of it alone, printed and not written: ``python side_by_side.py reads``, or ``stalls``,
``short``, ``forks``, ``imports``.
"""

from __future__ import annotations

import argparse
import logging
import sys
from pathlib import Path

import forks
import imports
import machine
import reads
import report
import short
import stalls

SECTION = report.Section("Python", "crates/python/bench/side_by_side.py")
PARTS = {
    "reads": reads.rows,
    "stalls": stalls.rows,
    "short": short.rows,
    "forks": forks.rows,
    "imports": imports.rows,
}


def main() -> None:
    parser = argparse.ArgumentParser(description="rolekeeper beside botocore")
    parser.add_argument("parts", nargs="*", metavar="PART", help=f"one of {', '.join(PARTS)}")
    parser.add_argument("--append-to", type=Path, help="the Markdown file to add the table to")
    arguments = parser.parse_args()
    unknown = set(arguments.parts) - set(PARTS)
    if unknown:
        parser.error(f"no such part: {', '.join(sorted(unknown))}")

    # A source that is down is logged by both; nobody reads it here.
    logging.getLogger().addHandler(logging.NullHandler())
    load_before = machine.load()
    rows: list[report.Row] = []
    for name, measure in PARTS.items():
        if not arguments.parts or name in arguments.parts:
            print(f"measuring: {name}", file=sys.stderr, flush=True)
            rows += measure()
    told = machine.told(load_before)
    print(report.text(told, rows))
    if arguments.append_to is not None:
        with arguments.append_to.open("a", encoding="utf-8") as file:
            file.write(report.markdown(SECTION, told, rows))


if __name__ == "__main__":
    main()
