"""``Role``: one role's session, kept fresh, for those who have no boto3."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

from rolekeeper import _rolekeeper
from rolekeeper.events import Listeners
from rolekeeper.identity import Identity, ask
from rolekeeper.origins import Profile, SdkSession
from rolekeeper.parameters import text
from rolekeeper.recipe import Recipe, SessionOptions
from rolekeeper.upkeep import RecipeKeeper, Upkeep

if TYPE_CHECKING:
    from typing_extensions import Self, Unpack

__all__ = ["Credentials", "FrozenCredentials", "Role", "RoleOptions"]

_Role = TypeVar("_Role", bound="Role")


class RoleOptions(SessionOptions, total=False):
    """What a ``Role`` can be told, besides the role's ARN."""

    region_name: str | None
    profile_name: str | None


class FrozenCredentials(NamedTuple):
    """One set of credentials, with botocore's names. Its ``repr`` shows no secret.

    Example::

        access_key, secret_key, token, account_id = role.get_frozen_credentials()
    """

    access_key: str
    secret_key: str
    token: str | None
    account_id: str | None

    def __repr__(self) -> str:
        return f"FrozenCredentials(access_key={self.access_key!r}, …)"


class Credentials(NamedTuple):
    """One set of credentials, and its end. Its ``repr`` shows no secret.

    Example::

        credentials = role.credentials()
        assert credentials.expiration > datetime.now(timezone.utc)
    """

    access_key: str
    secret_key: str
    token: str | None
    account_id: str | None
    expiration: datetime
    """When they end (aware, UTC)."""

    def __repr__(self) -> str:
        until = self.expiration.isoformat()
        return f"Credentials(access_key={self.access_key!r}, …, expiration={until})"


class Role(RecipeKeeper, Upkeep):
    """One role's session, kept fresh for as long as this object is held. It needs no boto3.

    It calls STS at the first read, and refreshes the session long before its end: in the
    background, so that no reader ever waits for STS while a session is valid.

    The arguments are those of :class:`rolekeeper.Session`, but for boto3's own.

    Args:
        role_arn: ``arn:aws:iam::123456789012:role/NAME``; without one, the profile's role.
        profile_name: a profile, which is the source if there is a role_arn.
        region_name: where STS is called. Default: ``AWS_REGION``, the profile's.

    Raises:
        ConfigurationError: what cannot work; nobody has been called yet.

    Example::

        role = rolekeeper.Role("arn:aws:iam::123456789012:role/etl", region_name="us-east-1")
        access_key, secret_key, token, _ = role.get_frozen_credentials()
    """

    def __init__(self, role_arn: str | None = None, **options: Unpack[RoleOptions]) -> None:
        given: dict[str, Any] = {"role_arn": role_arn, **options}
        profile, region = given.pop("profile_name", None), given.pop("region_name", None)
        recipe, listeners = Recipe.take(
            given,
            origin=None if profile is None else Profile(text("profile_name", profile)),
            region=None if region is None else text("region_name", region),
            also_known=RoleOptions.__annotations__,
        )
        self._prepare(recipe, listeners)

    @property
    def _keeper(self) -> Role:
        return self

    def _freeze(
        self, access_key: str, secret_key: str, token: str | None, account_id: str | None
    ) -> FrozenCredentials:
        return FrozenCredentials(access_key, secret_key, token, account_id)

    if TYPE_CHECKING:

        def get_frozen_credentials(self) -> FrozenCredentials:
            """The session's keys, at once while it is valid.

            Otherwise it waits for the one fetch that all readers wait for, 30 s at most (120 s if
            a person is asked for an MFA code).

            Raises:
                Error: there is no session, and why.
            """
            ...

    def credentials(self) -> Credentials:
        """The session's keys and its end.

        Raises:
            Error: there is no session, and why.

        Example::

            credentials = role.credentials()
            headers = sign(request, credentials.access_key, credentials.secret_key)
        """
        while True:
            frozen = self.get_frozen_credentials()
            status, end = self._status(), self.expiration
            # A newer session may have come in between.
            if status is not None and status.access_key == frozen.access_key and end is not None:
                return Credentials(*frozen, expiration=end)

    def whoami(self) -> Identity:
        """Who STS says this session is: one GetCallerIdentity, 30 s at most.

        Raises:
            Error: there is no session, or STS gave no answer.

        Example::

            print(role.whoami().arn)
        """
        recipe = self._recipe
        if isinstance(recipe.origin, SdkSession) and recipe.goes_through_sdk:
            frozen = self.get_frozen_credentials()
            return ask(
                recipe.origin.session,
                aws_access_key_id=frozen.access_key,
                aws_secret_access_key=frozen.secret_key,
                aws_session_token=frozen.token,
                **recipe.place,
            )
        base = self._opened()._as_base()
        found = _rolekeeper.caller_identity(
            base, region=self._region, endpoint_url=recipe.endpoint_url
        )
        return Identity(*found)

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self._describe()}>"

    # === Pickling and copying: the recipe, never the session ===

    def __reduce__(self) -> tuple[Callable[..., Any], tuple[Any, ...]]:
        return _role_of, (type(self), self._recipe)

    def __copy__(self) -> Self:
        return _role_of(type(self), self._recipe)

    def __deepcopy__(self, memo: dict[int, Any]) -> Self:
        return _role_of(type(self), self._recipe)


def _role_of(group: type[_Role], recipe: Recipe) -> _Role:
    role = group.__new__(group)
    role._prepare(recipe, Listeners())
    return role
