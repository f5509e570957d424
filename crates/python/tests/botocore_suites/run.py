"""Runs botocore's own credential suites, unchanged, with our classes in place of botocore's.

    python run.py FOLDER        (or ROLEKEEPER_BOTOCORE_SUITES=FOLDER python run.py)

FOLDER is where the pinned source distribution is fetched and unpacked; what is there already is
used again. Each suite runs twice, with botocore's classes and with ours: the same tests must pass,
none may be skipped that is not skipped there, and ours must really have been used.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
import sys
import tarfile
from pathlib import Path
from typing import Any

VERSION = "1.44.5"
SHA256 = "a988f39e3a4484def0b8010f41128f71157da0515a4804fccce4739aa8f216da"
SUITES = ("tests/unit/test_credentials.py", "tests/functional/test_credentials.py")

# Far below what the suites have, and far above what is left when a collection goes wrong.
FEWEST_TESTS = 230
FEWEST_OBJECTS = 60

HERE = Path(__file__).resolve().parent
PACKAGE = HERE.parent.parent / "python"


def main() -> int:
    given = sys.argv[1] if len(sys.argv) == 2 else os.environ.get("ROLEKEEPER_BOTOCORE_SUITES")
    if not given:
        print(__doc__, file=sys.stderr)
        return 64
    folder = Path(given).resolve()
    folder.mkdir(parents=True, exist_ok=True)
    root = _unpacked(_fetched(folder), folder)
    before = _run(root, folder / "botocore.json", swap=False)
    after = _run(root, folder / "rolekeeper.json", swap=True)
    complaints = _compare(before, after, root)
    for complaint in complaints:
        print(f"botocore's suites: {complaint}", file=sys.stderr)
    if complaints:
        return 1
    outcomes = list(after["outcomes"].values())
    print(
        f"botocore {VERSION}'s credential suites: {outcomes.count('passed')} passed with "
        f"{after['made']['ours']} objects of ours, {outcomes.count('skipped')} skipped; "
        "the same as with botocore's own classes"
    )
    return 0


def _fetched(folder: Path) -> Path:
    archive = folder / f"botocore-{VERSION}.tar.gz"
    if not archive.exists():
        pip = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps"]
        pip += ["--no-binary", ":all:", "--dest", str(folder), f"botocore=={VERSION}"]
        subprocess.run(pip, check=True)
    found = hashlib.sha256(archive.read_bytes()).hexdigest()
    if found != SHA256:
        raise SystemExit(f"{archive} is not the pinned one: its SHA-256 is {found}")
    return archive


def _unpacked(archive: Path, folder: Path) -> Path:
    """Always anew: unchanged means unchanged."""
    root = folder / f"botocore-{VERSION}"
    shutil.rmtree(root, ignore_errors=True)
    with tarfile.open(archive) as files:
        # The hash vouches for it, and older Pythons know no filters.
        files.extractall(folder)
    return root


def _run(root: Path, report: Path, *, swap: bool) -> dict[str, Any]:
    report.unlink(missing_ok=True)
    environment = {
        **{name: value for name, value in os.environ.items() if not name.startswith("AWS_")},
        "ROLEKEEPER_SWAP": "yes" if swap else "no",
        "ROLEKEEPER_SWAP_REPORT": str(report),
        "PYTHONPATH": os.pathsep.join([str(HERE), *_package_path()]),
    }
    # `-m` puts the unpacked botocore before any that is installed.
    pytest = [sys.executable, "-m", "pytest", "-q", "-p", "swap", "-p", "no:cacheprovider"]
    run = subprocess.run([*pytest, *SUITES], cwd=root, env=environment, check=False)
    if not report.exists():
        raise SystemExit(f"pytest ended with {run.returncode} and without a report")
    return {**json.loads(report.read_text(encoding="utf-8")), "exit": run.returncode}


def _package_path() -> list[str]:
    """The package beside this file, unless PYTHONPATH or an installed wheel brings it."""
    given = [path for path in os.environ.get("PYTHONPATH", "").split(os.pathsep) if path]
    probe = [sys.executable, "-c", "import rolekeeper._rolekeeper"]
    is_there = subprocess.run(probe, capture_output=True, check=False).returncode == 0
    return given if is_there else [str(PACKAGE), *given]


def _compare(before: dict[str, Any], after: dict[str, Any], root: Path) -> list[str]:
    complaints: list[str] = []
    theirs, ours = before["outcomes"], after["outcomes"]
    passed = [name for name, outcome in ours.items() if outcome == "passed"]
    for run in (before, after):
        if not Path(run["botocore"]).is_relative_to(root):
            complaints.append(f"another botocore was tested: {run['botocore']}")
    if before["exit"] != 0:
        complaints.append("they fail even with botocore's own classes")
    for name in sorted(theirs.keys() | ours.keys()):
        if theirs.get(name) != ours.get(name):
            complaints.append(f"{name}: {theirs.get(name)} with botocore's, {ours.get(name)} here")
    if after["exit"] != 0:
        complaints.append(f"pytest ended with {after['exit']}")
    if len(passed) < FEWEST_TESTS:
        complaints.append(f"only {len(passed)} tests passed")
    made = after["made"]
    if made.get("ours", 0) < FEWEST_OBJECTS or not made.get("sessions read from ours"):
        complaints.append(f"our classes were not used: {made}")
    if made.get("botocore's"):
        complaints.append(f"botocore's classes were still used: {made}")
    if before["made"].get("botocore's", 0) != made.get("ours", 0):
        complaints.append(f"of ours there were {made}, of botocore's {before['made']}")
    return complaints


if __name__ == "__main__":
    raise SystemExit(main())
