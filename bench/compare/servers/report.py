"""The document that a run prints: rows, series for plots, and what was left out and why."""

from __future__ import annotations

import statistics
import time
from dataclasses import dataclass, field
from typing import Any

# Seconds, after which a part is measured once and no more. All of it takes at most six minutes.
NO_FURTHER_ROUND = 240


def value(figures: list[float], note: str = "") -> dict[str, Any]:
    """The median of several runs, and how far they lie apart."""
    return {
        "median": round(statistics.median(figures), 3),
        "low": round(min(figures), 3),
        "high": round(max(figures), 3),
        "note": note if len(figures) > 1 else f"{note}; one run".removeprefix("; "),
    }


@dataclass
class Report:
    versions: dict[str, str] = field(default_factory=dict)
    rows: list[dict[str, Any]] = field(default_factory=list)
    series: list[dict[str, Any]] = field(default_factory=list)
    left_out: list[dict[str, str]] = field(default_factory=list)
    begun: float = field(default_factory=time.monotonic)

    def seconds(self) -> float:
        """How long it has taken so far."""
        return time.monotonic() - self.begun

    def is_late(self) -> bool:
        """Whether a busy machine has taken what further rounds were meant to take."""
        return self.seconds() > NO_FURTHER_ROUND

    def row(
        self,
        section: str,
        what: str,
        unit: str,
        values: dict[str, dict[str, Any]],
        *,
        better: str = "less",
    ) -> None:
        if values:
            row = {"section": section, "what": what, "unit": unit, "better": better}
            self.rows.append(row | {"values": values})

    def leave_out(self, who: str, why: str) -> None:
        if (entry := {"who": who, "why": why}) not in self.left_out:
            self.left_out.append(entry)

    def document(self) -> dict[str, Any]:
        return {
            "part": "servers",
            "versions": self.versions,
            "rows": self.rows,
            "series": self.series,
            "left_out": self.left_out,
        }
