"""What went over the wire: a proxy before a service, one port a client, that changes nothing.

It sees what a client's own report may hide: calls that were refused and tried again, and the keys
that calls were signed with.
"""

from __future__ import annotations

import http.client
import re
import threading
import time
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import urlsplit

SIGNED_WITH = re.compile(r"Credential=([^/,]+)/")
# What belongs to one connection and not to the message.
OF_THE_CONNECTION = {"connection", "keep-alive", "transfer-encoding", "expect"}
# No service is as near as this one. The Go SDK takes a request's body away from its HTTP client once
# there is an answer; one that comes while that still looks for the body's end costs it the answer.
LATENCY_SECONDS = 0.02


@dataclass
class Seen:
    """Of one client: a word for each call."""

    calls: int = 0
    refused: list[str] = field(default_factory=list)
    keys: set[str] = field(default_factory=set)


class Witness:
    """A port before `upstream`."""

    def __init__(self, upstream: str) -> None:
        self.upstream = urlsplit(upstream).netloc
        self.seen = Seen()
        self.lock = threading.Lock()
        witness = self

        class Handler(_Handler):
            def __init__(self, *arguments: object) -> None:
                self.witness = witness
                super().__init__(*arguments)  # type: ignore[arg-type]

        self.server = _Server(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def refusal(self, key: str | None) -> tuple[int, bytes] | None:
        """An answer to be given instead of the service's."""
        return None

    def answered(self, status: int, body: bytes) -> bytes:
        """The service's answer, as it is to be given."""
        return body

    def note(self, key: str | None, what: str, status: int, body: bytes) -> None:
        with self.lock:
            self.seen.calls += 1
            if key is not None:
                self.seen.keys.add(key)
            # "Not found" and its like are answers.
            if status in (400, 401, 403) or status >= 500:
                code = re.search(rb"<Code>([^<]*)", body)
                why = code[1].decode() if code else body[:80].decode(errors="replace")
                self.seen.refused.append(f"{what}: {status} {why}")

    def close(self) -> None:
        self.server.shutdown()
        self.server.server_close()


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False
    request_queue_size = 64


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    witness: Witness
    upstream: http.client.HTTPConnection | None = None

    def handle_one_request(self) -> None:
        try:
            super().handle_one_request()
        except ConnectionError:
            self.close_connection = True

    def finish(self) -> None:
        if self.upstream:
            self.upstream.close()
        super().finish()

    def relay(self) -> None:
        signed = SIGNED_WITH.search(self.headers.get("Authorization", ""))
        key = signed[1] if signed else None
        # A call counts from its beginning, however long its body takes.
        refusal = self.witness.refusal(key)
        body = self.body()
        if refusal is not None:
            status, answer, headers = *refusal, [("Content-Type", "application/xml")]
        else:
            status, answer, headers = self.ask(body)
            answer = self.witness.answered(status, answer)
        self.witness.note(key, f"{self.command} {self.path.split('?')[0]}", status, answer)
        time.sleep(LATENCY_SECONDS)
        self.send_response_only(status)
        length = str(len(answer))
        for name, value in headers:
            # The answer to a HEAD has the length of what it leaves out.
            if self.command == "HEAD" and name.lower() == "content-length":
                length = value
            elif name.lower() not in OF_THE_CONNECTION | {"content-length"}:
                self.send_header(name, value)
        self.send_header("Content-Length", length)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(answer)

    do_GET = do_HEAD = do_POST = do_PUT = do_DELETE = relay

    def ask(self, body: bytes) -> tuple[int, bytes, list[tuple[str, str]]]:
        if self.upstream is None:
            self.upstream = http.client.HTTPConnection(self.witness.upstream, timeout=30)
        try:
            answer = self.sent(self.upstream, body)
        except (http.client.RemoteDisconnected, ConnectionError, BrokenPipeError):
            # It rested for too long.
            self.upstream.close()
            self.upstream = http.client.HTTPConnection(self.witness.upstream, timeout=30)
            answer = self.sent(self.upstream, body)
        return answer.status, answer.read(), answer.getheaders()

    def sent(self, upstream: http.client.HTTPConnection, body: bytes) -> http.client.HTTPResponse:
        upstream.putrequest(self.command, self.path, skip_host=True, skip_accept_encoding=True)
        for name, value in self.headers.items():
            if name.lower() not in OF_THE_CONNECTION | {"content-length"}:
                upstream.putheader(name, value)
        if body or self.command in ("POST", "PUT"):
            upstream.putheader("Content-Length", str(len(body)))
        upstream.endheaders(body)
        return upstream.getresponse()

    def body(self) -> bytes:
        if self.headers.get("Transfer-Encoding", "").lower() == "chunked":
            whole = b""
            while size := int(self.rfile.readline().split(b";")[0], 16):
                whole += self.rfile.read(size)
                self.rfile.readline()
            while self.rfile.readline().strip():
                pass
            return whole
        return self.rfile.read(int(self.headers.get("Content-Length") or 0))

    def log_message(self, *arguments: object) -> None:
        pass
