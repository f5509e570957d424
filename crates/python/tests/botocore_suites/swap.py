"""A pytest plugin: botocore's own suites with our credentials in place of botocore's.

Run with ``-p swap``, before any test module is imported. ``ROLEKEEPER_SWAP=no`` leaves botocore as
it is. What came of each test, and whose objects were made, goes to the file
``ROLEKEEPER_SWAP_REPORT`` as JSON.
"""

from __future__ import annotations

import json
import os
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import botocore.credentials as theirs
import pytest

_outcomes: dict[str, str] = {}
_made: Counter[str] = Counter()


def _swap() -> None:
    from rolekeeper import DeferredRefreshableCredentials, RefreshableCredentials

    class OnDemand(RefreshableCredentials):
        refresh_mode = "on-demand"

        def __new__(cls, *arguments: Any, **named: Any) -> Any:
            _made["ours"] += 1
            return super().__new__(cls, *arguments, **named)

        def _freeze(self, *parts: Any) -> Any:
            _made["sessions read from ours"] += 1
            return super()._freeze(*parts)

    class OnDemandDeferred(DeferredRefreshableCredentials, OnDemand):
        pass

    replacements: list[tuple[type, type]] = [
        (theirs.RefreshableCredentials, OnDemand),
        (theirs.DeferredRefreshableCredentials, OnDemandDeferred),
    ]
    for module in [module for name, module in sys.modules.items() if name.startswith("botocore")]:
        for name, value in list(vars(module).items()):
            for original, ours in replacements:
                if value is original:
                    setattr(module, name, ours)


def _count(original: Any) -> None:
    """Ours never calls the ``__init__`` that it inherits."""
    init = original.__init__

    def counted(self: Any, *arguments: Any, **named: Any) -> None:
        _made["botocore's"] += 1
        init(self, *arguments, **named)

    original.__init__ = counted


_count(theirs.RefreshableCredentials)
_count(theirs.DeferredRefreshableCredentials)
if os.environ.get("ROLEKEEPER_SWAP") != "no":
    _swap()


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    # The worst of set-up, call and tear-down counts.
    if report.outcome != "passed" or report.when == "call":
        _outcomes[report.nodeid] = report.outcome


def pytest_sessionfinish() -> None:
    report = {"outcomes": _outcomes, "made": dict(_made), "botocore": theirs.__file__}
    Path(os.environ["ROLEKEEPER_SWAP_REPORT"]).write_text(json.dumps(report), encoding="utf-8")
