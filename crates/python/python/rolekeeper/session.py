"""``Session``: a boto3 session whose role session never runs out."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, ClassVar, TypeVar

import boto3  # type: ignore[import-untyped]
from botocore.exceptions import ProfileNotFound  # type: ignore[import-untyped]

from rolekeeper._rolekeeper import Source
from rolekeeper.errors import ConfigurationError
from rolekeeper.events import Listeners
from rolekeeper.identity import Identity, ask
from rolekeeper.origins import SdkSession, origin_of, origin_of_arguments
from rolekeeper.parameters import text
from rolekeeper.recipe import Recipe, SessionOptions
from rolekeeper.role_credentials import RoleCredentials
from rolekeeper.upkeep import Upkeep

if TYPE_CHECKING:
    from typing_extensions import Self, Unpack

__all__ = ["Session", "assume_role"]

_Session = TypeVar("_Session", bound="Session")

_BOTO3_ARGUMENTS = (
    "aws_access_key_id",
    "aws_secret_access_key",
    "aws_session_token",
    "region_name",
    "botocore_session",
    "profile_name",
    "aws_account_id",
)


class Session(Upkeep, boto3.Session):  # type: ignore[misc]
    """A ``boto3.Session`` of one role, kept fresh for as long as a program runs.

    Its clients and resources stay valid for ever: make each of them once. STS is called at the
    first read of the credentials, and then long before each session's end, apart from all readers.

    It takes what ``boto3.Session`` takes. There, keys, a ``profile_name`` and a
    ``botocore_session`` say who somebody is; here, they say so too, and the role is assumed with
    them. A ``profile_name`` also gives the clients' settings, and is enough by itself if the
    profile has a role. A ``botocore_session`` goes on being who it is.

    Args:
        role_arn: ``arn:aws:iam::123456789012:role/NAME``.
        role_session_name: what CloudTrail calls the session: 2 to 64 letters, digits and
            ``_+=,.@-``. Default: user, host and process.
        duration_seconds: how long one session lasts: 900 to 43200 s, at most the role's own
            maximum; at most 3600 s if the source is a role's session itself. Default: 3600 s.
        external_id: what the role's trust policy asks of third parties.
        policy: a policy that narrows the session, as JSON or as a dict.
        policy_arns: ARNs of managed policies that narrow it, or ``[{"arn": ARN}]``; up to 10.
        tags: session tags, as a dict or as ``[{"Key": …, "Value": …}]``; up to 50.
        transitive_tag_keys: the tags that further roles inherit.
        source_identity: who stands behind the session, kept through all further roles.
        serial_number: the MFA device that the role asks for; also ``mfa_serial``. With
            ``mfa_token``.
        provided_contexts: ``[{"ProviderArn": …, "ContextAssertion": …}]``; up to 5.
        minimum_session_token_size: 0 to 4096 bytes that its token is filled up to, for finding out
            what breaks; only with a boto3 or botocore session as the source.
        assume_role_kwargs: any of these by boto3's names: ``{"RoleArn": …, "ExternalId": …}``.
        source: with what the role is assumed: a profile's name, a boto3 or botocore session (whose
            own STS client is used), keys as ``(access_key, secret_key[, token])`` or as a mapping,
            or another ``Session`` or ``Role`` of rolekeeper. Default: what the AWS SDKs find.
        mfa_token: asked for a code for every session: a function that returns six digits, or a
            command that prints them, run without a shell. It has 120 s.
        refresh: ``"background"``; ``"on-demand"``, where a reader refreshes; or ``"auto"``, the
            default: the background, but on demand in AWS Lambda, where a process is frozen between
            calls.
        sts_region_name: the Region to call STS in. Default: the session's own.
        sts_endpoint_url: another STS than the Region's.
        web_identity_token_file: a file with a token with which the role is assumed
            (AssumeRoleWithWebIdentity); it is read for every session.
        store: where the session is shared with other processes or hosts, so that one of them calls
            STS for all: ``"file"``, a sealed cache of this user's; or a Redis or Valkey,
            ``"redis://HOST:PORT"`` or ``"rediss://…"``. Default: ``ROLEKEEPER_STORE``, else nowhere.
        store_key_file: the file with the keys that it is sealed with in a Redis. Default:
            ``ROLEKEEPER_STORE_KEY_FILE``, or the keys in ``ROLEKEEPER_STORE_KEY``.
        on_event: a function, or several, that are told what happens to the session: see
            :class:`rolekeeper.events.Event`.

    Raises:
        ConfigurationError: whatever can be known to be wrong before STS is called. It is a
            ``ValueError`` too.

    A session can be pickled: it carries its recipe and no secret, and makes a session of its own
    where it is unpickled. Clients and listeners stay behind.

    Example::

        session = rolekeeper.Session(
            role_arn="arn:aws:iam::123456789012:role/etl", region_name="us-east-1"
        )
        db = session.client("rds")  # use this client for days: no need to make it again
    """

    _session: Any
    _credentials: RoleCredentials
    _credentials_class: ClassVar[type[RoleCredentials]] = RoleCredentials

    def __init__(
        self,
        aws_access_key_id: str | None = None,
        aws_secret_access_key: str | None = None,
        aws_session_token: str | None = None,
        region_name: str | None = None,
        botocore_session: Any = None,
        profile_name: str | None = None,
        aws_account_id: str | None = None,
        *,
        role_arn: str | None = None,
        **options: Unpack[SessionOptions],
    ) -> None:
        for name, value in (("region_name", region_name), ("profile_name", profile_name)):
            if value is not None:
                text(name, value)
        origin = origin_of_arguments(
            aws_access_key_id,
            aws_secret_access_key,
            aws_session_token,
            aws_account_id,
            botocore_session,
            profile_name,
        )
        if region_name is None:
            region_name = _region_of(options.get("source"))
        self._become(profile_name, region_name, botocore_session)
        recipe, listeners = Recipe.take(
            {"role_arn": role_arn, **options},
            origin=origin,
            region=self._region(),
            also_known=_BOTO3_ARGUMENTS,
        )
        self._keep(recipe, listeners)

    def _become(
        self, profile_name: str | None, region_name: str | None, botocore_session: Any = None
    ) -> None:
        """A boto3 session, as yet without credentials of ours."""
        self._given = botocore_session
        self._has_handlers = getattr(botocore_session, "user_agent_name", None) == "Boto3"
        boto3_session: Any = super()
        try:
            boto3_session.__init__(
                region_name=region_name,
                profile_name=profile_name,
                botocore_session=botocore_session,
            )
        except ProfileNotFound as error:
            # This one names the profiles near it.
            Source.profile(profile_name)
            raise ConfigurationError(str(error)) from error
        if botocore_session is not None:
            # The one that was given is the source, and stays who it is.
            self._session = copy.copy(botocore_session)

    def _register_default_handlers(self) -> None:
        # boto3's own can't be there twice, in a botocore session that it has had in hand before.
        if not self._has_handlers:
            boto3_session: Any = super()
            boto3_session._register_default_handlers()

    def _keep(self, recipe: Recipe, listeners: Listeners) -> None:
        self._credentials = self._credentials_class(recipe, listeners)
        self._session._credentials = self._credentials
        if self._region() is None:
            # boto3 doesn't look at AWS_REGION, nor at the profile that is only the source.
            region = self._credentials._region
            if region is not None:
                self._session.set_config_variable("region", region)

    def _region(self) -> str | None:
        region: str | None = self._session.get_config_variable("region")
        return region

    def _places(self) -> tuple[str | None, str | None]:
        """The profile and the Region that it was given."""
        given: dict[str, str] = self._session.instance_variables()
        return given.get("profile"), given.get("region")

    @property
    def _keeper(self) -> RoleCredentials:
        return self._credentials

    @property
    def refreshable_credentials(self) -> RoleCredentials:
        """The credentials that all clients of this session sign with: what ``get_credentials()``
        gives, an instance of botocore's ``RefreshableCredentials``.

        Example::

            botocore_session._credentials = session.refreshable_credentials
        """
        return self._credentials

    def whoami(self) -> Identity:
        """Who STS says this session is: one GetCallerIdentity, signed by the session itself.

        Raises:
            Error: there is no session, and why.
            botocore.exceptions.ClientError, …: as from any other client's call.

        Example::

            print(session.whoami().arn)
        """
        return ask(self._session, **self._credentials._recipe.place)

    def __repr__(self) -> str:
        name = type(self).__name__
        return f"{name}(region_name={self._region()!r}, {self._describe()})"

    # === Pickling and copying: the recipe, never the session ===

    def __reduce__(self) -> tuple[Callable[..., Any], tuple[Any, ...]]:
        return _session_of, (type(self), self._credentials._recipe, *self._places())

    def __copy__(self) -> Self:
        return _session_of(type(self), self._credentials._recipe, *self._places(), self._given)

    def __deepcopy__(self, memo: dict[int, Any]) -> Self:
        return self.__copy__()


def assume_role(
    session: Any,
    role_arn: str,
    *,
    region_name: str | None = None,
    **options: Unpack[SessionOptions],
) -> Session:
    """A session of ``role_arn``, which is assumed with ``session``.

    Args:
        session: a boto3 or botocore session, or a ``Session`` or ``Role`` of rolekeeper.
        role_arn: the role's ARN.
        region_name: default: that of ``session``.
        options: as for :class:`Session`, but for ``source``.

    Raises:
        ConfigurationError: what cannot work; STS has not been called yet.

    Example::

        production = rolekeeper.assume_role(
            boto3.Session(profile_name="dev"), "arn:aws:iam::123456789012:role/etl"
        )
        db = production.client("rds")
    """
    if session is None or options.get("source") is not None:
        raise ConfigurationError(
            "assume_role(session, role_arn) takes a session", hint="without one, call Session(…)"
        )
    options["source"] = session
    return Session(region_name=region_name, role_arn=role_arn, **options)


def _region_of(source: object) -> str | None:
    """The Region of a session that is the source: the clients of ours are for the same one."""
    if isinstance(source, Session):
        return source._region()
    origin = None if source is None or isinstance(source, Upkeep) else origin_of(source)
    return origin.region if isinstance(origin, SdkSession) else None


def _session_of(
    group: type[_Session],
    recipe: Recipe,
    profile_name: str | None,
    region_name: str | None,
    botocore_session: Any = None,
) -> _Session:
    session = group.__new__(group)
    session._become(profile_name, region_name, botocore_session)
    session._keep(recipe, Listeners())
    return session
