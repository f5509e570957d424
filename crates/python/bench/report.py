"""The table, in the form that the Rust benchmark's has: plain text of 80 columns, and Markdown."""

from __future__ import annotations

import textwrap
from dataclasses import dataclass
from itertools import zip_longest

HEADINGS = ("what", "must be", "measured", "met")
# With two blanks between them, 80.
WIDTHS = (19, 18, 34, 3)
GAP = "  "


@dataclass(frozen=True)
class Section:
    """A part of the report, and the script whose header has its method."""

    name: str
    script: str

    @property
    def introduction(self) -> str:
        method = f"The method stands in the header of `{self.script}`."
        return f"\n## {self.name}\n\n{method}\n\n| | |\n|---|---|\n"


@dataclass(frozen=True)
class Row:
    """One requirement and what was measured."""

    what: str
    must_be: str
    # First, since they hold on other machines too.
    ratios: str
    absolute: str
    # None: there is nothing to meet.
    met: bool | None

    @property
    def met_text(self) -> str:
        return "–" if self.met is None else "yes" if self.met else "NO"


def text(told: list[tuple[str, str]], rows: list[Row]) -> str:
    lines = [""]
    for name, value in told:
        lines += _side_by_side([[name], textwrap.wrap(value, 69)], (9, 69))
    rule = GAP.join("─" * width for width in WIDTHS)
    lines += ["", *_side_by_side([[heading] for heading in HEADINGS], WIDTHS), rule]
    for row in rows:
        what, must_be, measured, met = WIDTHS
        cells = [
            textwrap.wrap(row.what, what),
            textwrap.wrap(row.must_be, must_be),
            textwrap.wrap(row.ratios, measured) + textwrap.wrap(row.absolute, measured),
            [row.met_text],
        ]
        lines += [*_side_by_side(cells, (what, must_be, measured, met)), rule]
    return "\n".join(lines)


def markdown(section: Section, told: list[tuple[str, str]], rows: list[Row]) -> str:
    lines = [f"| {name} | {value} |" for name, value in told]
    lines += ["", f"| {' | '.join(HEADINGS)} |", "|---|---|---|---|"]
    for row in rows:
        measured = f"**{row.ratios}**<br>{row.absolute}"
        lines.append(f"| {row.what} | {row.must_be} | {measured} | {row.met_text} |")
    return section.introduction + "\n".join(lines) + "\n"


def _side_by_side(cells: list[list[str]], widths: tuple[int, ...]) -> list[str]:
    return [
        GAP.join(f"{cell:<{width}}" for cell, width in zip(line, widths)).rstrip()
        for line in zip_longest(*cells, fillvalue="")
    ]
