"""What ``source=`` may be: with what a role is assumed.

Most are handed to the native side, which calls STS itself. A boto3 session is asked to make the
call with a client of its own, so that its proxies, certificates, endpoints and mocks apply.
"""

from __future__ import annotations

import os
import pickle
import sys
from dataclasses import dataclass, field
from importlib import import_module
from inspect import iscoroutinefunction
from typing import TYPE_CHECKING, Any, NoReturn, TypeAlias

from rolekeeper import _rolekeeper
from rolekeeper.errors import ConfigurationError
from rolekeeper.parameters import is_mapping, items, text, wrong_type

if TYPE_CHECKING:
    from rolekeeper.upkeep import Upkeep

__all__ = [
    "DefaultChain",
    "Kept",
    "Keys",
    "Origin",
    "Profile",
    "SdkSession",
    "origin_of",
    "origin_of_arguments",
]

_WAYS = (
    "pass a profile's name, a boto3 or botocore session, another rolekeeper session, "
    "or keys as (access_key, secret_key[, token])"
)


@dataclass(frozen=True)
class DefaultChain:
    """Whatever the AWS SDKs find by themselves: environment, profile, container, instance."""


@dataclass(frozen=True)
class Profile:
    """A profile of ``~/.aws/config``."""

    name: str


@dataclass(frozen=True)
class Keys:
    """Keys that don't change. They stay in this process: they are never pickled."""

    access_key: str
    secret_key: str = field(repr=False)
    token: str | None = field(default=None, repr=False)

    def __reduce__(self) -> NoReturn:
        raise pickle.PicklingError(
            "a session made of static keys can't be pickled, since secrets are not pickled: "
            "name a profile (source='…'), or put the keys into the environment of both processes"
        )


@dataclass(frozen=True)
class SdkSession:
    """A botocore session: that of a boto3 session, or by itself."""

    session: Any
    owner: Upkeep | None = None
    """Whose session it is, if it is one of ours."""

    @property
    def is_async(self) -> bool:
        """Whether it is one of aiobotocore's."""
        return iscoroutinefunction(self.session.get_credentials)

    @property
    def region(self) -> str | None:
        """The Region that its clients are made for; None if none is set."""
        region = self.session.get_config_variable("region")
        return None if region is None else str(region)

    def __reduce__(self) -> tuple[Any, ...]:
        if self.owner is not None:
            return origin_of, (self.owner,)
        return _sdk_session_of, places_of(self.session)


@dataclass(frozen=True)
class Kept:
    """Another session that rolekeeper keeps fresh: the role is a chained one."""

    owner: Upkeep


Origin: TypeAlias = "DefaultChain | Profile | Keys | SdkSession | Kept"


def origin_of(source: object) -> Origin:
    """What ``source`` means.

    Raises:
        ConfigurationError: it is nothing that a role can be assumed with.
    """
    if source is None:
        return DefaultChain()
    if isinstance(source, str):
        if not source:
            raise ConfigurationError("source is an empty text", hint=_WAYS)
        return Profile(source)
    return _kept(source) or _sdk_session(source) or _keys(source)


def origin_of_arguments(
    aws_access_key_id: object = None,
    aws_secret_access_key: object = None,
    aws_session_token: object = None,
    aws_account_id: object = None,
    botocore_session: object = None,
    profile_name: str | None = None,
) -> Origin | None:
    """Whom boto3's arguments name; None if they leave it open.

    Raises:
        ConfigurationError: keys of which one is missing.
    """
    if aws_access_key_id or aws_secret_access_key or aws_session_token or aws_account_id:
        return keys_of(aws_access_key_id, aws_secret_access_key, aws_session_token)
    if botocore_session is not None:
        return origin_of(botocore_session)
    return None if profile_name is None else Profile(profile_name)


def _kept(source: object) -> Origin | None:
    from rolekeeper.upkeep import Upkeep

    if not isinstance(source, Upkeep):
        return None
    # What goes through a botocore session for the first role does so for the next one: else a
    # proxy, or a mock, would see one half of the calls.
    session = getattr(source, "_session", None)
    if session is not None and source._keeper._recipe.goes_through_sdk:
        return SdkSession(session, source)
    return Kept(source)


def _sdk_session(source: Any) -> SdkSession | None:
    # Who has such a session has imported its module.
    boto3, botocore = sys.modules.get("boto3.session"), sys.modules.get("botocore.session")
    if boto3 is not None and isinstance(source, boto3.Session):
        source = source._session
    if botocore is None or not isinstance(source, botocore.Session):
        return None
    return SdkSession(source)


# The same three things as boto3's arguments, as STS' answer, and as botocore's credentials.
_SPELLINGS = (
    ("aws_access_key_id", "aws_secret_access_key", "aws_session_token"),
    ("AccessKeyId", "SecretAccessKey", "SessionToken"),
    ("access_key", "secret_key", "token"),
)


def _keys(source: Any) -> Keys:
    refused = wrong_type("source", source, _WAYS.removeprefix("pass "))
    if is_mapping(source):
        for access_key, secret_key, token in _SPELLINGS:
            if access_key in source or secret_key in source:
                return keys_of(source.get(access_key), source.get(secret_key), source.get(token))
    elif hasattr(source, "refresh_needed") or isinstance(source, _rolekeeper.Keeper):
        # Taken as keys, they would be dead within the hour.
        raise ConfigurationError(
            f"source is a {type(source).__name__}, whose keys change",
            hint="pass the session that has these credentials",
        )
    elif hasattr(source, "access_key") and hasattr(source, "secret_key"):
        return keys_of(source.access_key, source.secret_key, getattr(source, "token", None))
    elif isinstance(source, (tuple, list)):
        parts = items("source", source, _WAYS)
        if len(parts) in (2, 3):
            return keys_of(*parts)
    raise refused


def keys_of(access_key: object, secret_key: object, token: object = None) -> Keys:
    """Static keys, both of which must be there.

    Raises:
        ConfigurationError: one is missing, or not a text.
    """
    for name, value in (("access key id", access_key), ("secret access key", secret_key)):
        if not value:
            raise ConfigurationError(f"the source's {name} is missing", hint=_WAYS)
    session_token = text("the source's session token", token) if token else None
    return Keys(
        text("the source's access key id", access_key),
        text("the source's secret access key", secret_key),
        session_token,
    )


# === botocore sessions ===


def places_of(session: Any) -> tuple[str | None, str | None]:
    """The profile and the Region of a botocore session: what can be told to another process.

    Raises:
        PicklingError: it was given credentials that another process can't find by itself.
    """
    found = session._credentials
    providers = session.get_component("credential_provider").providers
    methods = {None, *(provider.METHOD for provider in providers)}
    if isinstance(found, _rolekeeper.Keeper) or getattr(found, "method", None) not in methods:
        raise pickle.PicklingError(
            "a session whose source was given its credentials can't be pickled, since secrets are "
            "not pickled: name a profile (source='…'), or put the keys into the environment of "
            "both processes"
        )
    variables = session.instance_variables()
    return variables.get("profile"), variables.get("region")


def _sdk_session_of(profile: str | None, region: str | None) -> SdkSession:
    session: Any = import_module("botocore.session").Session()
    for name, value in (("profile", profile), ("region", region)):
        if value is not None:
            session.set_config_variable(name, value)
    return SdkSession(session)


def profile_of_environment() -> str | None:
    """The profile that the environment names, by either of the names that boto3 knows."""
    return os.environ.get("AWS_DEFAULT_PROFILE") or os.environ.get("AWS_PROFILE") or None
