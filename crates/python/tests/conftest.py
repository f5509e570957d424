"""What all suites of the Python package share.

Fixtures:
    rolekeeper_sandbox, rolekeeper_clock
        our own plugin's: a local STS with the environment set, a clock to advance
        (`rolekeeper.testing`; ``@pytest.mark.rolekeeper_sandbox(session_lifetime=10)``).
    moto
        an independent server, IAM enforced, with the environment set: `servers.Moto`.
    unique
        a name that no other test has, for buckets and tables.

No test sees this machine's AWS configuration.

Marks:
    needs(package="1.2")
        the test is left out where that package is older or missing. For what can't be there; a
        package that *should* be there is imported, and its absence is a failure.

Where ``ROLEKEEPER_TEST_LEDGER`` names a file, as in `cargo xtask test`, a skipped test is a failure,
and the file gets a line for each test: that it passed, or that it was left out. So a test that ran
in no environment is found out: what did not run never counts as passed.
"""

from __future__ import annotations

import os
import uuid
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from rolekeeper.testing import plugin, surroundings

if TYPE_CHECKING:
    from collections.abc import Iterator

    from servers import Moto

LEDGER = "ROLEKEEPER_TEST_LEDGER"


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line(
        "markers", "needs(package=version): left out where that is older or missing"
    )
    # Where the wheel is not installed there is no entry point to find it by.
    if not config.pluginmanager.is_registered(plugin):
        config.pluginmanager.register(plugin, "rolekeeper")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    without = [item for item in items if not all(map(_is_there, item.iter_markers("needs")))]
    if without:
        config.hook.pytest_deselected(items=without)
        items[:] = [item for item in items if item not in without]
    _enter("left out", [item.nodeid for item in without])


def _is_there(mark: pytest.Mark) -> bool:
    def numbers(version: str) -> list[int]:
        return [int(part) for part in version.split(".") if part.isdigit()]

    for package, version in mark.kwargs.items():
        try:
            if numbers(metadata.version(package)) < numbers(version):
                return False
        except metadata.PackageNotFoundError:
            return False
    return True


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    for report in _not_run(terminalreporter):
        terminalreporter.write_line(f"NOT RUN, and so failed: {report.nodeid}", red=True)
    _enter("passed", [report.nodeid for report in terminalreporter.stats.get("passed", [])])


@pytest.hookimpl(trylast=True)
def pytest_sessionfinish(session: pytest.Session) -> None:
    reporter = session.config.pluginmanager.get_plugin("terminalreporter")
    if reporter is not None and _not_run(reporter):
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


def _not_run(reporter: pytest.TerminalReporter) -> list[pytest.TestReport]:
    if LEDGER not in os.environ:
        return []
    return [*reporter.stats.get("skipped", []), *reporter.stats.get("xfailed", [])]


def _enter(what: str, tests: list[str]) -> None:
    if LEDGER in os.environ:
        with Path(os.environ[LEDGER]).open("a", encoding="utf-8") as ledger:
            ledger.writelines(f"{what}\t{test}\n" for test in tests)


@pytest.fixture(autouse=True)
def without_this_machines_aws(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    surroundings.only({"AWS_EC2_METADATA_DISABLED": "true"}, monkeypatch, tmp_path)
    # Commands share sessions by default: in a folder that goes with the test.
    for name in ("XDG_CACHE_HOME", "XDG_STATE_HOME"):
        monkeypatch.setenv(name, str(tmp_path / name.lower()))


@pytest.fixture
def unique() -> str:
    return f"test-{uuid.uuid4().hex}"


@pytest.fixture(scope="session")
def moto_server() -> Iterator[Moto]:
    from servers import Moto

    with Moto() as moto:
        yield moto


@pytest.fixture
def moto(
    moto_server: Moto,
    without_this_machines_aws: None,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> Moto:
    surroundings.only(moto_server.environment, monkeypatch, tmp_path)
    return moto_server
