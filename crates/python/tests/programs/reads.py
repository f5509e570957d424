"""``reads.py WHAT``: many threads read through one object, and threads that must not be there."""

from __future__ import annotations

import sys
import threading
from functools import partial
from typing import Any

from keepers import Fetcher, Kept, answer, in_background, threads, until, within

from rolekeeper._rolekeeper import Clock, Source


def while_sessions_change() -> None:
    """16 threads, and the sessions' clock runs: nobody sees a torn or dead one, none fails."""
    clock = Clock()
    ends: dict[str, float] = {}
    lock = threading.Lock()

    def fetch() -> Any:
        with lock:
            key = f"ASIA{len(ends)}"
            ends[key] = clock.time() + 900
        return (key, f"secret of {key}", f"token of {key}", ends[key])

    keeper = Kept(Source.callback("short", fetch), clock=clock)
    keeper.get_frozen_credentials()
    done = threading.Event()
    faults: list[Any] = []
    seen: list[set[str]] = [set() for _ in range(16)]

    def read(number: int) -> None:
        try:
            while not done.is_set():
                before = clock.time()
                key, secret, token = keeper.get_frozen_credentials()
                assert (secret, token) == (f"secret of {key}", f"token of {key}"), "torn"
                assert ends[key] > before, "dead"
                seen[number].add(key)
        except BaseException as fault:  # noqa: BLE001 - told below.
            faults.append(fault)

    def renewed() -> None:
        wanted = len(ends) + 1
        until(lambda: generation(keeper) >= wanted)

    readers = [in_background(partial(read, number)) for number in range(16)]
    for _ in range(20):
        clock.advance(600)  # Past the refresh point, not past the end.
        renewed()
    done.set()
    for reader in readers:
        reader.join(10)
        assert not reader.is_alive()
    assert not faults, faults
    assert len(ends) == 21, "one fetch a session"
    for keys in seen:
        assert len(keys) > 1, "each reader saw sessions change"


def all_wait_for_one() -> None:
    fetcher = Fetcher()
    fetcher.block()
    keeper = fetcher.keeper()
    got: list[Any] = []
    readers = [
        in_background(lambda: got.append(keeper.get_frozen_credentials())) for _ in range(16)
    ]
    assert fetcher.entered.wait(10)
    fetcher.unblock()
    for reader in readers:
        reader.join(10)
    assert len(got) == 16
    assert len(set(got)) == 1
    assert next(fetcher.numbers) == 2, "one fetch for all"


def recursion() -> None:
    """A function that reads what it is to make is told so at once."""
    for mode in ("background", "on-demand"):
        recurse(mode)


def recurse(mode: str) -> None:
    found: list[BaseException] = []

    def fetch() -> Any:
        try:
            within(1.0, keeper.get_frozen_credentials)
        except RuntimeError as error:
            found.append(error)
        return answer("ASIAONE")

    keeper = Kept(Source.callback("recursive", fetch), mode)
    assert keeper.get_frozen_credentials()[0] == "ASIAONE"
    assert "that very session" in str(found[0])


def generation(keeper: Kept) -> int:
    status = keeper._status()
    return 0 if status is None else status.generation


def no_thread_at_import() -> None:
    before = len(threads())
    import rolekeeper

    for name in rolekeeper.__all__:
        getattr(rolekeeper, name)
    assert len(threads()) == before == 1, threads()


def no_thread_before_the_first_read() -> None:
    keeper = Fetcher().keeper()
    assert len(threads()) == 1, threads()
    keeper.get_frozen_credentials()
    assert "rolekeeper" in threads()


def no_thread_on_demand() -> None:
    fetcher = Fetcher(lifetime=2000)
    keeper = fetcher.keeper("on-demand", advisory_timeout=0.0, mandatory_timeout=0.0)
    for _ in range(3):
        keeper._refresh_now()
        until(lambda: len(threads()) == 1)
        keeper.get_frozen_credentials()
        assert len(threads()) == 1, threads()


def threads_end() -> None:
    """With the last keeper go the threads."""
    keepers = [Fetcher().keeper() for _ in range(10)]
    for keeper in keepers:
        keeper.get_frozen_credentials()
    until(lambda: len(threads()) == 3)  # This one, all refreshers', the clocks'.
    del keeper, keepers
    until(lambda: len(threads()) == 1)


if __name__ == "__main__":
    globals()[sys.argv[1]]()
