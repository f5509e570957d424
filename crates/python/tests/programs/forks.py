"""``forks.py MOMENT SOURCE``: forks at that moment; child, grandchild and parent go on reading."""

from __future__ import annotations

import os
import random
import sys
import threading
import time
from typing import Any

from children import Child
from keepers import Fetcher, Kept, answer, assumed, in_background, threads, until, within

from rolekeeper import testing
from rolekeeper._rolekeeper import Source

# Seconds. What hangs does so for ever; on a busy machine, all else takes its time.
SOON = 8.0


class Native:
    """Sessions of a sandbox, which can be told to keep its callers waiting."""

    def __init__(self) -> None:
        self.sandbox = testing.Sandbox()
        os.environ.update(self.sandbox.environment)

    def keeper(self, **options: Any) -> Kept:
        return assumed(self.sandbox.endpoint_url, **options)

    def block(self) -> None:
        self.calls = self.sandbox.counts().total()
        self.sandbox.set_faults(only=["AssumeRole"], hang=True)

    def wait_until_entered(self) -> None:
        # The sandbox counts a call that it lets hang.
        until(lambda: "rolekeeper" in threads())
        time.sleep(0.2)

    def unblock(self) -> None:
        self.sandbox.clear_faults()

    unblock_child = unblock


class Function:
    """Sessions of a Python function."""

    def __init__(self) -> None:
        self.fetcher = Fetcher()
        self.keeper = self.fetcher.keeper
        self.block = self.fetcher.block
        self.unblock = self.fetcher.unblock
        self.unblock_child = self.fetcher.unblock_child

    def wait_until_entered(self) -> None:
        assert self.fetcher.entered.wait(10)


def works_alone(keeper: Kept) -> None:
    """It reads; fetches; and has a refresher of its own."""
    first = within(SOON, keeper.get_frozen_credentials)
    assert first[0].startswith("ASIA")
    newer = within(SOON, keeper._refresh_now)
    assert newer[0] != first[0]
    assert within(SOON, keeper.get_frozen_credentials) == newer
    until(lambda: "rolekeeper" in threads())


def works_down_the_line(keeper: Kept) -> None:
    works_alone(keeper)
    Child(lambda: works_alone(keeper)).succeeds()
    works_alone(keeper)


def idle(source: Any) -> None:
    keeper = source.keeper()
    held = keeper.get_frozen_credentials()

    def child() -> None:
        assert within(SOON, keeper.get_frozen_credentials) == held, "the parent's session is valid"
        works_down_the_line(keeper)

    Child(child).succeeds()
    assert keeper.get_frozen_credentials() == held
    works_alone(keeper)


def unopened(source: Any) -> None:
    keeper = source.keeper()
    Child(lambda: works_down_the_line(keeper)).succeeds()
    works_alone(keeper)


def fetching_first(source: Any) -> None:
    """Nothing is held, and a reader waits for the first fetch."""
    keeper = source.keeper()
    source.block()
    got: list[Any] = []
    reader = in_background(lambda: got.append(keeper.get_frozen_credentials()))
    source.wait_until_entered()
    Child(lambda: (source.unblock_child(), works_down_the_line(keeper))).succeeds()
    source.unblock()
    if isinstance(source, Function):
        reader.join(10)
        assert got, "the parent's reader got its session"
        works_alone(keeper)


def refreshing(source: Any) -> None:
    """A session is held, and a newer one is being fetched."""
    keeper = source.keeper()
    held = keeper.get_frozen_credentials()
    source.block()
    refreshed = in_background(keeper._refresh_now)
    source.wait_until_entered()

    def child() -> None:
        assert within(SOON, keeper.get_frozen_credentials) == held
        source.unblock_child()
        works_down_the_line(keeper)

    Child(child).succeeds()
    within(SOON, keeper.get_frozen_credentials)
    source.unblock()
    if isinstance(source, Function):
        refreshed.join(10)
        works_alone(keeper)


