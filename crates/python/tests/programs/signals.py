"""``signals.py WHAT``: a signal comes while the main thread waits for a session."""

from __future__ import annotations

import os
import signal
import sys
import threading
import time
from typing import Any

from keepers import Fetcher, Kept, in_background

LIMIT = 0.2


def send(number: int) -> list[float]:
    """Sends it as soon as the main thread waits; says when."""
    sent: list[float] = []

    def wait_and_send() -> None:
        assert fetcher.entered.wait(10)
        time.sleep(0.05)  # The main thread is asleep by now.
        sent.append(time.monotonic())
        os.kill(os.getpid(), number)

    in_background(wait_and_send)
    return sent


def interrupt() -> None:
    sent = send(signal.SIGINT)
    try:
        keeper.get_frozen_credentials()
    except KeyboardInterrupt:
        took = time.monotonic() - sent[0]
    else:
        raise AssertionError("Ctrl-C was not heard")
    print(took)
    # The fetch goes on, and is the one that the next reader gets.
    fetcher.unblock()
    assert keeper.get_frozen_credentials()[0].endswith("N1")
    assert next(fetcher.numbers) == 2, "the source was asked once"


def interrupt_refresh_now() -> None:
    sent = send(signal.SIGINT)
    try:
        keeper._refresh_now()
    except KeyboardInterrupt:
        print(time.monotonic() - sent[0])
    else:
        raise AssertionError("Ctrl-C was not heard")


def alarm() -> None:
    """A handler runs during the wait, which then goes on."""
    heard: list[float] = []

    def handle(*_: Any) -> None:
        heard.append(time.monotonic())
        fetcher.unblock()

    signal.signal(signal.SIGALRM, handle)
    sent = send(signal.SIGALRM)
    assert keeper.get_frozen_credentials()[0].endswith("N1")
    print(heard[0] - sent[0])


def handler_reads() -> None:
    """A handler that runs in the middle of a wait reads the same credentials."""
    read: list[Any] = []

    def handle(*_: Any) -> None:
        fetcher.unblock()
        read.append(keeper.get_frozen_credentials())

    signal.signal(signal.SIGALRM, handle)
    send(signal.SIGALRM)
    assert keeper.get_frozen_credentials() == read[0]


def handler_raises() -> None:
    class TimeIsUp(Exception):
        pass

    def handle(*_: Any) -> None:
        raise TimeIsUp

    signal.signal(signal.SIGALRM, handle)
    send(signal.SIGALRM)
    try:
        keeper.get_frozen_credentials()
    except TimeIsUp:
        return
    raise AssertionError("the handler's exception was lost")


def handler_forks() -> None:
    """The child goes on in the middle of its parent's wait."""
    children: list[int] = []

    def handle(*_: Any) -> None:
        pid = os.fork()
        fetcher.unblock_child()
        if pid == 0:
            signal.alarm(5)
            signal.signal(signal.SIGALRM, signal.SIG_DFL)
        else:
            children.append(pid)
            gate.set()

    signal.signal(signal.SIGALRM, handle)
    gate = fetcher.gate
    assert gate is not None
    send(signal.SIGALRM)
    try:
        read = keeper.get_frozen_credentials()
    except RuntimeError as error:
        assert "forked" in str(error) and not children
        read = keeper.get_frozen_credentials()
    if not children:
        os._exit(int(not read[0].startswith(f"ASIA{os.getpid()}")))
    assert read[0].startswith(f"ASIA{os.getpid()}")
    assert os.waitpid(children[0], 0)[1] == 0, "the child came to no end"


def killed() -> None:
    send(signal.SIGTERM)
    keeper.get_frozen_credentials()


def another_thread_waits() -> None:
    """Ctrl-C is the main thread's; one that waits elsewhere is not disturbed."""
    got: list[Any] = []
    reader = threading.Thread(target=lambda: got.append(keeper.get_frozen_credentials()))
    reader.start()
    assert fetcher.entered.wait(10)
    try:
        os.kill(os.getpid(), signal.SIGINT)
        time.sleep(1)
    except KeyboardInterrupt:
        fetcher.unblock()
    reader.join(10)
    assert got


if __name__ == "__main__":
    fetcher = Fetcher()
    fetcher.block()
    keeper: Kept = fetcher.keeper()
    globals()[sys.argv[1]]()
