"""What readers of an endpoint feel: many of them, each on a connection of its own that it keeps.

One thread drives all of them without waiting for any, so that a reader's wait is the server's, and
not that of a neighbour.
"""

from __future__ import annotations

import json
import re
import selectors
import socket
import time
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta, timezone
from urllib.parse import urlsplit

# Between an answer and a reader's next question, in seconds: often enough to meet a stall of 100 ms,
# seldom enough to leave the cores to the server.
PAUSE = 0.02
# Seconds after which a reader gives up, counts the read as failed, and asks anew: what botocore waits
# for the container endpoint. Others wait for one second or five.
PATIENCE = 2.0
# A plot's point is the longest wait within so many seconds.
BUCKET = 0.05
# A session that ended on its way to the reader is nobody's fault.
GRACE = timedelta(seconds=1)


@dataclass(frozen=True)
class Endpoint:
    """A URL to be read with these headers."""

    url: str
    headers: dict[str, str]

    def request(self) -> bytes:
        parts = urlsplit(self.url)
        lines = [f"GET {parts.path or '/'} HTTP/1.1", f"Host: {parts.netloc}"]
        lines += [f"{name}: {value}" for name, value in self.headers.items()]
        return ("\r\n".join(lines) + "\r\n\r\n").encode()

    def address(self) -> tuple[str, int]:
        parts = urlsplit(self.url)
        return str(parts.hostname), int(parts.port or 80)


@dataclass
class Read:
    """One question and its answer."""

    reader: int
    at: float
    waited: float
    ok: bool


@dataclass
class Watch:
    """All reads of a while, in seconds since it began."""

    reads: list[Read] = field(default_factory=list)

    def worst(self) -> float:
        return max(read.waited for read in self.reads) * 1e3

    def stalled(self, beyond: float) -> int:
        """How many readers waited longer than so many milliseconds at least once."""
        return len({read.reader for read in self.reads if read.waited * 1e3 > beyond})

    def failed(self) -> int:
        return sum(not read.ok for read in self.reads)

    def points(self) -> list[list[float]]:
        """For a plot: the longest wait of each moment, and whether every read of it succeeded."""
        buckets: dict[int, tuple[float, float, bool]] = {}
        for read in self.reads:
            number = int(read.at / BUCKET)
            at, waited, ok = buckets.get(number, (read.at, 0.0, True))
            if read.waited > waited:
                at, waited = read.at, read.waited
            buckets[number] = (at, waited, ok and read.ok)
        return [
            [round(at, 3), round(waited * 1e3, 3), int(ok)]
            for _, (at, waited, ok) in sorted(buckets.items())
        ]


class Reader:
    """One connection, and how far its answer has come."""

    def __init__(self, number: int, endpoint: Endpoint):
        self.number, self.endpoint = number, endpoint
        self.request = endpoint.request()
        self.connection: socket.socket | None = None
        self.asked: float | None = None
        self.due = 0.0
        self.answer = b""

    def ask(self, selector: selectors.BaseSelector) -> bool:
        """Whether the question is out; a server that takes no connection has failed it."""
        self.asked, self.answer = time.perf_counter(), b""
        try:
            if self.connection is None:
                self.connection = socket.create_connection(self.endpoint.address(), 1)
                self.connection.setblocking(False)
                selector.register(self.connection, selectors.EVENT_READ, self)
            self.connection.send(self.request)
        except OSError:
            self.close(selector)
            return False
        return True

    def receive(self, selector: selectors.BaseSelector) -> bool | None:
        """Whether the answer, now whole, holds a session that is valid; None if it is not whole."""
        assert self.connection is not None
        try:
            part = self.connection.recv(65536)
        except BlockingIOError:
            return None
        except OSError:
            part = b""
        self.answer += part
        head, end, body = self.answer.partition(b"\r\n\r\n")
        length = re.search(rb"(?i)\r\ncontent-length: *(\d+)", head)
        if end and length and len(body) >= int(length[1]):
            return self.answer.startswith(b"HTTP/1.1 200 ") and is_valid(body)
        if not part:
            self.close(selector)
            return False
        return None

    def close(self, selector: selectors.BaseSelector) -> None:
        if self.connection is not None:
            selector.unregister(self.connection)
            self.connection.close()
            self.connection = None


