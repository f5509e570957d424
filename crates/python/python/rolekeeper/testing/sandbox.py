"""Runs a local STS as a process of its own, and speaks to it: `rolekeeper sandbox`."""

from __future__ import annotations

import atexit
import http.client
import json
import os
import queue
import re
import subprocess
import tempfile
import threading
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType, TracebackType
from typing import IO, TYPE_CHECKING, Any, cast

from . import command

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from typing_extensions import Self

# How long it may take to start, to answer, and to stop, in seconds. It takes milliseconds; a
# machine that is busy with a build takes longer.
_START_LIMIT = 30.0
_ANSWER_LIMIT = 30.0
_STOP_LIMIT = 10.0

_TOKEN = "ROLEKEEPER_SANDBOX_TOKEN"
_DEFAULT_ACCOUNT = "123456789012"


@dataclass(frozen=True)
class Count:
    """The calls of one operation by one caller with one result.

    Attributes:
        operation: ``AssumeRole``, ``ListBuckets``, …
        caller: the caller's ARN, or the key id it showed where it could not be verified.
        result: ``ok``, an error code, or what a fault did: ``(closed)``, ``(truncated)``, …
        calls: how many.
    """

    operation: str
    caller: str
    result: str
    calls: int


@dataclass(frozen=True)
class Counts:
    """All calls that a sandbox has had up to a moment.

    Example:
        >>> counts = sandbox.counts()                                       # doctest: +SKIP
        >>> counts.ok("AssumeRole"), counts.failed("ListBuckets")           # doctest: +SKIP
        (1, 0)
    """

    rows: tuple[Count, ...]

    def calls(self, operation: str) -> int:
        """All calls of an operation."""
        return sum(row.calls for row in self.rows if row.operation == operation)

    def ok(self, operation: str) -> int:
        """The calls of an operation that were served."""
        return self.with_result(operation, "ok")

    def failed(self, operation: str) -> int:
        """The calls of an operation that were not served."""
        return self.calls(operation) - self.ok(operation)

    def with_result(self, operation: str, result: str) -> int:
        """The calls of an operation with this result, such as ``ExpiredToken``."""
        return sum(
            row.calls for row in self.rows if (row.operation, row.result) == (operation, result)
        )

    def by_caller(self, operation: str, caller: str) -> int:
        """The calls of an operation by this caller, an ARN or a key id."""
        return sum(
            row.calls for row in self.rows if (row.operation, row.caller) == (operation, caller)
        )

    def total(self) -> int:
        """All calls."""
        return sum(row.calls for row in self.rows)


