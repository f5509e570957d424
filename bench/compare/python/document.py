"""What is handed to the report: rows of figures, and points for its plots."""

from __future__ import annotations

import json
from importlib.metadata import PackageNotFoundError, version
from statistics import median
from typing import Any

OURS = "rolekeeper"


class Document:
    """One JSON document: the rows of a part, and what it had to leave out."""

    def __init__(self, part: str, packages: list[str]) -> None:
        self.part = part
        self.versions: dict[str, str] = {}
        self.rows: list[dict[str, Any]] = []
        self.series: list[dict[str, Any]] = []
        self.left_out: list[dict[str, str]] = []
        for package in packages:
            try:
                self.versions[package] = version(package)
            except PackageNotFoundError:
                self.leave_out(package, "it is not installed")

    def row(
        self,
        section: str,
        what: str,
        unit: str,
        values: dict[str, dict[str, Any]],
        *,
        better: str = "less",
    ) -> None:
        row = {"section": section, "what": what, "unit": unit, "better": better}
        if values:
            self.rows.append(row | {"values": values})

    def plotted(
        self,
        plot: str,
        who: str,
        group: str,
        points: list[tuple[float, float, int]],
        **more: Any,
    ) -> None:
        points = [(round(at, 4), round(took, 4), served) for at, took, served in points]
        series = {"plot": plot, "who": who, "face": "library", "group": group, "points": points}
        self.series.append(series | more)

    def leave_out(self, who: str, why: str) -> None:
        self.left_out.append({"who": who, "why": why})

    def __str__(self) -> str:
        return json.dumps(vars(self))


def figure(figures: list[float], note: str = "") -> dict[str, Any]:
    """Of several rounds."""
    return {"median": median(figures), "low": min(figures), "high": max(figures), "note": note}
