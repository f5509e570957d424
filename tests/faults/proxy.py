"""A network between rolekeeper and STS that can be told to fail, in the ways that networks do."""

from __future__ import annotations

import enum
import socket
import threading
import time
from contextlib import suppress
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from typing_extensions import Self

_PIECE = 4096
# Seconds between the bytes of an answer that drips: it would take minutes, and a call's limit is 10 s.
_DRIP = 0.3
# Longer than a call's limit.
_SLOW = 12.0


class Way(enum.Enum):
    """What is done with what comes from STS; the values are how the table says it."""

    WHOLE = "is whole"
    CUT = "cuts: connections end, and none is taken"
    SWALLOWED = "swallows: connections stay, and nothing comes"
    SLOW = "is slow: everything comes, after 12 s"
    DRIPPING = "drips: a byte every 0.3 s"
    GARBLED = "garbles: every byte is another"
    HALVED = "halves: half of an answer, then the end"
    ENDLESS = "floods: an answer that has no end"


class Proxy:
    """Carries connections to a port of this machine, in the way that it was told."""

    def __init__(self, port: int) -> None:
        self._port = port
        self.way = Way.WHOLE
        # Connections that were taken and bytes that were carried since the way was told.
        self.taken = self.carried = 0
        self._open: set[socket.socket] = set()
        self._lock = threading.Lock()
        self._has_ended = threading.Event()
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = int(self._listener.getsockname()[1])
        self._start(self._accept)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def becomes(self, way: Way) -> None:
        with self._lock:
            self.way, self.taken, self.carried = way, 0, 0
        if way is Way.CUT:
            self.cut()

    def cut(self) -> None:
        """Ends the connections that there are."""
        with self._lock:
            for end in self._open:
                # It wakes the threads that wait for it, which closing alone does not.
                with suppress(OSError):
                    end.shutdown(socket.SHUT_RDWR)

    @property
    def is_idle(self) -> bool:
        with self._lock:
            return not self._open

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._has_ended.set()
        with suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self.cut()

    def _start(self, work: object, *arguments: object) -> None:
        threading.Thread(target=work, args=arguments, daemon=True).start()  # type: ignore[arg-type]

    def _accept(self) -> None:
        while not self._has_ended.is_set():
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            with self._lock:
                self.taken += 1
            if self.way is Way.CUT:
                client.close()
                continue
            try:
                server = socket.create_connection(("127.0.0.1", self._port))
            except OSError:
                client.close()
                continue
            with self._lock:
                self._open |= {client, server}
            self._start(self._to_server, client, server)
            self._start(self._to_client, server, client)

    def _to_server(self, client: socket.socket, server: socket.socket) -> None:
        with suppress(OSError):
            while piece := client.recv(_PIECE):
                server.sendall(piece)
        self._close(client, server)

    def _to_client(self, server: socket.socket, client: socket.socket) -> None:
        with suppress(OSError):
            while piece := server.recv(_PIECE):
                if not self._carry(piece, client):
                    break
        self._close(client, server)

    def _carry(self, piece: bytes, client: socket.socket) -> bool:
        """Whether the connection goes on."""
        way = self.way
        with self._lock:
            self.carried += len(piece)
        if way is Way.SWALLOWED:
            return True
        if way is Way.SLOW:
            return not self._has_ended.wait(_SLOW) and self._sent(client, piece)
        if way is Way.GARBLED:
            return self._sent(client, bytes(byte ^ 0x15 for byte in piece))
        if way is Way.HALVED:
            self._sent(client, piece[: len(piece) // 2])
            return False
        if way is Way.DRIPPING:
            return self._drip(piece, client)
        if way is Way.ENDLESS:
            return self._flood(client)
        return self._sent(client, piece)

    def _drip(self, piece: bytes, client: socket.socket) -> bool:
        for number in range(len(piece)):
            if self.way is not Way.DRIPPING:
                return self._sent(client, piece[number:])
            if not self._sent(client, piece[number : number + 1]) or self._has_ended.wait(_DRIP):
                return False
        return True

    def _flood(self, client: socket.socket) -> bool:
        """As much as is taken, until nobody takes it any more."""
        head = b"HTTP/1.1 200 OK\r\nContent-Type: text/xml\r\nTransfer-Encoding: chunked\r\n\r\n"
        if not self._sent(client, head):
            return False
        chunk = b"10000\r\n" + b"<a>" * 0x5555 + b">" + b"\r\n"
        while self.way is Way.ENDLESS and not self._has_ended.is_set():
            if not self._sent(client, chunk):
                break
            with self._lock:
                self.carried += len(chunk)
            # Some 20 MB a second: it is rolekeeper that has to say stop, not this machine's memory.
            time.sleep(0.003)
        return False

    @staticmethod
    def _sent(client: socket.socket, piece: bytes) -> bool:
        client.sendall(piece)
        return True

    def _close(self, *ends: socket.socket) -> None:
        with self._lock:
            self._open -= set(ends)
        for end in ends:
            with suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)
            end.close()
