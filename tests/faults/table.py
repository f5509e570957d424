"""The table of docs/reliability.md: written by a run, and compared with what a run says."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

PAGE = Path(__file__).parent.parent.parent / "docs/reliability.md"

BEGIN = "<!-- the table of faults: written by `cargo xtask faults` -->"
END = "<!-- the end of the table of faults -->"
HEAD = "| fault | face | expected | seen |\n|---|---|---|---|\n"


@dataclass(frozen=True)
class Row:
    """One fault, as one face of rolekeeper met it."""

    fault: str
    face: str
    expected: str
    seen: str
    holds: bool

    def line(self) -> str:
        return f"| {self.fault} | {self.face} | {self.expected} | {self.seen} |\n"

    def says(self) -> tuple[str, str, str]:
        return self.fault, self.face, self.expected


def write(rows: list[Row]) -> None:
    before, _, after = _parts()
    lines = "".join(row.line() for row in rows)
    PAGE.write_text(f"{before}{BEGIN}\n\n{HEAD}{lines}\n{END}{after}")


def difference(rows: list[Row], *, some_are_left_out: bool) -> str:
    """What the page says of the faults that this run says otherwise; empty if nothing."""
    try:
        _, lines, _ = _parts()
    except ValueError as why:
        return str(why)
    cells = [line.strip().strip("|").split(" | ") for line in lines if line.startswith("| ")]
    page = [(first.strip(), face, expected) for first, face, expected, _ in cells[1:]]
    ours = [row.says() for row in rows]
    how = "; `cargo xtask faults` writes it"
    for row in ours:
        if row not in page:
            return f"no row says: {' | '.join(row)}{how}"
    for row in page:
        if row not in ours and not some_are_left_out:
            return f"a row says what no test does: {' | '.join(row)}{how}"
    return ""


def _parts() -> tuple[str, list[str], str]:
    before, begin, rest = PAGE.read_text().partition(BEGIN)
    table, end, after = rest.partition(END)
    if not (begin and end):
        raise ValueError(f"it has no `{BEGIN}` … `{END}`")
    return before, table.splitlines(), after
