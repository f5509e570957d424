"""What the clients call: services that check signatures and refuse a session that has ended.

The sandbox does so by itself, for calls that list. moto (for clients that need a whole S3) has no
ended sessions: a gate before it shortens what it issues, and refuses what is over.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
import threading
import time
import urllib.request
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

from process import Process, Trouble, clean_environment, wait_for
from witness import Witness

MOTO_WORLD = Path(__file__).parent.parent / "crates/cli/tests/cli/python/moto_world.py"


class Sandbox:
    """STS, RDS and S3 of `rolekeeper sandbox`."""

    def __init__(self, rolekeeper: list[str], folder: Path, lifetime: int) -> None:
        words = [*rolekeeper, "sandbox", "--json", "--session-lifetime", f"{lifetime}s"]
        self.process = Process(folder / "sandbox.log", words, clean_environment(folder))
        told = json.loads(self.process.line())
        self.sts: str = told["AWS_ENDPOINT_URL"]
        self.token: str = told["ROLEKEEPER_SANDBOX_TOKEN"]
        self.base = (told["AWS_ACCESS_KEY_ID"], told["AWS_SECRET_ACCESS_KEY"])
        self.role = "arn:aws:iam::123456789012:role/demo"

    def witness(self) -> Witness:
        return Witness(self.sts)

    def down(self) -> None:
        """STS gives no session to anybody; those that were issued are still good."""
        self.admin("PUT", "faults", {"only": ["AssumeRole"], "close_connection": True})

    def up(self) -> None:
        self.admin("DELETE", "faults")

    def sessions(self) -> tuple[int, int]:
        """How many were issued, and how often that failed."""
        rows = self.admin("GET", "counts")["rows"]
        calls = [(row["calls"], row["result"]) for row in rows if row["operation"] == "AssumeRole"]
        ok = sum(number for number, result in calls if result == "ok")
        return ok, sum(number for number, _ in calls) - ok

    def admin(self, method: str, what: str, body: Any = None) -> Any:
        request = urllib.request.Request(
            f"{self.sts}/_sandbox/{what}",
            method=method,
            data=None if body is None else json.dumps(body).encode(),
            headers={"Authorization": f"Bearer {self.token}"},
        )
        with urllib.request.urlopen(request, timeout=10) as answer:
            return json.load(answer)

    def end(self) -> None:
        self.process.end()


class Moto:
    """STS and S3 of moto, behind gates that give sessions an end."""

    def __init__(self, moto_server: Path, folder: Path, lifetime: int) -> None:
        self.lifetime = lifetime
        self.ends: dict[str, float] = {}
        self.is_down = False
        self.issued = self.refused = 0
        self.lock = threading.Lock()
        environment = clean_environment(folder)
        words = [str(moto_server), "-H", "127.0.0.1", "-p", "0"]
        self.process = Process(folder / "moto.log", words, environment)
        self.url = wait_for("moto's address", self.address)
        words = [sys.executable, str(MOTO_WORLD), self.url]
        made = subprocess.run(words, env=environment, capture_output=True, text=True)
        if made.returncode != 0:
            raise Trouble(f"moto: {made.stderr}")
        told = json.loads(made.stdout)
        self.base = (told["access_key_id"], told["secret_access_key"])
        self.role: str = told["role_arn"]
        self.gate = _StsGate(self)
        self.sts = self.gate.url

    def address(self) -> str | None:
        found = re.search(r"Running on (http://\S+)", self.process.log.read_text())
        return found[1] if found else None

    def witness(self) -> Witness:
        return _S3Gate(self)

    def down(self) -> None:
        self.is_down = True

    def up(self) -> None:
        self.is_down = False

    def sessions(self) -> tuple[int, int]:
        return self.issued, self.refused

    def end(self) -> None:
        self.process.end()


class _StsGate(Witness):
    def __init__(self, moto: Moto) -> None:
        self.moto = moto
        super().__init__(moto.url)

    def refusal(self, key: str | None) -> tuple[int, bytes] | None:
        if not self.moto.is_down:
            return None
        with self.moto.lock:
            self.moto.refused += 1
        return 503, _error("ServiceUnavailable", "Service is unable to handle request.")

    def answered(self, status: int, body: bytes) -> bytes:
        found = re.search(rb"<AccessKeyId>([^<]+)", body)
        if status != 200 or not found:
            return body
        lifetime = self.moto.lifetime
        end = datetime.now(timezone.utc).replace(microsecond=0) + timedelta(seconds=lifetime)
        with self.moto.lock:
            self.moto.issued += 1
            self.moto.ends[found[1].decode()] = end.timestamp()
        told = end.strftime("<Expiration>%Y-%m-%dT%H:%M:%SZ<").encode()
        return re.sub(rb"<Expiration>[^<]+<", told, body)


class _S3Gate(Witness):
    def __init__(self, moto: Moto) -> None:
        self.moto = moto
        super().__init__(moto.url)

    def refusal(self, key: str | None) -> tuple[int, bytes] | None:
        if key is None or time.time() < self.moto.ends.get(key, 0):
            return None
        return 400, _error("ExpiredToken", "The provided token has expired.")


def _error(code: str, message: str) -> bytes:
    return f"<Error><Code>{code}</Code><Message>{message}</Message></Error>".encode()
