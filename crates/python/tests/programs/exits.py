"""``exits.py MOMENT [MODE]``: an interpreter's end, in a moment that is bad for it."""

from __future__ import annotations

import _thread
import atexit
import contextlib
import os
import sys
import threading
import time
from collections.abc import Callable
from typing import Any

from keepers import Fetcher, Kept, answer, in_background, until

from rolekeeper._rolekeeper import Source

fetcher = Fetcher()
held: list[Any] = []
# Done after our own handler's part in the end.
at_last: list[Callable[[], None]] = []


def idle() -> None:
    keeper = fetcher.keeper()
    keeper.get_frozen_credentials()
    held.append(keeper)


def read_on_demand() -> None:
    keeper = fetcher.keeper("on-demand")
    keeper.get_frozen_credentials()
    held.append(keeper)


def function_never_returns() -> None:
    fetcher.block()
    keeper = fetcher.keeper()
    held.append(keeper)
    in_background(keeper.get_frozen_credentials)
    assert fetcher.entered.wait(10)


def daemon_threads_wait() -> None:
    fetcher.block()
    keeper = fetcher.keeper()
    for _ in range(4):
        in_background(keeper.get_frozen_credentials)
    assert fetcher.entered.wait(10)


def daemon_threads_read() -> None:
    """Nearly every read finds a new session, so that each makes a new object as well."""
    keeper = fetcher.keeper()

    def read() -> None:
        while True:
            keeper.get_frozen_credentials()

    def renew() -> None:
        while True:
            keeper._refresh_now()

    for work in (read, read, renew):
        in_background(work)
    time.sleep(0.02)


def daemon_threads_fail() -> None:
    """Every read raises."""

    def fail() -> Any:
        raise ValueError("no session here")

    def read() -> None:
        while True:
            with contextlib.suppress(Exception):
                keeper._refresh_now()

    keeper = Kept(Source.callback("fails", fail))
    for _ in range(3):
        in_background(read)
    time.sleep(0.02)


def read_at_exit() -> None:
    """In handlers that run before ours, and after it, and with nothing read before."""
    keeper, other = fetcher.keeper(), fetcher.keeper()
    keeper.get_frozen_credentials()
    atexit.register(keeper.get_frozen_credentials)
    atexit.register(other.get_frozen_credentials)


def read_after_the_end() -> None:
    """By a handler that was there before rolekeeper was, and so runs last."""
    keeper = fetcher.keeper()

    def read() -> None:
        began = time.monotonic()
        try:
            keeper.get_frozen_credentials()
        except Exception as error:  # noqa: BLE001 - whichever it is.
            assert "shutting down" in str(error), error
        else:
            raise AssertionError("there is nobody to run the function")
        assert time.monotonic() - began < 5.0

    at_last.append(read)


def thread_starts() -> None:
    """It comes to run late, as on a busy machine. CPython 3.10 crashes if the end comes before."""
    started, running = [], []
    start_new_thread = _thread.start_new_thread

    def start_late(function: Callable[..., None], arguments: tuple[Any, ...]) -> int:
        def run() -> None:
            time.sleep(0.1)
            running.append(function)
            function(*arguments)

        started.append(function)
        return start_new_thread(run, ())

    _thread.start_new_thread = start_late
    keeper = fetcher.keeper(observer=repr)
    keeper.get_frozen_credentials()
    held.append(keeper)
    until(lambda: len(started) == 2)

    def all_run() -> None:
        assert running == started

    at_last.append(all_run)


def sys_exit() -> None:
    idle()
    sys.exit(0)


def sys_exit_on_a_thread_that_reads() -> None:
    keeper = fetcher.keeper()
    thread = threading.Thread(target=lambda: (keeper.get_frozen_credentials(), sys.exit(3)))
    thread.start()


def os_exit() -> None:
    idle()
    daemon_threads_wait()
    os._exit(0)


def unhandled() -> None:
    idle()
    raise LookupError("on purpose")


def in_a_cycle() -> None:
    keeper: Any = fetcher.keeper()
    keeper.get_frozen_credentials()
    keeper.itself = keeper
    keeper.method = keeper.get_frozen_credentials


def in_a_thread_local() -> None:
    local = threading.local()
    done = threading.Event()

    def use() -> None:
        local.keeper = fetcher.keeper()
        local.keeper.get_frozen_credentials()
        done.set()
        threading.Event().wait()

    in_background(use)
    held.append(local)
    assert done.wait(10)


def observer_runs() -> None:
    entered = threading.Event()

    def observe(_: Any) -> None:
        entered.set()
        threading.Event().wait()

    keeper = fetcher.keeper(observer=observe)
    keeper.get_frozen_credentials()
    assert entered.wait(10)


def observer_is_busy() -> None:
    """Events without end."""
    keeper = fetcher.keeper(observer=lambda event: repr(event))

    def renew() -> None:
        while True:
            keeper._refresh_now()

    in_background(renew)
    time.sleep(0.02)


def opened_just_now() -> None:
    """The refresher starts its first fetch while the interpreter ends."""
    for _ in range(4):
        keeper = fetcher.keeper(initial=answer("ASIAFIRST", lifetime=60.0))
        keeper._start()
        held.append(keeper)


def sub_interpreter() -> None:
    # Until 3.12 a failure is raised; from 3.13 on, under another name, it is returned.
    try:
        import _interpreters as interpreters
    except ImportError:
        import _xxsubinterpreters as interpreters

    interpreter = interpreters.create()
    try:
        print(interpreters.run_string(interpreter, "import rolekeeper._rolekeeper"))
    except Exception as error:  # noqa: BLE001  Its class is of one version alone.
        print(error)
    interpreters.destroy(interpreter)


def dropped_while_it_fetches() -> None:
    fetcher.block()
    keeper = fetcher.keeper()
    thread = in_background(keeper.get_frozen_credentials)
    until(fetcher.entered.is_set)
    del keeper, thread


# Before our own handler, which comes with the first keeper: so it runs after that.
atexit.register(lambda: [work() for work in at_last])

if __name__ == "__main__":
    globals()[sys.argv[1]]()
