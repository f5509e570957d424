"""Who somebody is: GetCallerIdentity."""

from __future__ import annotations

from contextlib import closing
from typing import Any, NamedTuple

__all__ = ["Identity", "ask"]


class Identity(NamedTuple):
    """Who STS says somebody is.

    Example::

        account, arn, user_id = session.whoami()
    """

    account: str
    """The account's id: 12 digits."""
    arn: str
    """``arn:aws:sts::123456789012:assumed-role/ROLE/SESSION-NAME``"""
    user_id: str
    """The role's unique id and the session's name."""


def ask(botocore_session: Any, **arguments: str | None) -> Identity:
    """Who the clients of a botocore session are; ``arguments`` are those of ``create_client``."""
    client: Any = botocore_session.create_client("sts", **arguments)
    with closing(client):
        answer: Any = client.get_caller_identity()
    return Identity(answer["Account"], answer["Arn"], answer["UserId"])
