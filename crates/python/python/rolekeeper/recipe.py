"""How a session is made: everything that was asked for, checked, and ready to be made anew.

A recipe is what a pickled session carries. It never holds a session, only how to come by one.
"""

from __future__ import annotations

import os
import pickle
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, fields
from typing import Any, Literal, NamedTuple, TypeAlias

from rolekeeper import _rolekeeper
from rolekeeper.errors import ConfigurationError
from rolekeeper.events import Listener, Listeners
from rolekeeper.mfa import TIME_FOR_A_PERSON, MfaToken, asker
from rolekeeper.origins import (
    DefaultChain,
    Kept,
    Keys,
    Origin,
    Profile,
    SdkSession,
    origin_of,
    profile_of_environment,
)
from rolekeeper.parameters import (
    AssumeRoleOptions,
    Parameters,
    items,
    refuse_unknown,
    text,
    wrong_type,
)
from rolekeeper.stores import store_of

__all__ = ["Recipe", "RefreshMode", "SessionOptions"]

RefreshMode: TypeAlias = Literal["auto", "background", "on-demand"]

_TIME = 30.0


class SessionOptions(AssumeRoleOptions, total=False):
    """What a session can be told, besides the role's ARN and what ``boto3.Session`` takes."""

    source: object
    mfa_token: MfaToken | None
    refresh: RefreshMode
    sts_region_name: str | None
    sts_endpoint_url: str | None
    web_identity_token_file: str | os.PathLike[str] | None
    store: str | None
    store_key_file: str | os.PathLike[str] | None
    on_event: Listener | Iterable[Listener] | None


_KNOWN = frozenset({"role_arn", *SessionOptions.__annotations__})

# What AssumeRoleWithWebIdentity takes of them.
_OF_WEB_IDENTITY = ("role_arn", "role_session_name", "duration_seconds", "policy", "policy_arns")


class Prepared(NamedTuple):
    """A recipe that has been checked."""

    source: Callable[[], _rolekeeper.Source]
    """Makes what the native side asks for sessions."""
    region: str | None
    """Where STS is called; None if a botocore session knows it."""


