"""What `import rolekeeper` adds to the start of an interpreter."""

from __future__ import annotations

import subprocess
import sys
import time
from statistics import median

from report import Row

LIMIT_MS = 20
ROUNDS = 31
# It takes half a second: it has a turn in each third round.
ROUNDS_TO_ONE_OF_BOTO3 = 3

PASS = "pass"
OURS = "import rolekeeper"
NATIVE = "import rolekeeper; rolekeeper.__version__"
BOTO3 = "import boto3"


def rows() -> list[Row]:
    took: dict[str, list[float]] = {code: [] for code in (PASS, OURS, NATIVE, BOTO3)}
    for number in range(ROUNDS):
        for code, figures in took.items():
            if code != BOTO3 or number % ROUNDS_TO_ONE_OF_BOTO3 == 0:
                figures.append(_milliseconds(code))
    bare = median(took[PASS])
    beyond = {code: median(figures) - bare for code, figures in took.items()}
    return [
        Row(
            what=OURS,
            must_be=f"≤ {LIMIT_MS} ms beyond `python -c pass`",
            # The import alone is less than these machines' noise.
            ratios=(
                f"{beyond[BOTO3] / beyond[NATIVE]:.0f} × less than import boto3, its native module "
                "included"
            ),
            absolute=(
                f"{beyond[OURS]:.1f} ms beyond the {bare:.1f} of `python -c pass`; with its "
                f"native module {beyond[NATIVE]:.1f}; import boto3 {beyond[BOTO3]:.0f}"
            ),
            met=beyond[OURS] <= LIMIT_MS,
        )
    ]


def _milliseconds(code: str) -> float:
    before = time.perf_counter()
    subprocess.run([sys.executable, "-c", code], check=True)
    return (time.perf_counter() - before) * 1e3
