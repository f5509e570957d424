"""``AioSession``: an aiobotocore session whose role session never runs out."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar

from rolekeeper.aio.role_credentials import AioRoleCredentials
from rolekeeper.aio.upkeep import AioUpkeep
from rolekeeper.events import Listeners
from rolekeeper.origins import SdkSession, origin_of, origin_of_arguments
from rolekeeper.parameters import text
from rolekeeper.recipe import Recipe, SessionOptions
from rolekeeper.upkeep import Upkeep

if TYPE_CHECKING:
    from typing_extensions import Self, Unpack

    class _AiobotocoreSession:
        """aiobotocore's own class, as far as ours leans on it."""

        def __init__(self, *arguments: Any, **named: Any) -> None: ...
        def create_client(self, service_name: str, *arguments: Any, **named: Any) -> Any: ...
        def get_config_variable(self, name: str) -> Any: ...
        def set_config_variable(self, name: str, value: Any) -> None: ...
        def instance_variables(self) -> dict[str, Any]: ...

else:
    from aiobotocore.session import AioSession as _AiobotocoreSession

__all__ = ["AioSession"]

_Session = TypeVar("_Session", bound="AioSession")

_ARGUMENTS = (
    "aws_access_key_id",
    "aws_secret_access_key",
    "aws_session_token",
    "region_name",
    "profile_name",
)


class AioSession(AioUpkeep, _AiobotocoreSession):
    """An ``aiobotocore.session.AioSession`` of one role, kept fresh for as long as a program runs.

    Its clients stay valid for ever: enter each of them once. STS is called at the first read of
    the credentials, and then long before each session's end, apart from all readers; the event
    loop is never blocked.

    Args:
        aws_access_key_id, aws_secret_access_key, aws_session_token: static keys with which the
            role is assumed.
        region_name: the Region of the clients and of STS.
        profile_name: with what the role is assumed, and the clients' settings; enough by itself if
            the profile has a role.
        role_arn: ``arn:aws:iam::123456789012:role/NAME``.
        options: as for :class:`rolekeeper.Session`; ``source`` may be an aiobotocore or aioboto3
            session as well.

    Raises:
        ConfigurationError: whatever can be known to be wrong before STS is called.

    A session can be pickled: it carries its recipe and no secret.

    Example::

        session = rolekeeper.aio.AioSession(
            role_arn="arn:aws:iam::123456789012:role/etl", region_name="us-east-1"
        )
        async with session.create_client("rds") as db:  # valid for days
            ...
    """

    def __init__(
        self,
        aws_access_key_id: str | None = None,
        aws_secret_access_key: str | None = None,
        aws_session_token: str | None = None,
        region_name: str | None = None,
        profile_name: str | None = None,
        *,
        role_arn: str | None = None,
        **options: Unpack[SessionOptions],
    ) -> None:
        for name, value in (("region_name", region_name), ("profile_name", profile_name)):
            if value is not None:
                text(name, value)
        keys = aws_access_key_id, aws_secret_access_key, aws_session_token
        origin = origin_of_arguments(*keys, None, None, profile_name)
        self._become(profile_name, region_name or _region_of(options.get("source")))
        recipe, listeners = Recipe.take(
            {"role_arn": role_arn, **options},
            origin=origin,
            region=self.region_name,
            also_known=_ARGUMENTS,
        )
        self._keep(recipe, listeners)

    def _become(self, profile_name: str | None, region_name: str | None) -> None:
        """An aiobotocore session, as yet without credentials."""
        _AiobotocoreSession.__init__(self, profile=profile_name)
        if region_name is not None:
            self.set_config_variable("region", region_name)

    def _keep(self, recipe: Recipe, listeners: Listeners) -> None:
        self._credentials = AioRoleCredentials(recipe, listeners)
        region = self._credentials._region
        if self.region_name is None and region is not None:
            self.set_config_variable("region", region)

    @property
    def region_name(self) -> str | None:
        """The Region that clients are made for.

        Example::

            session.region_name  # "us-east-1"
        """
        region: str | None = self.get_config_variable("region")
        return region

    def client(self, service_name: str, *arguments: Any, **named: Any) -> Any:
        """``create_client`` by aioboto3's name.

        Example::

            async with session.client("rds") as db:
                ...
        """
        return self.create_client(service_name, *arguments, **named)

    def _sts(self) -> Any:
        return self.create_client("sts", **self._keeper._recipe.place)

    def __repr__(self) -> str:
        # Always the same, and no other's: fsspec takes it for the session's name.
        name = self.role_arn or "a profile's role"
        return f"<{type(self).__name__} of {name} at {id(self):#x}>"

    # === Pickling and copying: the recipe, never the session ===

    def __reduce__(self) -> tuple[Callable[..., Any], tuple[Any, ...]]:
        variables = self.instance_variables()
        places = variables.get("profile"), variables.get("region")
        return _session_of, (type(self), self._keeper._recipe, *places)

    def __copy__(self) -> Self:
        make, arguments = self.__reduce__()
        twin: Self = make(*arguments)
        return twin

    def __deepcopy__(self, memo: dict[int, Any]) -> Self:
        return self.__copy__()


def _region_of(source: object) -> str | None:
    """The Region of a session that is the source: the clients of ours are for the same one."""
    if source is None or isinstance(source, Upkeep):
        region: str | None = getattr(source, "region_name", None)
        return region
    origin = origin_of(source)
    return origin.region if isinstance(origin, SdkSession) else None


def _session_of(
    group: type[_Session], recipe: Recipe, profile_name: str | None, region_name: str | None
) -> _Session:
    session = group.__new__(group)
    session._become(profile_name, region_name)
    session._keep(recipe, Listeners())
    return session
