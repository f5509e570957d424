"""A ``credential_process`` line for ``~/.aws/config``, from a session's recipe."""

from __future__ import annotations

import json
import shlex
from typing import Any

from rolekeeper.errors import ConfigurationError
from rolekeeper.origins import DefaultChain, Kept, Profile, SdkSession, places_of
from rolekeeper.parameters import Parameters
from rolekeeper.recipe import Recipe
from rolekeeper.testing import command
from rolekeeper.upkeep import Upkeep

__all__ = ["credential_process"]


def credential_process(source: object) -> str:
    """What stands behind ``credential_process =`` for every SDK to make sessions like ``source``'s.

    It runs the command ``rolekeeper``, which makes a session for all who ask for this one on this
    machine; that of ``source`` itself stays in this process, unless they share a store. The line
    holds no secret.

    The profile that gets the line must be another one than the profile it names: the SDK would
    ask it of itself.

    Args:
        source: a `rolekeeper.Session`, `rolekeeper.Role` or `rolekeeper.aio.Session`.

    Raises:
        ConfigurationError: a command line cannot say how this session is made: a Python function
            makes it or gives its MFA codes, its source are static keys or an object with
            credentials of its own, it has a web identity token or provided contexts, or the roles
            in between have parameters of their own.
        FileNotFoundError: the command ``rolekeeper`` is not installed.

    Example::

        >>> print("[profile etl]\\ncredential_process =", credential_process(session))
        [profile etl]
        credential_process = /usr/bin/rolekeeper credential-process --role-arn arn:aws:…
    """
    if not isinstance(source, Upkeep):
        raise _inexpressible(f"a {type(source).__name__} makes sessions by code of its own")
    recipe = source._keeper._recipe  # pyright: ignore[reportPrivateUsage]
    return shlex.join([command.find(), "credential-process", *_arguments(recipe)])


def _arguments(recipe: Recipe) -> list[str]:
    if recipe.web_identity_token_file is not None:
        raise _inexpressible("the role is assumed with a web identity token")
    roles, profile, region = _chain(recipe)
    options: list[tuple[str, str | None]] = [("role-arn", role) for role in roles]
    options.append(("profile", profile))
    if recipe.parameters is not None:
        options += _of_role(recipe.parameters)
    options += [
        ("mfa-process", _mfa_process(recipe.mfa_token)),
        ("region", recipe.region or region),
        ("endpoint-url", recipe.endpoint_url),
        ("store", _store(recipe.store)),
        ("store-key-file", recipe.store_key_file),
    ]
    return [word for name, value in options if value for word in (f"--{name}", value)]


def _chain(recipe: Recipe) -> tuple[list[str], str | None, str | None]:
    """The roles, the first one first, and the profile and the Region that they start from."""
    origin, last = recipe.origin, recipe.parameters
    roles = [] if last is None else [last.role_arn]
    if isinstance(origin, Profile):
        return roles, origin.name, None
    if isinstance(origin, DefaultChain):
        return roles, None, None
    owner = origin.owner if isinstance(origin, (Kept, SdkSession)) else None
    if owner is not None and last is not None:
        before = owner._keeper._recipe  # pyright: ignore[reportPrivateUsage]
        # The command gives all roles the same session name, and the rest to the last one.
        bare = before.parameters and Parameters(
            before.parameters.role_arn, role_session_name=last.role_session_name
        )
        if before.parameters != bare or before.mfa_token is not None:
            raise _inexpressible(f"{owner.role_arn}, the role before it, has its own parameters")
        earlier, profile, region = _chain(before)
        return [*earlier, *roles], profile, region
    if isinstance(origin, SdkSession):
        try:
            return roles, *places_of(origin.session)
        except Exception as error:
            raise _inexpressible("its source was given credentials of its own") from error
    raise _inexpressible("its source are static keys")


def _of_role(role: Parameters) -> list[tuple[str, str | None]]:
    if role.provided_contexts:
        raise _inexpressible("the assertions of provided_contexts are secrets")
    return [
        ("role-session-name", role.role_session_name),
        ("duration", None if role.duration_seconds is None else f"{role.duration_seconds}s"),
        ("external-id", role.external_id),
        ("policy", None if role.policy is None else _on_one_line(role.policy)),
        *(("policy-arn", arn) for arn in role.policy_arns),
        *(("tag", f"{key}={value}") for key, value in role.tags),
        *(("transitive-tag-key", key) for key in role.transitive_tag_keys),
        ("source-identity", role.source_identity),
        ("mfa-serial", role.serial_number),
    ]


def _store(place: str | None) -> str | None:
    if place is not None and "@" in place:
        raise _inexpressible(
            "its store's address has a password in it",
            "set ROLEKEEPER_STORE where the line is used, and leave out store",
        )
    return place


def _on_one_line(policy: str) -> str:
    try:
        return json.dumps(json.loads(policy), separators=(",", ":"))
    except ValueError:
        return " ".join(policy.split())


def _mfa_process(mfa_token: Any) -> str | None:
    if mfa_token is None:
        return None
    words = getattr(mfa_token, "words", None)
    if words is None:
        raise _inexpressible("its MFA codes come from a Python function", "make it a command")
    return shlex.join(words)


def _inexpressible(why: str, hint: str = "write a profile that says how, and name it") -> Any:
    return ConfigurationError(f"no command line says how this session is made: {why}", hint=hint)
