"""AssumeRole through a botocore session's own STS client.

So that everything that the session's owner has set up holds for this call as well: proxies,
certificates, endpoints, event handlers, and moto's mocks.
"""

from __future__ import annotations

import os
import re
import socket
from collections.abc import Callable, Mapping
from email.utils import parsedate_to_datetime
from typing import Any

from rolekeeper.errors import BadAnswerError, ConfigurationError, classify
from rolekeeper.origins import SdkSession
from rolekeeper.parameters import Parameters

__all__ = ["CLIENT_CONFIG", "SdkAssumeRole", "answer", "session_name"]

# In seconds; a fetch has the time for one call, and the engine tries again by its own rules.
CLIENT_CONFIG: Mapping[str, Any] = {
    "connect_timeout": 5,
    "read_timeout": 15,
    "retries": {"total_max_attempts": 1},
}

_LONGEST_NAME = 64


class SdkAssumeRole:
    """Makes sessions of one role: call it for one.

    Raises, when it is made, ConfigurationError if the session can't have an STS client: no Region,
    say, or a package that it needs and that is not there.
    """

    def __init__(
        self,
        origin: SdkSession,
        parameters: Parameters,
        mfa_token: Callable[[], str] | None,
        place: Mapping[str, str | None],
    ) -> None:
        self._session = origin.session
        self._request = parameters.request()
        self._mfa_token = mfa_token
        self._place = place
        # Made here, since others may be making clients of this session while we fetch.
        try:
            self._client = self._new_client()
        except Exception as error:
            _, message, _, hint, _ = classify(error)
            raise ConfigurationError(message, role_arn=parameters.role_arn, hint=hint) from error
        self._pid = os.getpid()
        call = self._client.meta.service_model.operation_model("AssumeRole")
        unknown = sorted(self._request.keys() - call.input_shape.members.keys())
        if unknown:
            raise ConfigurationError(
                f"this version of botocore does not know {', '.join(unknown)}",
                hint="pip install --upgrade boto3",
            )

    def __call__(self) -> tuple[Any, ...]:
        request = {"RoleSessionName": session_name(), **self._request}
        if self._mfa_token is not None:
            request["TokenCode"] = self._mfa_token()
        return answer(self._own_client().assume_role(**request))

    def _own_client(self) -> Any:
        """A forked child must not write to its parent's connections."""
        if self._pid != os.getpid():
            self._client, self._pid = self._new_client(), os.getpid()
        return self._client

    def _new_client(self) -> Any:
        from botocore.config import Config  # type: ignore[import-untyped]

        return self._session.create_client("sts", config=Config(**CLIENT_CONFIG), **self._place)


def answer(response: Mapping[str, Any]) -> tuple[Any, ...]:
    """What AssumeRole has answered, in the native side's terms.

    Raises:
        BadAnswerError: something is missing in it.
    """
    credentials: Mapping[str, Any] = response.get("Credentials") or {}
    who: Mapping[str, Any] = response.get("AssumedRoleUser") or {}
    wanted = ("AccessKeyId", "SecretAccessKey", "SessionToken", "Expiration")
    missing = [name for name in wanted if not credentials.get(name)]
    if missing:
        raise BadAnswerError(f"the answer of AssumeRole has no {', '.join(missing)}")
    arn: str = who.get("Arn") or ""
    return (
        credentials["AccessKeyId"],
        credentials["SecretAccessKey"],
        credentials["SessionToken"],
        credentials["Expiration"].timestamp(),
        dict(enumerate(arn.split(":"))).get(4) or None,
        _date(response),
        arn or None,
    )


def _date(response: Mapping[str, Any]) -> float | None:
    """When STS says it answered: by how much this machine's clock is off."""
    about: Mapping[str, Any] = response.get("ResponseMetadata") or {}
    headers: Mapping[str, Any] = about.get("HTTPHeaders") or {}
    try:
        return parsedate_to_datetime(headers["date"]).timestamp()
    except (KeyError, TypeError, ValueError):
        return None


def session_name() -> str:
    """``USER@HOST-PID``, as the native side makes it: what STS refuses becomes ``-``."""
    told = (os.environ.get(name) for name in ("USER", "LOGNAME", "USERNAME"))
    user = next(filter(None, told), "rolekeeper")
    tail = f"-{os.getpid()}"
    name = f"{user[: _LONGEST_NAME // 2]}@{socket.gethostname()}"
    return re.sub(r"[^\w+=,.@-]", "-", name, flags=re.ASCII)[: _LONGEST_NAME - len(tail)] + tail
