"""Where MFA codes come from: a function, or a command that prints one. Asked for every session."""

from __future__ import annotations

import re
import shlex
import shutil
import subprocess
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, TypeAlias

from rolekeeper.errors import ConfigurationError, Error, NeedsPersonError

__all__ = ["TIME_FOR_A_PERSON", "MfaToken", "asker"]

MfaToken: TypeAlias = "Callable[[], str] | str | list[str] | tuple[str, ...]"

TIME_FOR_A_PERSON = 120.0
"""Seconds that a fetch may take in which somebody is asked for a code."""

_CODE = re.compile(r"\b\d{6}\b")
_WAYS = "pass mfa_token= a function, or a command, that gives a new code each time"


def asker(mfa_token: Any) -> Callable[[], str]:
    """A function that asks for one code.

    Raises:
        ConfigurationError: it is neither a function nor a command that can be run.
    """
    if _is_command(mfa_token):
        return _Command(_words(mfa_token))
    if not callable(mfa_token):
        raise ConfigurationError(f"mfa_token is of type {type(mfa_token).__name__}", hint=_WAYS)
    return mfa_token if isinstance(mfa_token, (_Command, _Function)) else _Function(mfa_token)


@dataclass(frozen=True)
class _Function:
    """A function of somebody's: whatever goes wrong in it, there is no code, which is no outage."""

    function: Callable[[], object]

    def __call__(self) -> str:
        try:
            code = self.function()
        except Error:
            raise
        except Exception as error:
            what = f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
            raise NeedsPersonError(f"mfa_token gave no code: {what}") from error
        if not isinstance(code, str):
            kind = type(code).__name__
            raise NeedsPersonError(
                f"mfa_token gave a value of type {kind}", hint="return a text of six digits"
            )
        return code.strip()


@dataclass(frozen=True)
class _Command:
    """A program, run without a shell. It may talk to the person over stderr and the terminal."""

    words: tuple[str, ...]

    def __call__(self) -> str:
        program = self.words[0]
        try:
            done = subprocess.run(
                self.words,
                stdout=subprocess.PIPE,
                text=True,
                errors="replace",
                # Sooner than the fetch is given up, so that the reason is told.
                timeout=TIME_FOR_A_PERSON - 5,
                check=False,
            )
        except subprocess.TimeoutExpired:
            # Not its cause: that one holds what the program has printed.
            raise NeedsPersonError(f"the MFA command {program} gave no code in time") from None
        except OSError as error:
            raise NeedsPersonError(f"the MFA command {program} can't be run: {error}") from error
        codes = _CODE.findall(done.stdout)
        if done.returncode != 0 or not codes:
            found = "" if codes else " and printed no code of six digits"
            raise NeedsPersonError(
                f"the MFA command {program} ended with status {done.returncode}{found}",
                hint="run it by itself: it must print six digits and end with status 0",
            )
        return str(codes[-1])


def _is_command(mfa_token: object) -> bool:
    return isinstance(mfa_token, (str, list, tuple))


def _words(command: str | Iterable[object]) -> tuple[str, ...]:
    if isinstance(command, str) and _CODE.fullmatch(command.strip()):
        raise ConfigurationError("mfa_token is a code, which is good once", hint=_WAYS)
    try:
        words = shlex.split(command) if isinstance(command, str) else list(command)
    except ValueError as error:
        raise ConfigurationError(f"the command in mfa_token can't be read: {error}") from error
    texts = tuple(word for word in words if isinstance(word, str))
    if not texts or len(texts) != len(words) or not texts[0]:
        raise ConfigurationError("mfa_token names no command", hint=_WAYS)
    if shutil.which(texts[0]) is None:
        raise ConfigurationError(
            f"the command {texts[0]!r} in mfa_token is not there", hint="is it in PATH?"
        )
    return texts
