"""Takes a guide apart into programs, one for each chapter, and runs them.

A chapter is what stands below a heading of the second level. Its Python blocks are one program, in
which each line has the number that it has in the guide. What a reader of the guide does not see,
stands in HTML comments directly below the heading or directly above a block:

    <!-- in: moto -->          below a heading: which server there is: ``moto``, ``nobody``; else the
                               sandbox
    <!-- as: pytest -->        below a heading: it is a file of tests
    <!-- env: NAME=value -->   below a heading: a variable that is set
    <!-- needs: polars -->     above a block: it is left out where a package is missing
    <!-- not run: why -->      above a block: it can't be run here
    <!-- then: main() -->      above a block: the call that a reader is left to make

A comment ``# prints: …`` in a block says what the program prints; ``…`` stands for anything.
"""

from __future__ import annotations

import re
import subprocess
import sys
from dataclasses import dataclass, field
from importlib.metadata import entry_points
from importlib.util import find_spec
from pathlib import Path

ROOT = Path(__file__).resolve().parents[3]
GUIDE = ROOT / "docs" / "python.md"
PYPI_PAGE = ROOT / "crates" / "python" / "README.md"

# Seconds. The slowest takes a few.
FAR_TOO_LONG = 60

_DIRECTIVE = re.compile(r"<!-- (in|as|env|needs|not run|then): (.+) -->")
_PRINTS = re.compile(r"# prints: (.+)$", re.MULTILINE)


@dataclass
class Block:
    """A block of Python, and what its comments say."""

    line: int
    """The number of its first line of code."""
    code: list[str] = field(default_factory=list)
    needs: list[str] = field(default_factory=list)
    not_run: str | None = None
    then: list[str] = field(default_factory=list)
    """What follows on it, in the line where the reader sees its end."""

    @property
    def runs_here(self) -> bool:
        return self.not_run is None and all(map(is_there, self.needs))


@dataclass
class Chapter:
    """A chapter with Python in it."""

    guide: Path
    title: str
    servers: str = "sandbox"
    is_pytest: bool = False
    environment: dict[str, str] = field(default_factory=dict)
    blocks: list[Block] = field(default_factory=list)

    @property
    def runs_here(self) -> bool:
        return any(block.runs_here for block in self.blocks)

    @property
    def needs(self) -> set[str]:
        return {package for block in self.blocks for package in block.needs}

    @property
    def program(self) -> str:
        lines: list[str] = []
        for block in filter(lambda block: block.runs_here, self.blocks):
            lines += [""] * (block.line - 1 - len(lines)) + block.code + block.then
        program = "\n".join(lines) + "\n"
        # In moto's world, which all suites share, the one role that there is has another name.
        return program.replace("role/etl", "role/job") if self.servers == "moto" else program

    def run(self, folder: Path, environment: dict[str, str], stdin: str = "") -> str:
        """What it prints. A failure shows the lines of the guide."""
        file = folder / ("test_guide_chapter.py" if self.is_pytest else "chapter.py")
        file.write_text(self.program, encoding="utf-8")
        words = [sys.executable, str(file)]
        if self.is_pytest:
            installed = any(point.name == "rolekeeper" for point in entry_points(group="pytest11"))
            plugin = [] if installed else ["-p", "rolekeeper.testing.plugin"]
            words[1:1] = ["-m", "pytest", "-q", "-p", "no:cacheprovider", *plugin]
        run = subprocess.run(
            words,
            cwd=folder,
            env={**environment, **self.environment},
            input=stdin,
            capture_output=True,
            text=True,
            timeout=FAR_TOO_LONG,
            check=False,
        )
        assert run.returncode == 0, (
            f"{self} failed with {run.returncode}; {file.name} has the line numbers of {self.guide.name}\n"
            f"{run.stdout[-4000:]}\n{run.stderr[-8000:]}"
        )
        return run.stdout

    def check_printed(self, printed: str) -> None:
        """Whether it printed what it says it prints, in that order."""
        position = 0
        for promised in _PRINTS.findall(self.program):
            pattern = ".*".join(map(re.escape, promised.split("…")))
            found = re.compile(pattern).search(printed, position)
            assert found is not None, f"{self} did not print {promised!r}, but\n{printed}"
            position = found.end()

    def __str__(self) -> str:
        return f"{self.guide.name}: {self.title}"


def chapters(guide: Path) -> list[Chapter]:
    """Its chapters that have Python in them."""
    found = [Chapter(guide, "before the first chapter")]
    block: Block | None = None
    other = False
    told: list[tuple[str, str]] = []
    for number, line in enumerate(guide.read_text(encoding="utf-8").splitlines(), start=1):
        if block is not None:
            if line == "```":
                block = None
            else:
                block.code.append(line)
        elif other:
            other = line != "```"
        elif line == "```python":
            block = _block(number + 1, told)
            found[-1].blocks.append(block)
            told = []
        elif line.startswith("```"):
            other = True
        elif directive := _DIRECTIVE.fullmatch(line):
            told.append((directive[1], directive[2]))
        elif line.startswith("## "):
            assert not told, f"{guide.name}, line {number}: {told} stands before nothing"
            found.append(Chapter(guide, line.removeprefix("## ")))
        else:
            assert "```" not in line, f"{guide.name}, line {number}: a fence that is indented"
            assert "<!--" not in line, f"{guide.name}, line {number}: an unknown comment"
            _about_chapter(found[-1], told)
            told = []
    assert block is None and not other, f"{guide.name} ends within a block"
    return [chapter for chapter in found if chapter.blocks]


def _about_chapter(chapter: Chapter, told: list[tuple[str, str]]) -> None:
    for what, value in told:
        assert not chapter.blocks, f"{chapter}: {what} stands below its first block"
        if what == "in":
            chapter.servers = value
        elif what == "as" and value == "pytest":
            chapter.is_pytest = True
        elif what == "env":
            name, _, setting = value.partition("=")
            chapter.environment[name] = setting
        else:
            raise AssertionError(f"{chapter}: {what}: {value} stands before nothing")


def _block(line: int, told: list[tuple[str, str]]) -> Block:
    block = Block(line)
    for what, value in told:
        if what == "needs":
            block.needs += [package.strip() for package in value.split(",")]
        elif what == "not run":
            block.not_run = value
        elif what == "then":
            block.then.append(value)
        else:
            raise AssertionError(f"line {line}: {what}: {value} belongs below a heading")
    return block


def is_there(package: str) -> bool:
    return find_spec(package) is not None
