"""What all tests of faults share, and the table that is made of them.

Fixtures:
    world
        a home, a sandbox and programs of the test's own: `world.World`.
    seen
        what the test saw, in words, for the table: called once or more in each test.

Marks:
    fault("what goes wrong", face="agent", expected="what is promised")
        every test has one: it is the test's row in docs/reliability.md. `{name}` stands for the
        value of a parameter.
    needs("strace", …)
        what not every machine has: `cargo xtask test faults` says what is missing here, in
        ROLEKEEPER_FAULTS_LEFT_OUT, and names such tests as NOT RUN.

Options:
    --write-table
        writes the rows into docs/reliability.md. Otherwise they are compared with those in it.
"""

from __future__ import annotations

import enum
import os
from typing import TYPE_CHECKING, Any

import pytest
import table
from world import World

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

# `strace=why it can't be used here`, one a line.
LEFT_OUT = "ROLEKEEPER_FAULTS_LEFT_OUT"
NEEDS = ("mounts", "strace", "faketime")

_FAULT, _SEEN = "fault", "seen"


@pytest.fixture
def world(request: pytest.FixtureRequest) -> Iterator[World]:
    world = World()
    yield world
    # Shown where a test fails; there is no secret in what programs say.
    for program in world.programs:
        print(f"--- {program.words}\n{program.said()[-4000:]}")
    world.end()


@pytest.fixture
def seen(request: pytest.FixtureRequest) -> Callable[[str], None]:
    return lambda words: request.node.user_properties.append((_SEEN, words))


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--write-table", action="store_true", help="write docs/reliability.md")


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "fault(what, face, expected): the test's row in the table")
    config.addinivalue_line("markers", "needs(*what): what not every machine has")
    if not hasattr(config, "workerinput"):
        config.pluginmanager.register(Table(config), "table of faults")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    missing = _missing()
    for item in items:
        mark = item.get_closest_marker("fault")
        if mark is None:
            raise pytest.UsageError(f"{item.nodeid} says no fault")
        item.user_properties.append((_FAULT, _row(item, mark)))
        for what in (what for needs in item.iter_markers("needs") for what in needs.args):
            if what not in NEEDS:
                raise pytest.UsageError(f"{item.nodeid} needs {what!r}, which nobody looks for")
            if what in missing:
                item.add_marker(pytest.mark.skip(reason=f"{what}: {missing[what]}"))


def _missing() -> dict[str, str]:
    lines = os.environ.get(LEFT_OUT, "").splitlines()
    return dict(line.split("=", 1) for line in lines if "=" in line)


def _row(item: pytest.Item, mark: pytest.Mark) -> dict[str, str]:
    parameters = item.callspec.params if isinstance(item, pytest.Function) and hasattr(item, "callspec") else {}  # fmt: skip

    def told(value: object) -> object:
        return value.value if isinstance(value, enum.Enum) else value

    values = {name: told(value) for name, value in parameters.items()}
    words = {"fault": mark.args[0], **mark.kwargs}
    return {name: text.format(**values) for name, text in words.items()}


class Table:
    """Gathers the rows where all reports come together."""

    def __init__(self, config: pytest.Config) -> None:
        self._writes = config.getoption("--write-table")
        self._rows: dict[tuple[str, int, str], table.Row] = {}
        self._left_out: list[str] = []
        self.trouble = ""

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        told: dict[str, Any] = {}
        for name, value in report.user_properties:
            told.setdefault(name, []).append(value)
        if report.skipped and report.when == "setup":
            self._left_out.append(report.nodeid)
        if report.when != "call":
            return
        file, line, _ = report.location
        where = (file, line or 0, report.nodeid)
        seen = "; ".join(told.get(_SEEN, []))
        self._rows[where] = table.Row(**told[_FAULT][0], seen=seen, holds=report.passed)

    @pytest.hookimpl(trylast=True)
    def pytest_sessionfinish(self, session: pytest.Session, exitstatus: int) -> None:
        if exitstatus != 0 or session.config.option.keyword or not self._is_whole(session):
            return
        rows = [self._rows[where] for where in sorted(self._rows)]
        without = [row for row in rows if not row.seen]
        if without:
            self.trouble = f"nothing was seen: {without[0].fault}, {without[0].face}"
        elif self._writes and not self._left_out:
            table.write(rows)
        else:
            self.trouble = table.difference(rows, some_are_left_out=bool(self._left_out))
        if self.trouble:
            session.exitstatus = 1

    @staticmethod
    def _is_whole(session: pytest.Session) -> bool:
        """Whether all files were meant, and not some tests of them."""
        return all(
            "::" not in argument and ".py" not in argument for argument in session.config.args
        )

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        if self.trouble:
            terminalreporter.write_line(f"docs/reliability.md: {self.trouble}", red=True)