def first_read(source: Any) -> None:
    """How long a child's first read takes, in seconds, while its parent is at a first fetch."""
    keeper = source.keeper()
    source.block()
    in_background(keeper.get_frozen_credentials)
    source.wait_until_entered()

    def child() -> None:
        source.unblock_child()
        began = time.monotonic()
        keeper.get_frozen_credentials()
        print(time.monotonic() - began, flush=True)

    Child(child).succeeds()


def own_refresher(source: Any) -> None:
    """A child that only ever reads a valid session still gets a refresher, after a while."""
    keeper = source.keeper()
    keeper.get_frozen_credentials()

    def child() -> None:
        assert "rolekeeper" not in threads()
        until(lambda: keeper.get_frozen_credentials() and "rolekeeper" in threads())

    Child(child).succeeds()


def storm(source: Any) -> None:
    """Forks without pause, while threads read, fetch, and are told of it."""
    keeper = source.keeper(observer=lambda event: None)
    keeper.get_frozen_credentials()
    done = threading.Event()

    def read() -> None:
        while not done.is_set():
            keeper.get_frozen_credentials()

    def refresh() -> None:
        while not done.is_set():
            keeper._refresh_now()

    def open_others() -> None:
        while not done.is_set():
            source.keeper().get_frozen_credentials()

    others = [in_background(work) for work in (read, refresh, open_others)]
    forks = int(sys.argv[3])
    for number in range(forks):
        if number % 2:
            Child(lambda: within(SOON, keeper.get_frozen_credentials)).succeeds()
        else:
            Child(lambda: within(SOON, keeper._refresh_now)).succeeds()
    done.set()
    for other in others:
        other.join(10)
        assert not other.is_alive(), "a thread of the parent hangs"
    works_alone(keeper)


def among_callbacks(source: Any) -> None:
    """Forks without pause, while functions of Python's are called on ever new threads."""
    keepers = [source.keeper(observer=lambda event: None) for _ in range(4)]
    done = threading.Event()

    def refresh(keeper: Kept) -> None:
        while not done.is_set():
            keeper._refresh_now()

    others = [in_background(lambda keeper=keeper: refresh(keeper)) for keeper in keepers]
    for _ in range(int(sys.argv[3])):
        Child(lambda: None).succeeds()
    done.set()
    for other in others:
        other.join(10)
        assert not other.is_alive(), "a thread of the parent hangs"


def at_the_start(source: Any) -> None:
    """Forks within the first fetch that this process ever makes, where much is set up."""
    keeper = source.keeper()
    in_background(keeper.get_frozen_credentials)
    time.sleep(random.random() * float(sys.argv[3]))
    Child(lambda: within(SOON, keeper.get_frozen_credentials)).succeeds()
    keeper.get_frozen_credentials()


def inside_the_function(_: Any) -> None:
    """The function that makes sessions forks, and its child reads them itself."""

    def fetch() -> Any:
        # Once: the child's own calls fork no more.
        if os.getpid() == parent and not children:
            children.append(Child(lambda: works_alone(keeper)))
        return answer(f"ASIA{os.getpid()}N{time.monotonic_ns()}")

    parent = os.getpid()
    children: list[Child] = []
    keeper = Kept(Source.callback("forks", fetch))
    keeper.get_frozen_credentials()
    children[0].succeeds()
    works_alone(keeper)


def own_clock(source: Any) -> None:
    """Somebody's own clock: the child has a refresher all the same."""
    keeper = source.keeper(clock=time.time)
    keeper.get_frozen_credentials()

    def child() -> None:
        until(lambda: keeper.get_frozen_credentials() and "rolekeeper" in threads())

    Child(child).succeeds()


if __name__ == "__main__":
    moment, kind = globals()[sys.argv[1]], {"native": Native, "function": Function}[sys.argv[2]]
    moment(kind())
