"""Who is compared in Python: each made as its documentation says, with its defaults, over the STS
that the environment names; and asked for credentials as a client asks for every request.
"""

from __future__ import annotations

import os
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

from document import OURS

REGION = "us-east-1"
ROLE = "arn:aws:iam::123456789012:role/demo"


@dataclass(frozen=True)
class Timing:
    """Of the session that is held when a watch begins, in seconds."""

    # Expirations are told in whole seconds, rounded up: what is fetched at the beginning of a
    # second lives for one more.
    lifetime: int
    # A refresh is due so long after that fetch.
    due: float


@dataclass(frozen=True)
class Peer:
    """One contender: what makes a function that reads, and when it refreshes."""

    name: str
    make: Callable[[], Any]
    # A refresh in the first and in the last window that its rules know.
    advisory: Timing
    mandatory: Timing
    # The same while the source is down: what is held is valid for some 8 s more at the least.
    advisory_outage: Timing
    mandatory_outage: Timing


def by_botocores_rules(name: str, make: Callable[[], Any]) -> Peer:
    """One reader refreshes when 15 minutes are left; when 10 are, all wait for it."""
    first, last = Timing(900, 1.0), Timing(601, 2.0)
    # Nobody reads between the two; else it would not come to the last.
    return Peer(name, make, first, Timing(598, 0.5), first, last)


def by_ours(make: Callable[[], Any]) -> Peer:
    """So short a session is replaced when a quarter of its life has passed, more or less."""
    soon, later = Timing(3, 1.0), Timing(15, 3.6)
    return Peer(OURS, make, soon, soon, later, later)


# === threads ===


def ours() -> Callable[[], Any]:
    import rolekeeper

    session = rolekeeper.Session(role_arn=ROLE, region_name=REGION)
    return session.get_credentials().get_frozen_credentials


def botocores() -> Callable[[], Any]:
    """With the function that everybody writes."""
    import boto3
    from botocore.credentials import DeferredRefreshableCredentials

    sts = boto3.client("sts", region_name=REGION)

    def refresh() -> dict[str, str]:
        answer = sts.assume_role(RoleArn=ROLE, RoleSessionName="compare")
        return metadata(answer["Credentials"])

    made = DeferredRefreshableCredentials(refresh_using=refresh, method="sts-assume-role")
    return made.get_frozen_credentials


def metadata(credentials: dict[str, Any]) -> dict[str, str]:
    return {
        "access_key": credentials["AccessKeyId"],
        "secret_key": credentials["SecretAccessKey"],
        "token": credentials["SessionToken"],
        "expiry_time": credentials["Expiration"].isoformat(),
    }


def boto3_refresh_session() -> Callable[[], Any]:
    from boto3_refresh_session import RefreshableSession

    session = RefreshableSession(
        assume_role_kwargs={"RoleArn": ROLE, "RoleSessionName": "compare"},
        region_name=REGION,
    )
    return session.get_credentials().get_frozen_credentials


def aws_assume_role_lib() -> Callable[[], Any]:
    import boto3
    from aws_assume_role_lib import assume_role

    session = assume_role(boto3.Session(region_name=REGION), ROLE)
    return session.get_credentials().get_frozen_credentials


THREADS = [
    by_ours(ours),
    by_botocores_rules("botocore", botocores),
    by_botocores_rules("boto3-refresh-session", boto3_refresh_session),
    by_botocores_rules("aws-assume-role-lib", aws_assume_role_lib),
]


# === asyncio ===


async def ours_for_asyncio() -> Callable[[], Awaitable[Any]]:
    import rolekeeper.aio

    session = rolekeeper.aio.AioSession(role_arn=ROLE, region_name=REGION)
    credentials = await session.get_credentials()
    return credentials.get_frozen_credentials


async def aiobotocores() -> Callable[[], Awaitable[Any]]:
    from aiobotocore.credentials import AioDeferredRefreshableCredentials
    from aiobotocore.session import get_session

    # It lives as long as this process.
    sts = await get_session().create_client("sts", region_name=REGION).__aenter__()

    async def refresh() -> dict[str, str]:
        answer = await sts.assume_role(RoleArn=ROLE, RoleSessionName="compare")
        return metadata(answer["Credentials"])

    made = AioDeferredRefreshableCredentials(refresh_using=refresh, method="sts-assume-role")
    return made.get_frozen_credentials


TASKS = [by_ours(ours_for_asyncio), by_botocores_rules("aiobotocore", aiobotocores)]


def speak_to(environment: dict[str, str]) -> None:
    """All that is made from now on calls this STS."""
    for name in [name for name in os.environ if name.startswith("AWS_")]:
        del os.environ[name]
    os.environ.update({name: value for name, value in environment.items() if value})
    os.environ["AWS_CONFIG_FILE"] = os.environ["AWS_SHARED_CREDENTIALS_FILE"] = os.devnull
