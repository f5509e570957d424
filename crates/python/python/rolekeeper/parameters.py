"""What AssumeRole is told: in snake_case or in boto3's CamelCase, sorted and typed in one place.

What the service would refuse for its form is found by the native side, when a source is built of
these. Here stand the names, the types, and that nothing is said twice.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, fields
from difflib import get_close_matches
from typing import Any, NoReturn, TypeAlias, TypedDict, TypeGuard

from rolekeeper.errors import ConfigurationError

__all__ = ["AssumeRoleOptions", "Parameters", "refuse_unknown"]

Tags: TypeAlias = "Mapping[str, str] | Sequence[Mapping[str, str]]"
Pairs: TypeAlias = "tuple[tuple[str, str], ...]"


class AssumeRoleOptions(TypedDict, total=False):
    """AssumeRole's parameters, but for the role's ARN."""

    role_session_name: str | None
    duration_seconds: int | None
    external_id: str | None
    policy: str | Mapping[str, Any] | None
    policy_arns: Sequence[str | Mapping[str, str]] | None
    tags: Tags | None
    transitive_tag_keys: Sequence[str] | None
    source_identity: str | None
    serial_number: str | None
    mfa_serial: str | None
    provided_contexts: Sequence[Mapping[str, str]] | None
    minimum_session_token_size: int | None
    assume_role_kwargs: Mapping[str, Any] | None


@dataclass(frozen=True)
class Parameters:
    """The parameters of one AssumeRole call, each in one form."""

    role_arn: str
    role_session_name: str | None = None
    duration_seconds: int | None = None
    external_id: str | None = None
    policy: str | None = None
    policy_arns: tuple[str, ...] = ()
    tags: Pairs = ()
    transitive_tag_keys: tuple[str, ...] = ()
    source_identity: str | None = None
    serial_number: str | None = None
    provided_contexts: Pairs = ()
    minimum_session_token_size: int | None = None

    @classmethod
    def take(cls, options: dict[str, Any]) -> Parameters | None:
        """Takes AssumeRole's parameters out of ``options``; None if they name no role.

        Raises:
            ConfigurationError: a wrong type, an unknown name in ``assume_role_kwargs``, the same
                thing said twice, or parameters without a role.
        """
        given = {name: options.pop(name) for name in (*_TYPED, *_REFUSED) if name in options}
        if "mfa_serial" in options:
            _put(given, "serial_number", options.pop("mfa_serial"), "mfa_serial", "serial_number")
        for name, value in _mapping(options.pop("assume_role_kwargs", None)).items():
            ours = _OURS.get(name)
            if ours is None:
                refuse_unknown(name, _OURS, "a parameter of boto3's assume_role")
            _put(given, ours, value, f"assume_role_kwargs[{name!r}]", ours)
        given = {name: value for name, value in given.items() if value is not None}
        if "token_code" in given:
            raise ConfigurationError(
                "token_code is of use once, and a session is fetched again and again",
                hint="pass mfa_token=, a function or a command that gives a code each time",
            )
        typed = {name: _TYPED[name](name, value) for name, value in given.items()}
        if typed and "role_arn" not in typed:
            raise ConfigurationError(
                f"{', '.join(sorted(typed))} given, but no role",
                hint="pass role_arn=; what a profile's role is told stands in the profile",
            )
        return cls(**typed) if typed else None

    def native(self) -> dict[str, Any]:
        """The arguments of the native side's ``Source.assume_role``."""
        values = {field.name: getattr(self, field.name) for field in fields(self)}
        del values["minimum_session_token_size"]
        values["session_name"] = values.pop("role_session_name")
        values["mfa_serial"] = values.pop("serial_number")
        return values

    def request(self) -> dict[str, Any]:
        """The arguments of boto3's ``assume_role``, as far as they are given."""
        values = {field.name: getattr(self, field.name) for field in fields(self)}
        values["policy_arns"] = [{"arn": arn} for arn in self.policy_arns]
        values["tags"] = [{"Key": key, "Value": value} for key, value in self.tags]
        values["transitive_tag_keys"] = list(self.transitive_tag_keys)
        values["provided_contexts"] = [
            {"ProviderArn": arn, "ContextAssertion": assertion}
            for arn, assertion in self.provided_contexts
        ]
        return {_camel(name): value for name, value in values.items() if value not in (None, [])}

    def __repr__(self) -> str:
        return f"Parameters(role_arn={self.role_arn!r}, …)"


def refuse_unknown(name: str, known: Iterable[str], what: str = "a parameter") -> NoReturn:
    """Raises ConfigurationError for a name that nobody knows, with the known ones near it."""
    by_letters = {_letters(each): each for each in known}
    near = get_close_matches(_letters(name), by_letters, n=3, cutoff=0.6)
    names = [by_letters[letters] for letters in near]
    raise ConfigurationError(
        f"{name!r} is not {what}",
        hint=f"did you mean {' or '.join(names)}?"
        if names
        else f"known are {', '.join(sorted(by_letters.values()))}",
    )


# === names ===


