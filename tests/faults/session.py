"""A session as a reader has it, and whether a service takes it."""

from __future__ import annotations

import http.client
import json
import time
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from urllib.parse import urlsplit

# Seconds. STS tells its time in whole ones, and an answer has been on its way for a moment: to
# which second a session ends is known no better than that.
GRAIN = 1.0


@dataclass(frozen=True)
class Session:
    """Prints as its key id: its secrets are in no test's output."""

    key: str
    secret: str
    token: str
    expiration: float

    @classmethod
    def of(cls, told: dict[str, Any]) -> Session:
        """Of an answer of an endpoint or of `credential_process`."""
        token = told.get("Token") or told["SessionToken"]
        return cls(told["AccessKeyId"], told["SecretAccessKey"], token, unix(told["Expiration"]))

    def __repr__(self) -> str:
        return f"<Session {self.key}>"

    def is_dead_at(self, moment: float) -> bool:
        return self.expiration <= moment

    def is_live(self) -> bool:
        return not self.is_dead_at(time.time())

    def is_accepted_at(self, url: str) -> bool:
        """Calls RDS with it. (STS tells whoever asks who they are, also with a session that was revoked.)"""
        # Where it is not needed it is not loaded: it takes a while.
        from botocore.auth import SigV4Auth
        from botocore.awsrequest import AWSRequest
        from botocore.credentials import ReadOnlyCredentials

        body = "Action=DescribeDBInstances&Version=2014-10-31"
        headers = {"Content-Type": "application/x-www-form-urlencoded"}
        request = AWSRequest("POST", url, headers, body)
        keys = ReadOnlyCredentials(self.key, self.secret, self.token)
        SigV4Auth(keys, "rds", "us-east-1").add_auth(request)
        connection = http.client.HTTPConnection(urlsplit(url).netloc, timeout=30)
        try:
            connection.request("POST", "/", body, dict(request.headers.items()))
            return connection.getresponse().status == http.client.OK
        finally:
            connection.close()


@dataclass(frozen=True)
class Read:
    """What one reader got, when it asked, and how long that took (seconds)."""

    sent: float
    took: float
    session: Session | None
    why: str = ""

    @property
    def is_dead(self) -> bool:
        """It had ended before it was asked for."""
        return self.session is not None and self.session.is_dead_at(self.sent - GRAIN)


def unix(expiration: str) -> float:
    return datetime.fromisoformat(expiration.replace("Z", "+00:00")).timestamp()


def parsed(text: str) -> dict[str, Any] | None:
    try:
        told = json.loads(text)
    except ValueError:
        return None
    return told if isinstance(told, dict) else None
