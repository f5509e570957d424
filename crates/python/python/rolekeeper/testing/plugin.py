"""The pytest plugin: the fixtures ``rolekeeper_sandbox`` and ``rolekeeper_clock``.

pytest finds it by itself where rolekeeper is installed (entry point ``pytest11``). It is imported
in every run of pytest there, so it imports nothing until a test asks for a fixture.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from .clock import SimulatedClock
    from .sandbox import Sandbox

_MARKER = (
    "rolekeeper_sandbox(session_lifetime=None, config=None, faults=None): "
    "how the fixture of that name starts its sandbox"
)


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", _MARKER)


@pytest.fixture
def rolekeeper_sandbox(
    request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> Iterator[Sandbox]:
    """A local STS of the test's own, with the environment pointing every SDK at it.

    For the time of the test, the variables of `rolekeeper.testing.Sandbox.environment` are set,
    and whatever this machine has to say about AWS (other ``AWS_*`` variables, ``~/.aws``) is out
    of sight. The marker of the same name passes arguments on to `rolekeeper.testing.Sandbox`.

    Example::

        @pytest.mark.rolekeeper_sandbox(session_lifetime=10)
        def test_the_report_is_written_without_waiting_for_sts(rolekeeper_sandbox):
            session = rolekeeper.Session(role_arn=rolekeeper_sandbox.role_arn("demo"))
            session.refresh_now()
            rolekeeper_sandbox.down()
            write_report(session.client("rds"))
    """
    from .sandbox import Sandbox
    from .surroundings import only

    marker = request.node.get_closest_marker("rolekeeper_sandbox")
    arguments: dict[str, Any] = dict(marker.kwargs) if marker is not None else {}
    with Sandbox(**arguments) as sandbox:
        only(sandbox.environment, monkeypatch, tmp_path)
        yield sandbox


@pytest.fixture
def rolekeeper_clock(request: pytest.FixtureRequest) -> Iterator[SimulatedClock]:
    """A clock that the test advances, for all sessions that it makes; the sandbox goes along.

    Example::

        def test_the_report_is_written_however_long_it_takes(rolekeeper_sandbox, rolekeeper_clock):
            session = rolekeeper.Session(role_arn=rolekeeper_sandbox.role_arn("demo"))
            for _ in write_report(session.client("rds")):
                rolekeeper_clock.advance(3600)
            assert rolekeeper_sandbox.counts().failed("DescribeDBInstances") == 0
    """
    from .clock import SimulatedClock

    uses_sandbox = "rolekeeper_sandbox" in request.fixturenames
    sandbox = request.getfixturevalue("rolekeeper_sandbox") if uses_sandbox else None
    with SimulatedClock(sandbox) as clock:
        yield clock