def is_valid(body: bytes) -> bool:
    """Whether it is a session that has not ended. One helper answers 200 with an empty one."""
    try:
        session = json.loads(body)
        end = re.sub(r"\.\d+", "", session["Expiration"]).replace("Z", "+00:00")
        lives = datetime.fromisoformat(end) > datetime.now(timezone.utc) - GRACE
        return bool(session["AccessKeyId"] and session["SecretAccessKey"] and lives)
    except (ValueError, KeyError, TypeError):
        return False


def once(endpoint: Endpoint) -> None:
    """One read, after which there is a session."""
    request = urllib.request.Request(endpoint.url, headers=endpoint.headers)
    with urllib.request.urlopen(request, timeout=30) as answer:
        answer.read()


def watch(
    endpoint: Endpoint,
    readers: int,
    seconds: float,
    events: list[tuple[float, Callable[[], None]]] | None = None,
) -> Watch:
    """Polls for so long; at each event's second, its function is called."""
    seen, pending = Watch(), sorted(events or [], key=lambda event: event[0])
    everyone = [Reader(number, endpoint) for number in range(readers)]
    with selectors.DefaultSelector() as selector:
        begun = time.perf_counter()
        for number, reader in enumerate(everyone):
            reader.due = begun + PAUSE * number / readers
        while (now := time.perf_counter()) < begun + seconds:
            while pending and now - begun >= pending[0][0]:
                pending.pop(0)[1]()
            for reader in everyone:
                if reader.asked is None and reader.due <= now and not reader.ask(selector):
                    done(seen, reader, begun, ok=False)
                elif reader.asked is not None and reader.asked + PATIENCE <= now:
                    reader.close(selector)
                    done(seen, reader, begun, ok=False)
            next_ = min(reader.due if reader.asked is None else reader.asked + PATIENCE
                        for reader in everyone)  # fmt: skip
            rest = next_ - time.perf_counter()
            for key, _ in selector.select(max(0.0, rest)):
                reader = key.data
                outcome = reader.receive(selector)
                if outcome is not None and reader.asked is not None:
                    done(seen, reader, begun, ok=outcome)
        for reader in everyone:
            # What still waits has waited this long, at least.
            if reader.asked is not None:
                waited = time.perf_counter() - reader.asked
                seen.reads.append(Read(reader.number, reader.asked - begun, waited, True))
            reader.close(selector)
    return seen


def done(seen: Watch, reader: Reader, begun: float, *, ok: bool) -> None:
    now = time.perf_counter()
    assert reader.asked is not None
    seen.reads.append(Read(reader.number, reader.asked - begun, now - reader.asked, ok))
    reader.asked, reader.due = None, now + PAUSE


def at_once(
    endpoint: Endpoint, clients: int, let_go: Callable[[], None], hold: float
) -> tuple[int, float]:
    """All ask while the source holds its answer; how many are served, and the last one's wait."""
    with selectors.DefaultSelector() as selector:
        everyone = [Reader(number, endpoint) for number in range(clients)]
        for reader in everyone:
            reader.ask(selector)
        time.sleep(hold)
        start = time.perf_counter()
        let_go()
        served, answered = 0, 0
        last = start
        while answered < clients and time.perf_counter() - start < 20:
            for key, _ in selector.select(1):
                outcome = key.data.receive(selector)
                if outcome is not None and key.data.asked is not None:
                    key.data.asked = None
                    answered += 1
                    served += outcome
                    last = time.perf_counter()
        for reader in everyone:
            reader.close(selector)
    return served, (last - start) * 1e3
