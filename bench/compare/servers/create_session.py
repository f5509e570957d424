"""A stand-in for IAM Roles Anywhere's CreateSession, the one call that aws_signing_helper makes.

It issues made-up sessions to whoever asks and does not verify the request's signature: it stands
for the time that the call takes, not for its checks. `GET /_calls` tells how often it was asked,
`PUT /_faults` changes how it answers. It prints where it listens and runs until it is ended.
"""

from __future__ import annotations

import argparse
import itertools
import json
import threading
import time
from datetime import datetime, timedelta, timezone
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

ROLE = "arn:aws:iam::123456789012:role/demo"


class Issuer(ThreadingHTTPServer):
    daemon_threads = True
    # As many as stampede at once.
    request_queue_size = 256

    def __init__(self, lifetime: int, latency: int):
        super().__init__(("127.0.0.1", 0), Handler)
        self.lifetime = timedelta(seconds=lifetime)
        self.faults = {"latency_ms": latency, "down": False}
        self.lock, self.calls = threading.Lock(), 0
        self.numbers = itertools.count(1)

    def session(self) -> dict[str, object]:
        number = next(self.numbers)
        end = datetime.now(timezone.utc) + self.lifetime
        return {
            "assumedRoleUser": {"arn": ROLE, "assumedRoleId": "AROASANDBOX:compare"},
            "credentials": {
                "accessKeyId": f"ASIACOMPARE{number:09}",
                "secretAccessKey": "a-secret-that-opens-nothing",
                "sessionToken": "a-token-that-opens-nothing-" * 16,
                "expiration": end.strftime("%Y-%m-%dT%H:%M:%SZ"),
            },
            "roleArn": ROLE,
        }


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Issuer

    def do_POST(self) -> None:
        self.body()
        with self.server.lock:
            self.server.calls += 1
        time.sleep(self.server.faults["latency_ms"] / 1e3)
        if self.server.faults["down"]:
            self.close_connection = True
            return
        self.answer(201, {"credentialSet": [self.server.session()], "subjectArn": "compare"})

    def do_PUT(self) -> None:
        self.server.faults = json.loads(self.body())
        self.answer(200, None)

    def do_GET(self) -> None:
        self.answer(200, self.server.calls)

    def body(self) -> bytes:
        return self.rfile.read(int(self.headers.get("Content-Length", 0)))

    def answer(self, status: int, what: object) -> None:
        text = json.dumps(what).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)

    def log_message(self, *_: object) -> None:
        pass


def main() -> None:
    parser = argparse.ArgumentParser(description="a stand-in for CreateSession")
    parser.add_argument("--lifetime", type=int, required=True, help="of a session, in seconds")
    parser.add_argument("--latency", type=int, required=True, help="of an answer, in milliseconds")
    arguments = parser.parse_args()
    issuer = Issuer(arguments.lifetime, arguments.latency)
    print(f"http://127.0.0.1:{issuer.server_port}", flush=True)
    issuer.serve_forever()


if __name__ == "__main__":
    main()
