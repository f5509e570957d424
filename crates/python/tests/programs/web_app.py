"""A web application for gunicorn: one client, made before the workers are forked."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from typing import Any

import rolekeeper

session = rolekeeper.Session(
    role_arn="arn:aws:iam::123456789012:role/demo", region_name="us-east-1"
)
client = session.client("sts")
# As applications do: find out before serving.
session.refresh_now()
MADE_IN = os.getpid()


def app(_: dict[str, Any], start: Callable[..., Any]) -> Iterable[bytes]:
    assert os.getpid() != MADE_IN, "it was to be preloaded"
    arn = client.get_caller_identity()["Arn"]
    key = session.get_credentials().get_frozen_credentials().access_key
    start("200 OK", [("Content-Type", "text/plain")])
    return [f"{os.getpid()} {key} {arn}".encode()]
