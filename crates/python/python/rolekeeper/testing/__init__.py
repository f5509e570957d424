"""What people's own tests need: a local STS, a clock to turn, sessions that end and refreshes that
fail when a test says so.

With pytest there is nothing to import: the fixtures ``rolekeeper_sandbox`` and
``rolekeeper_clock`` come with the package (see `rolekeeper.testing.plugin`)::

    import rolekeeper

    def test_the_job_outlives_its_session(rolekeeper_sandbox, rolekeeper_clock):
        session = rolekeeper.Session(role_arn=rolekeeper_sandbox.role_arn("demo"))
        buckets = session.client("s3")
        for _ in range(20):
            buckets.list_buckets()
            rolekeeper_clock.advance(3600)
        assert rolekeeper_sandbox.counts().failed("ListBuckets") == 0

Without pytest, `Sandbox` and `SimulatedClock` are context managers.
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .clock import SimulatedClock as SimulatedClock
    from .forced import FailingRefreshes as FailingRefreshes
    from .forced import expire as expire
    from .forced import fail_refreshes as fail_refreshes
    from .sandbox import Counts as Counts
    from .sandbox import Sandbox as Sandbox

__all__ = ["Counts", "FailingRefreshes", "Sandbox", "SimulatedClock", "expire", "fail_refreshes"]

_HOME = {
    "Counts": "sandbox",
    "FailingRefreshes": "forced",
    "Sandbox": "sandbox",
    "SimulatedClock": "clock",
    "expire": "forced",
    "fail_refreshes": "forced",
}


def __getattr__(name: str) -> Any:
    # pytest imports this package in every run of every project that has rolekeeper installed.
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    value = getattr(import_module(f"{__name__}.{_HOME[name]}"), name)
    globals()[name] = value
    return value
