"""A gate in front of a server: it sees which keys sign the requests, and can revoke one.

moto's sessions never end. Behind the gate they do: a request that is signed with a revoked key is
refused as a service refuses one whose session is over, and what goes through is moto's own.
"""

from __future__ import annotations

import http.client
import re
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from typing_extensions import Self

_KEY = re.compile(r"Credential=([^/]+)/")
_EXPIRED = (
    b'<?xml version="1.0"?><Error><Code>ExpiredToken</Code>'
    b"<Message>The provided token has expired.</Message></Error>"
)
# Headers that hold for one connection only.
_HOP = {"connection", "transfer-encoding", "content-length", "keep-alive"}


class Gate:
    """Listens on `endpoint_url`, and hands on to ``target``."""

    def __init__(self, target: str) -> None:
        self._lock = threading.Lock()
        self._seen: list[str] = []
        self._revoked: set[str] = set()
        self.refused = 0
        handler = type("Handler", (_Handler,), {"gate": self, "target": target})
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
        self._server.daemon_threads = True
        self.address = f"127.0.0.1:{self._server.server_address[1]}"
        self.endpoint_url = f"http://{self.address}"
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def revoke(self, access_key: str) -> None:
        """From now on requests with this key are refused."""
        with self._lock:
            self._revoked.add(access_key)

    def keys_since_last_asked(self) -> set[str]:
        """The keys of the requests that have come since this was last called."""
        with self._lock:
            seen, self._seen = set(self._seen), []
        return seen

    def lets_pass(self, access_key: str | None) -> bool:
        with self._lock:
            if access_key is not None:
                self._seen.append(access_key)
            is_revoked = access_key in self._revoked
            self.refused += is_revoked
        return not is_revoked


class _Handler(BaseHTTPRequestHandler):
    gate: Gate
    target: str
    protocol_version = "HTTP/1.1"

    def _pass_on(self) -> None:
        body = self._body()
        found = _KEY.search(self.headers.get("Authorization", ""))
        if not self.gate.lets_pass(found and found[1]):
            self._answer(403, {"Content-Type": "application/xml"}, _EXPIRED)
            return
        connection = http.client.HTTPConnection(self.target.removeprefix("http://"), timeout=60)
        try:
            # With the Host header as it came: it is part of what was signed.
            headers = {k: v for k, v in self.headers.items() if k.lower() not in _HOP}
            if body or "Content-Length" in self.headers:
                headers["Content-Length"] = str(len(body))
            connection.request(self.command, self.path, body or None, headers)
            answer = connection.getresponse()
            told = {k: v for k, v in answer.getheaders() if k.lower() not in _HOP}
            length = answer.getheader("Content-Length")
            self._answer(answer.status, told, answer.read(), length)
        finally:
            connection.close()

    do_GET = do_HEAD = do_PUT = do_POST = do_DELETE = _pass_on

    def _body(self) -> bytes:
        if self.headers.get("Transfer-Encoding", "").lower() != "chunked":
            return self.rfile.read(int(self.headers.get("Content-Length", 0)))
        body = b""
        while size := int(self.rfile.readline().split(b";")[0], 16):
            body += self.rfile.read(size)
            self.rfile.readline()
        self.rfile.readline()
        return body

    def _answer(
        self, status: int, headers: dict[str, str], body: bytes, length: str | None = None
    ) -> None:
        self.send_response_only(status)
        for name, value in headers.items():
            self.send_header(name, value)
        # A HEAD has the length of what a GET would bring.
        is_head = self.command == "HEAD"
        self.send_header("Content-Length", (length if is_head else None) or str(len(body)))
        self.end_headers()
        if not is_head:
            self.wfile.write(body)

    def log_message(self, format: str, *arguments: Any) -> None:
        pass