def _put(given: dict[str, Any], name: str, value: Any, said: str, before: str) -> None:
    if value is None:
        return
    if given.get(name) is not None:
        raise ConfigurationError(f"{said} says what {before} says too", hint="say it once")
    given[name] = value


def _camel(name: str) -> str:
    return "".join(word.capitalize() for word in name.split("_"))


def _letters(name: str) -> str:
    return name.replace("_", "").lower()


# === types ===


def wrong_type(name: str, value: object, wanted: str) -> ConfigurationError:
    """Never shows the value: it may be a secret."""
    return ConfigurationError(f"{name} is of type {type(value).__name__}", hint=f"give {wanted}")


def text(name: str, value: object) -> str:
    """``value``, if it is a text."""
    if not isinstance(value, str):
        raise wrong_type(name, value, "a text")
    return value


def _mapping(value: object) -> Mapping[str, Any]:
    if value is None:
        return {}
    if not is_mapping(value):
        wanted = 'a mapping such as {"RoleArn": "arn:aws:iam::123456789012:role/etl"}'
        raise wrong_type("assume_role_kwargs", value, wanted)
    return {text("a name in assume_role_kwargs", name): each for name, each in value.items()}


def _seconds(name: str, value: object) -> int:
    if not isinstance(value, int) or isinstance(value, bool):
        raise wrong_type(name, value, "a whole number of seconds, 900 to 43200")
    if value < 0:
        raise ConfigurationError(f"{name} is {value}", hint="give 900 to 43200 seconds")
    return value


def _bytes(name: str, value: object) -> int:
    if not isinstance(value, int) or isinstance(value, bool):
        raise wrong_type(name, value, "a whole number of bytes, 0 to 4096")
    if not 0 <= value <= 4096:
        raise ConfigurationError(f"{name} is {value}", hint="give 0 to 4096 bytes")
    return value


def _policy(name: str, value: object) -> str:
    if is_mapping(value):
        try:
            return json.dumps(value, separators=(",", ":"))
        except (TypeError, ValueError) as error:
            raise ConfigurationError(f"{name} can't be written as JSON: {error}") from error
    if not isinstance(value, str):
        raise wrong_type(name, value, "a policy as JSON text or as a dict")
    return value


def items(name: str, value: Any, wanted: str) -> list[Any]:
    """``value`` as a list, if it is a list of any kind."""
    # A text is a sequence as well, of letters.
    if isinstance(value, (str, bytes)) or is_mapping(value):
        raise wrong_type(name, value, wanted)
    try:
        return list(value)
    except TypeError:
        raise wrong_type(name, value, wanted) from None


def is_mapping(value: object) -> TypeGuard[Mapping[Any, Any]]:
    """Whether it is a dict, or like one."""
    return isinstance(value, Mapping)


def _texts(name: str, value: object) -> tuple[str, ...]:
    return tuple(text(f"{name}[{i}]", each) for i, each in enumerate(items(name, value, "a list")))


def _arns(name: str, value: object) -> tuple[str, ...]:
    wanted = 'a list of ARNs, or of {"arn": ARN}'
    return tuple(
        each if isinstance(each, str) else _fields(f"{name}[{i}]", each, ("arn",), wanted)[0]
        for i, each in enumerate(items(name, value, wanted))
    )


def _tags(name: str, value: object) -> Pairs:
    if is_mapping(value):
        return tuple((text(f"a key of {name}", k), text(f"{name}[{k!r}]", value[k])) for k in value)
    wanted = 'a dict, or a list of {"Key": …, "Value": …}'
    return _pairs(name, value, ("Key", "Value"), wanted)


def _contexts(name: str, value: object) -> Pairs:
    wanted = 'a list of {"ProviderArn": …, "ContextAssertion": …}'
    return _pairs(name, value, ("ProviderArn", "ContextAssertion"), wanted)


def _pairs(name: str, value: object, keys: tuple[str, str], wanted: str) -> Pairs:
    pairs: list[tuple[str, str]] = []
    for i, each in enumerate(items(name, value, wanted)):
        first, second = _fields(f"{name}[{i}]", each, keys, wanted)
        pairs.append((first, second))
    return tuple(pairs)


def _fields(name: str, value: object, keys: Sequence[str], wanted: str) -> list[str]:
    if not is_mapping(value):
        raise wrong_type(name, value, wanted)
    if set(value) != set(keys):
        found = ", ".join(sorted(map(str, value))) or "nothing"
        raise ConfigurationError(f"{name} has {found}", hint=f"give {wanted}")
    return [text(f"{name}[{key!r}]", value[key]) for key in keys]


_TYPED: dict[str, Callable[[str, Any], Any]] = {
    "role_arn": text,
    "role_session_name": text,
    "duration_seconds": _seconds,
    "external_id": text,
    "policy": _policy,
    "policy_arns": _arns,
    "tags": _tags,
    "transitive_tag_keys": _texts,
    "source_identity": text,
    "serial_number": text,
    "provided_contexts": _contexts,
    "minimum_session_token_size": _bytes,
}
_REFUSED = ("token_code",)
_OURS = {_camel(name): name for name in (*_TYPED, *_REFUSED)}