class Sandbox:
    """A local STS that checks signatures, really expires sessions, and misbehaves on request.

    It serves AssumeRole, AssumeRoleWithWebIdentity, GetSessionToken, GetFederationToken and
    GetCallerIdentity, and one call each of S3 (ListBuckets) and RDS (DescribeDBInstances), so
    that a session has something to be refused by. Starting it takes some milliseconds. It stops at
    the end of the ``with`` block, at `stop`, and at the interpreter's exit.

    The built-in world has the user that `environment` has the keys of, and the roles ``demo`` (up
    to 12 h), ``chained`` (only from role ``demo``), ``external`` (external id
    ``sandbox-external-id``), ``mfa``, ``web`` (web identity), ``short`` (up to 1 h) and
    ``forbidden`` (trusts nobody).

    Args:
        session_lifetime: seconds that every session lives, whatever was asked; also fewer than
            the real STS's 900. Default: as long as asked.
        config: other users and roles: the path of a TOML file, or its text.
        faults: misbehave from the start; see `set_faults`.

    Raises:
        FileNotFoundError: the command `rolekeeper` is not installed.
        RuntimeError: it could not start; the message has what it said.

    Example:
        >>> import rolekeeper.testing, subprocess
        >>> with rolekeeper.testing.Sandbox(session_lifetime=10) as sandbox:   # doctest: +SKIP
        ...     subprocess.run(["my-job"], env={**os.environ, **sandbox.environment})
        ...     assert sandbox.counts().ok("AssumeRole") > 1
    """

    def __init__(
        self,
        *,
        session_lifetime: int | None = None,
        config: str | Path | None = None,
        faults: Mapping[str, Any] | None = None,
    ) -> None:
        words = [command.find(), "sandbox", "--json", "--listen", "127.0.0.1:0"]
        if session_lifetime is not None:
            words += ["--session-lifetime", f"{session_lifetime}s"]
        if faults is not None:
            words += ["--faults", json.dumps(dict(faults))]
        self._account = _DEFAULT_ACCOUNT
        self._config_file: str | None = None
        if config is not None:
            path, text = self._config(config)
            account = re.search(r'^\s*account\s*=\s*"(\d{12})"', text, re.MULTILINE)
            self._account = account[1] if account else _DEFAULT_ACCOUNT
            words += ["--config", path]

        self._owner = os.getpid()
        self._lock = threading.Lock()
        # A file, so that it never waits for a reader of what it says; `stop` closes it.
        self._said: IO[bytes] = tempfile.TemporaryFile()  # noqa: SIM115
        self._process = subprocess.Popen(
            words,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=self._said,
            # A Ctrl-C at the terminal is the tests' to handle; they then stop it.
            start_new_session=True,
        )
        atexit.register(self.stop)
        try:
            told = self._introduction()
        except BaseException:
            self.stop()
            raise
        self._token = told.pop(_TOKEN)
        self._environment = MappingProxyType(told)

    def _config(self, config: str | Path) -> tuple[str, str]:
        if isinstance(config, Path) or "\n" not in config:
            return str(config), Path(config).read_text(encoding="utf-8")
        descriptor, self._config_file = tempfile.mkstemp(suffix=".toml")
        with open(descriptor, "w", encoding="utf-8") as file:
            file.write(config)
        return self._config_file, config

    def _introduction(self) -> dict[str, str]:
        """Its first line: the environment that points an SDK at it. It listens by then."""
        stdout = self._process.stdout
        assert stdout is not None
        lines: queue.SimpleQueue[bytes] = queue.SimpleQueue()
        # A read of a pipe has no time limit that every system knows.
        threading.Thread(target=lambda: lines.put(stdout.readline()), daemon=True).start()
        try:
            line = lines.get(timeout=_START_LIMIT)
        except queue.Empty:
            raise RuntimeError(
                f"the sandbox did not start within {_START_LIMIT:g} s; it said: {self._words()!r}"
            ) from None
        if not line:
            self._process.wait(_STOP_LIMIT)
            raise RuntimeError(f"the sandbox did not start; it said: {self._words()!r}")
        return cast("dict[str, str]", json.loads(line))

    def _words(self) -> str:
        self._said.seek(0)
        return self._said.read().decode(errors="replace").strip()

    # === where it is ===

    @property
    def endpoint_url(self) -> str:
        """``http://127.0.0.1:PORT``: what boto3 takes as ``endpoint_url``."""
        return self._environment["AWS_ENDPOINT_URL"]

    @property
    def region(self) -> str:
        """The Region that `environment` names; requests signed for any other are served too."""
        return self._environment["AWS_REGION"]

    @property
    def environment(self) -> Mapping[str, str]:
        """The variables that point any SDK at the sandbox, with its user's keys (which open
        nothing else). Read-only.

        Example:
            >>> env = {**os.environ, **sandbox.environment}                 # doctest: +SKIP
        """
        return self._environment

    def role_arn(self, name: str = "demo") -> str:
        """The ARN of the sandbox's role of that name, whether or not there is one."""
        return f"arn:aws:iam::{self._account}:role/{name}"

    # === what it is told ===

    def advance(self, seconds: int) -> None:
        """Ages every session issued so far by whole seconds, 0 or more.

        Those with less to live are refused at once, with ``ExpiredToken``, before the
        ``Expiration`` that they were issued with; what is issued from now on lives its whole time.
        To move rolekeeper's own clock as well, use the fixture ``rolekeeper_clock``.

        Example:
            >>> sandbox.advance(3600)                                       # doctest: +SKIP
        """
        self._ask("POST", "advance", {"seconds": seconds})

    def revoke_sessions(self, *, role: str | None = None, access_key_id: str | None = None) -> int:
        """Revokes sessions issued so far, and says how many that hit.

        Those of the role of this name, or the one with this access key id and those it asked
        for; without either, all. They are refused with ``AccessDenied`` from then on, as when
        an administrator revokes a role's sessions.

        Raises:
            ValueError: both were given.

        Example:
            >>> sandbox.revoke_sessions(role="demo")                        # doctest: +SKIP
            1
        """
        if role is not None and access_key_id is not None:
            raise ValueError("give a role or an access key id, not both")
        which: object = "all"
        if role is not None:
            which = {"role": role}
        elif access_key_id is not None:
            which = {"access_key": access_key_id}
        return int(self._ask("POST", "revoke", which)["revoked"])

    def set_faults(self, **faults: Any) -> None:
        """Misbehaves from now on, in this way alone; without arguments, not at all.

        Args:
            faults: ``only`` (services or operations that the others are limited to),
                ``latency_ms``, ``throttle_per_second``, ``fail``, ``hang``, ``close_connection``,
                ``truncate_body``, ``malformed_body``, ``missing_field``, ``already_expired``,
                ``clock_offset_seconds``, ``date_header_offset_seconds``, ``down``,
                ``refuse_assume_role``: as in ``rolekeeper sandbox --faults``.

        Raises:
            ValueError: there is no such fault, or it can't have that value.

        Example:
            >>> sandbox.set_faults(only=["AssumeRole"], latency_ms=100)     # doctest: +SKIP
        """
        self._ask("PUT", "faults", faults)

    def clear_faults(self) -> None:
        """Behaves again."""
        self._ask("DELETE", "faults")

    def fail(
        self,
        next: int | None = None,
        *,
        status: int = 503,
        retry_after_seconds: int | None = None,
        only: Sequence[str] = ("AssumeRole",),
    ) -> None:
        """Fails calls as a service does that is itself at fault, until `clear_faults`.

        Args:
            next: how many calls fail; default: all of them. A client's own retries count.
            status: the HTTP status, 400 to 599.
            retry_after_seconds: what to send as ``Retry-After``.
            only: the services (``sts``) or operations it is limited to; empty: to nothing.

        Example:
            >>> sandbox.fail(next=2)                                        # doctest: +SKIP
        """
        failures = {"next": next, "status": status, "retry_after_seconds": retry_after_seconds}
        self.set_faults(only=list(only), fail=failures)

    def down(self, seconds: int | None = None, *, only: Sequence[str] = ("AssumeRole",)) -> None:
        """Is down: calls find their connection closed.

        Args:
            seconds: for how long, from now; default: until `clear_faults`.
            only: the services (``sts``) or operations it is limited to; empty: to nothing.

        Example:
            >>> sandbox.down(only=["sts", "s3"])                            # doctest: +SKIP
        """
        if seconds is None:
            self.set_faults(only=list(only), close_connection=True)
        else:
            self.set_faults(only=list(only), down={"from_seconds": 0, "until_seconds": seconds})

    def refuse(self, code: str = "AccessDenied", *, status: int = 403, message: str = "") -> None:
        """Refuses AssumeRole and its siblings with this error, until `clear_faults`.

        Args:
            code: the error's code.
            status: the HTTP status, 400 to 599.
            message: the error's message.

        Example:
            >>> sandbox.refuse("RegionDisabledException")                   # doctest: +SKIP
        """
        refusal = {"code": code, "status": status, "message": message}
        self.set_faults(refuse_assume_role=refusal)

    # === what it knows ===

    def counts(self) -> Counts:
        """All calls so far.

        Example:
            >>> sandbox.counts().ok("AssumeRole")                           # doctest: +SKIP
            1
        """
        rows = self._ask("GET", "counts")["rows"]
        return Counts(tuple(Count(**row) for row in rows))

    def mfa_code(self, serial: str | None = None) -> str:
        """The code that an MFA device shows at this moment.

        Args:
            serial: the device's serial number; default: the one device that there is.

        Raises:
            LookupError: there is no such device, or not exactly one.

        Example:
            >>> rolekeeper.Session(                                         # doctest: +SKIP
            ...     role_arn=sandbox.role_arn("mfa"),
            ...     serial_number="arn:aws:iam::123456789012:mfa/demo",
            ...     mfa_token=sandbox.mfa_code,
            ... )
        """
        codes: dict[str, str] = self._ask("GET", "mfa")
        if serial is not None and serial in codes:
            return codes[serial]
        if serial is None and len(codes) == 1:
            return next(iter(codes.values()))
        raise LookupError(f"which MFA device? there are: {', '.join(sorted(codes)) or 'none'}")

    def _ask(self, method: str, what: str, body: object = None) -> Any:
        address = self.endpoint_url.removeprefix("http://")
        # Not urllib: a proxy of this machine's is not meant.
        connection = http.client.HTTPConnection(address, timeout=_ANSWER_LIMIT)
        try:
            headers = {"Authorization": f"Bearer {self._token}"}
            connection.request(method, f"/_sandbox/{what}", json.dumps(body), headers)
            response = connection.getresponse()
            answer = json.loads(response.read())
        finally:
            connection.close()
        if response.status != http.client.OK:
            raise ValueError(f"the sandbox refused `{what}`: {answer['error']}")
        return answer

    # === its end ===

    def stop(self) -> None:
        """Stops it and waits for its end. Again, or in a forked child: does nothing."""
        if os.getpid() != self._owner:
            return
        with self._lock:
            atexit.unregister(self.stop)
            self._process.terminate()
            try:
                self._process.wait(_STOP_LIMIT)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()
            if self._process.stdout is not None:
                self._process.stdout.close()
            self._said.close()
            if self._config_file is not None:
                Path(self._config_file).unlink(missing_ok=True)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.stop()

    def __repr__(self) -> str:
        return f"<Sandbox at {self.endpoint_url}>"
