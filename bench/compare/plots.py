"""The two plots of the report: latency over time, a panel for each contender, ours in every panel.

Plain SVG, made by hand: one file each that needs no script and no font, and that a page can show on
a light or a dark ground, since it brings its own.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from html import escape
from typing import Any

OURS = "rolekeeper"

COLUMNS = 4
WIDTH, HEIGHT = 222, 96
LEFT, RIGHT, TOP = 62, 22, 100
# Beneath a panel its time axis has its place, and the two lines of the next one's name.
GAP_X, GAP_Y = 16, 62
# Above the panels of a group, for its name and those of the first panels.
HEADING = 54
FOOT = 26

# A read of a session takes less than the first, and nobody is watched for longer than the last.
LOWEST_MS, HIGHEST_MS = 1e-4, 3e4
TICKS = {1e-3: "1 µs", 1e-1: "100 µs", 1e1: "10 ms", 1e3: "1 s"}
# Nobody feels less than this; whoever is above it has waited for the source.
FELT_MS = 50.0

GROUND, INK, FAINT, RULE = "#ffffff", "#1f2328", "#59636e", "#d8dee4"
BLUE, PALE, AMBER, RED, BAND = "#0969da", "#9cc7f5", "#bc6c00", "#cf222e", "#fdf0ee"

GROUPS = {
    "Python": "Python: 32 threads that read credentials",
    "asyncio": "Python, asyncio: 32 tasks",
    "Rust": "Rust: 64 tasks",
    "endpoint": "Over HTTP: clients that ask an endpoint",
}


@dataclass
class Plot:
    """What one of them is about."""

    name: str
    title: str
    says: str
    axis: str
    # Whether a time in which the source is down is told by the moment zero.
    is_outage: bool


PLOTS = [
    Plot(
        "refresh",
        "What a reader feels during a refresh",
        "Each bar is the worst read that began at that moment, as long and as high as it took. "
        "The source takes 100 ms.",
        "seconds",
        False,
    ),
    Plot(
        "source-down",
        "What a reader feels while the source is down",
        "Each bar is the worst read that began at that moment, as long and as high as it took. "
        "In the shaded time the source is down.",
        "seconds",
        True,
    ),
]


def svg(plot: Plot, series: list[dict[str, Any]]) -> str | None:
    """The plot, or none if nobody has points for it."""
    drawn = [one for one in series if one["plot"] == plot.name and one["points"]]
    if not drawn:
        return None
    groups: dict[str, list[dict[str, Any]]] = {}
    for one in drawn:
        groups.setdefault(one.get("group") or one["face"], []).append(one)
    body: list[str] = []
    y = float(TOP)
    for key in sorted(groups, key=lambda key: (*GROUPS, key).index(key)):
        members = sorted(groups[key], key=lambda one: not one["who"].startswith(OURS))
        body.append(text(LEFT, y + 14, GROUPS.get(key, key), size=13, weight=600))
        y += HEADING
        body += group(plot, members, y)
        rows = math.ceil(len(members) / COLUMNS)
        y += rows * (HEIGHT + GAP_Y) - 30
    width = LEFT + COLUMNS * WIDTH + (COLUMNS - 1) * GAP_X + RIGHT
    height = y + FOOT + 8
    head = (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width:.0f} {height:.0f}" '
        f'width="{width:.0f}" height="{height:.0f}" role="img" '
        'font-family="system-ui, -apple-system, Segoe UI, Helvetica, Arial, sans-serif">'
    )
    lines = [
        head,
        f"<title>{escape(plot.title)}</title>",
        f'<rect width="{width:.0f}" height="{height:.0f}" rx="8" fill="{GROUND}"/>',
        text(LEFT, 30, plot.title, size=18, weight=600),
        text(LEFT, 50, plot.says, size=12, fill=FAINT),
        *legend(LEFT, 72),
        *body,
        text(LEFT, height - 12, f"Across: {plot.axis}. Up: latency, logarithmic.", fill=FAINT),
        "</svg>",
    ]
    return "\n".join(lines) + "\n"


def legend(x: float, y: float) -> list[str]:
    entries = [
        (BLUE, OURS),
        (AMBER, "a peer"),
        (RED, "a read that failed"),
        (PALE, f"{OURS} again, behind each peer"),
    ]
    drawn = []
    for colour, told in entries:
        drawn.append(f'<rect x="{x}" y="{y - 5}" width="18" height="4" fill="{colour}"/>')
        drawn.append(text(x + 24, y, told, size=12))
        x += 46 + 6.6 * len(told)
    return drawn


def group(plot: Plot, members: list[dict[str, Any]], top: float) -> list[str]:
    """Panels that have one time axis, the first being ours."""
    first = min(0.0, *(at for one in members for at, _, _ in one["points"]))
    last = max(at for one in members for at, _, _ in one["points"])
    down = next((one["outage"] for one in members if "outage" in one), None)
    ours = next((one for one in members if one["who"].startswith(OURS)), None)
    drawn = []
    for position, one in enumerate(members):
        left = LEFT + (position % COLUMNS) * (WIDTH + GAP_X)
        panel = Panel(left, top + (position // COLUMNS) * (HEIGHT + GAP_Y), first, last)
        drawn += panel.frame(has_labels=position % COLUMNS == 0)
        if plot.is_outage and down:
            drawn.append(panel.band(*down))
        if ours is not None and one is not ours:
            drawn.append(panel.bars(ours["points"], PALE, 2))
        served = [point for point in one["points"] if point[2]]
        failed = [point for point in one["points"] if not point[2]]
        drawn.append(panel.bars(served, BLUE if one is ours else AMBER, 2.4))
        drawn.append(panel.bars(failed, RED, 3.2))
        drawn.append(text(left, panel.top - 20, one["who"], size=12, weight=600))
        colour = RED if failed else FAINT
        drawn.append(text(left, panel.top - 6, felt(one), fill=colour))
    return drawn


def felt(one: dict[str, Any]) -> str:
    """The longest of the bars, in words."""
    worst = max(took for _, took, _ in one["points"])
    failed = any(not served for _, _, served in one["points"])
    told = [one.get("note", ""), f"longest {duration(worst)}", "reads fail" if failed else ""]
    return ", ".join(part for part in told if part)


def duration(ms: float) -> str:
    if ms >= 1000:
        return f"{ms / 1000:.1f} s"
    if ms >= 1:
        return f"{ms:.0f} ms"
    return f"{ms * 1000:.0f} µs" if ms >= 0.001 else "under 1 µs"


@dataclass
class Panel:
    """Where moments and latencies lie in one of the panels."""

    left: float
    top: float
    first: float
    last: float

    def x(self, at: float) -> float:
        share = (at - self.first) / (self.last - self.first or 1)
        return self.left + WIDTH * min(1.0, max(0.0, share))

    def y(self, ms: float) -> float:
        ms = min(HIGHEST_MS, max(LOWEST_MS, ms))
        share = math.log(ms / LOWEST_MS) / math.log(HIGHEST_MS / LOWEST_MS)
        return self.top + HEIGHT * (1 - share)

    def frame(self, has_labels: bool) -> list[str]:
        drawn = []
        for ms, told in TICKS.items():
            y = self.y(ms)
            drawn.append(line(self.left, y, self.left + WIDTH, y, RULE))
            if has_labels:
                drawn.append(text(self.left - 8, y + 4, told, anchor="end", fill=FAINT))
        bottom = self.top + HEIGHT
        drawn.append(line(self.left, bottom, self.left + WIDTH, bottom, FAINT))
        step = 0.5 if self.last - self.first <= 3 else 2 if self.last - self.first <= 12 else 5
        at = math.ceil(self.first / step) * step
        while at <= self.last + 1e-9:
            drawn.append(line(self.x(at), bottom, self.x(at), bottom + 4, FAINT))
            drawn.append(text(self.x(at), bottom + 15, f"{at:g}", anchor="middle", fill=FAINT))
            at += step
        return drawn

    def band(self, begin: float, end: float) -> str:
        x = self.x(begin)
        return (
            f'<rect x="{x:.1f}" y="{self.top:.1f}" width="{self.x(end) - x:.1f}" '
            f'height="{HEIGHT}" fill="{BAND}"/>'
        )

    def bars(self, points: Iterable[tuple[float, float, int]], colour: str, thick: float) -> str:
        """The worst of each pixel; at least two wide, or nobody would see it."""
        worst: dict[int, tuple[float, float]] = {}
        for at, ms, _ in points:
            pixel = int(self.x(at))
            if pixel not in worst or ms > worst[pixel][1]:
                worst[pixel] = at, ms
        path = []
        for at, ms in worst.values():
            x = self.x(at)
            wide = max(2.0, self.x(at + ms / 1000) - x)
            path.append(f"M{x:.1f} {self.y(ms):.1f}h{wide:.1f}")
        return f'<path d="{"".join(path)}" stroke="{colour}" stroke-width="{thick}" fill="none"/>'


def line(x1: float, y1: float, x2: float, y2: float, colour: str) -> str:
    return f'<path d="M{x1:.1f} {y1:.1f}L{x2:.1f} {y2:.1f}" stroke="{colour}"/>'


def text(
    x: float,
    y: float,
    told: str,
    *,
    size: int = 11,
    weight: int = 400,
    anchor: str = "start",
    fill: str = INK,
) -> str:
    return (
        f'<text x="{x:.1f}" y="{y:.1f}" font-size="{size}" font-weight="{weight}" '
        f'text-anchor="{anchor}" fill="{fill}">{escape(told)}</text>'
    )