@dataclass(frozen=True)
class Recipe:
    """How a session is made, and when."""

    parameters: Parameters | None
    origin: Origin
    mfa_token: Callable[[], str] | None = None
    web_identity_token_file: str | None = None
    region: str | None = None
    endpoint_url: str | None = None
    refresh: RefreshMode = "auto"
    store: str | None = None
    store_key_file: str | None = None

    @classmethod
    def take(
        cls,
        options: Mapping[str, Any],
        *,
        origin: Origin | None = None,
        region: str | None = None,
        also_known: Iterable[str] = (),
    ) -> tuple[Recipe, Listeners]:
        """What ``options`` ask for; ``origin`` and ``region`` are for what they leave open.

        Raises:
            ConfigurationError: an unknown name, a wrong type, or what makes no sense together.
        """
        left = dict(options)
        for name in left:
            # A code is known, to be refused for what it is.
            if name not in _KNOWN and name != "token_code":
                refuse_unknown(name, {*_KNOWN, *also_known})
        listeners = _listeners(left.pop("on_event", None))
        parameters = Parameters.take(left)
        given = {name: value for name, value in left.items() if value is not None}
        source = given.pop("source", None)
        if source is not None and isinstance(origin, Keys):
            raise ConfigurationError(
                "source= says what the access key says too", hint="say one of them"
            )
        mfa_token = given.get("mfa_token")
        token_file = given.get("web_identity_token_file")
        key_file = given.get("store_key_file")
        recipe = cls(
            parameters=parameters,
            origin=origin_of(source) if source is not None else origin or DefaultChain(),
            mfa_token=None if mfa_token is None else asker(mfa_token),
            web_identity_token_file=(
                None if token_file is None else _path("web_identity_token_file", token_file)
            ),
            region=_text(given, "sts_region_name") or region,
            endpoint_url=_text(given, "sts_endpoint_url"),
            refresh=_refresh(given.get("refresh", "auto")),
            store=_text(given, "store"),
            store_key_file=None if key_file is None else _path("store_key_file", key_file),
        )
        recipe._check_together(source is not None or isinstance(origin, Keys))
        return recipe, listeners

    def _check_together(self, has_source: bool) -> None:
        """Whether the parts fit to each other."""
        parameters, serial = self.parameters, self.parameters and self.parameters.serial_number
        if self.web_identity_token_file is not None:
            if parameters is None:
                raise _no_role(" that the web identity token is for")
            for field in fields(parameters):
                is_given = getattr(parameters, field.name) != field.default
                if is_given and field.name not in _OF_WEB_IDENTITY:
                    raise ConfigurationError(
                        f"{field.name} is nothing that AssumeRoleWithWebIdentity takes",
                        hint="leave it out, or leave out web_identity_token_file",
                    )
            if has_source or self.mfa_token is not None:
                other = "mfa_token" if self.mfa_token is not None else "source"
                raise ConfigurationError(
                    f"web_identity_token_file leaves nothing for {other} to do",
                    hint="the token is all that is needed: say one of them",
                )
        elif parameters is None:
            if not isinstance(self.origin, (Profile, DefaultChain)):
                raise _no_role(" that the source is for")
            if isinstance(self.origin, DefaultChain) and profile_of_environment() is None:
                raise _no_role(", by no profile either")
        elif parameters.minimum_session_token_size is not None and not self.goes_through_sdk:
            raise ConfigurationError(
                "minimum_session_token_size is sent by botocore alone",
                hint="pass source=boto3.Session()",
            )
        elif serial is not None and self.mfa_token is None:
            raise ConfigurationError(
                "serial_number is given, but nobody to ask for its codes",
                hint="pass mfa_token=, a function or a command that gives a code each time",
            )
        elif serial is None and self.mfa_token is not None and not isinstance(self.origin, Profile):
            raise ConfigurationError(
                "mfa_token is given, but no device to ask a code of",
                hint="pass serial_number=, the device's ARN",
            )

    # === from here on, how it is made ===

    @property
    def role_arn(self) -> str | None:
        """The role's ARN; None if a profile names it."""
        return None if self.parameters is None else self.parameters.role_arn

    @property
    def place(self) -> dict[str, str | None]:
        """Where STS is called, as arguments of boto3's ``client``."""
        return {"region_name": self.region, "endpoint_url": self.endpoint_url}

    @property
    def goes_through_sdk(self) -> bool:
        """Whether a botocore session makes the call."""
        return isinstance(self.origin, SdkSession) and self.web_identity_token_file is None

    def prepared(self) -> Prepared:
        """Checks all that can be checked without calling anybody.

        Raises:
            ConfigurationError: what STS would refuse for its form, no Region, an unknown profile.
        """
        parameters = self.parameters
        if parameters is None:
            name = self.origin.name if isinstance(self.origin, Profile) else None
            made = _rolekeeper.Source.profile(
                name or profile_of_environment(),
                mfa_token=self.mfa_token,
                region=self.region,
                endpoint_url=self.endpoint_url,
            )
        elif self.web_identity_token_file is not None:
            native = parameters.native()
            wanted = (*_OF_WEB_IDENTITY, "session_name")
            told = {name: native[name] for name in wanted if name in native}
            made = _rolekeeper.Source.web_identity(
                told.pop("role_arn"),
                self.web_identity_token_file,
                region=self.region,
                endpoint_url=self.endpoint_url,
                **told,
            )
        elif isinstance(self.origin, SdkSession):
            # The native side says what is wrong with the parameters; it will call nobody.
            self._assume_role(_nobody(), endpoint_url="http://localhost")
            fetch = self._sdk()(self.origin, parameters, self.mfa_token, self.place)
            made = _rolekeeper.Source.callback(parameters.role_arn, fetch)
        elif isinstance(self.origin, Kept):
            owner = self.origin.owner
            checked = self._assume_role(_nobody())

            def chained() -> _rolekeeper.Source:
                # The other one is opened when this one is: not before somebody reads.
                return self._assume_role(owner._opened()._as_base())

            return Prepared(chained, checked.region)
        else:
            made = self._assume_role(self._base())
        return Prepared(lambda: made, made.region or self._region())

    def opened_store(self) -> _rolekeeper.Store | None:
        """Where the session is shared; None if nowhere.

        Raises:
            ConfigurationError: there is no such store, or nothing that could be shared.
        """
        if self.goes_through_sdk:
            # Nobody can know what all such a session's own configuration does to the call.
            if self.store not in (None, "none"):
                raise ConfigurationError(
                    "a session that a boto3 or botocore session makes can't be shared",
                    hint="name a profile or keys as the source, or leave out store",
                )
            return None
        return store_of(self.store, self.store_key_file)

    def _assume_role(
        self, base: _rolekeeper.Base, endpoint_url: str | None = None
    ) -> _rolekeeper.Source:
        assert self.parameters is not None
        arguments = self.parameters.native()
        if self.parameters.serial_number is not None:
            arguments["mfa_token"] = self.mfa_token
        return _rolekeeper.Source.assume_role(
            base=base,
            region=self._region(),
            endpoint_url=endpoint_url or self.endpoint_url,
            **arguments,
        )

    def _sdk(self) -> Callable[..., Callable[[], tuple[Any, ...]]]:
        """What makes the call through a botocore session."""
        if isinstance(self.origin, SdkSession) and self.origin.is_async:
            from rolekeeper.aio.source import AioSdkAssumeRole

            return AioSdkAssumeRole
        from rolekeeper.sdk_source import SdkAssumeRole

        return SdkAssumeRole

    def _region(self) -> str | None:
        """Where STS is called: what was said, or else what the source says."""
        origin = self.origin
        if self.region is not None or self.web_identity_token_file is not None:
            return self.region
        if isinstance(origin, Profile):
            return _rolekeeper.Source.profile(origin.name).region
        if isinstance(origin, Kept):
            return origin.owner._keeper._region
        return origin.region if isinstance(origin, SdkSession) else None

    def _base(self) -> _rolekeeper.Base:
        origin = self.origin
        if isinstance(origin, Keys):
            return _rolekeeper.Base.keys(origin.access_key, origin.secret_key, origin.token)
        if isinstance(origin, Profile):
            assert self.parameters is not None
            if self.mfa_token is None or self.parameters.serial_number is not None:
                return _rolekeeper.Base.profile(origin.name)
            # The codes are for the device that the profile's own role asks for.
            return _rolekeeper.Base.source(
                _rolekeeper.Source.profile(
                    origin.name,
                    mfa_token=self.mfa_token,
                    region=self.region,
                    endpoint_url=self.endpoint_url,
                )
            )
        # boto3 knows a second name for AWS_PROFILE; keys in the environment go before it.
        profile = os.environ.get("AWS_DEFAULT_PROFILE")
        if profile and not os.environ.get("AWS_ACCESS_KEY_ID"):
            return _rolekeeper.Base.profile(profile)
        return _rolekeeper.Base.default_chain()

    @property
    def time(self) -> float:
        """Seconds for one fetch, and for a reader who has nothing valid to be served."""
        return _TIME if self.mfa_token is None else TIME_FOR_A_PERSON

    def mode(self) -> Literal["background", "on-demand"]:
        """Who refreshes. In AWS Lambda, where a process is frozen between calls, the readers do."""
        if self.refresh != "auto":
            return self.refresh
        return "on-demand" if "AWS_LAMBDA_FUNCTION_NAME" in os.environ else "background"

    def __getstate__(self) -> dict[str, Any]:
        if self.parameters is not None and self.parameters.provided_contexts:
            raise pickle.PicklingError(
                "a session with provided_contexts can't be pickled, since their assertions are "
                "secrets: make it where it is used"
            )
        if self.store is not None and "@" in self.store:
            raise pickle.PicklingError(
                "a session whose store has a password in its address can't be pickled: set "
                "ROLEKEEPER_STORE where it is used, and leave out store"
            )
        return dict(vars(self))

    def __setstate__(self, state: dict[str, Any]) -> None:
        vars(self).update(state)


def _nobody() -> _rolekeeper.Base:
    """For a source that is only made to be checked."""
    return _rolekeeper.Base.keys("-", "-")


def _no_role(but: str) -> ConfigurationError:
    return ConfigurationError(
        f"no role is named{but}",
        hint="pass role_arn=, or the name of a profile that has a role",
    )


def _listeners(on_event: Any) -> Listeners:
    if on_event is None:
        return Listeners()
    wanted = "a function that takes an event, or a list of them"
    several = [on_event] if callable(on_event) else items("on_event", on_event, wanted)
    for listener in several:
        if not callable(listener):
            raise wrong_type("on_event", listener, wanted)
    return Listeners(several)


def _text(given: Mapping[str, Any], name: str) -> str | None:
    return text(name, given[name]) if name in given else None


def _path(name: str, value: Any) -> str:
    try:
        return os.fsdecode(value)
    except TypeError:
        raise wrong_type(name, value, "the path of a file") from None


def _refresh(value: Any) -> RefreshMode:
    if value not in ("auto", "background", "on-demand"):
        raise ConfigurationError(
            f"refresh is {value!r}", hint='give "auto", "background" or "on-demand"'
        )
    mode: RefreshMode = value
    return mode
