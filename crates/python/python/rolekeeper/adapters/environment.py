"""The environment of a program that is started with a session."""

from __future__ import annotations

from rolekeeper.adapters._reader import Reader

__all__ = ["environment"]


def environment(source: object) -> dict[str, str]:
    """The variables that give the session that ``source`` has now to a program and its SDK.

    ``AWS_ACCESS_KEY_ID``, ``AWS_SECRET_ACCESS_KEY``, ``AWS_SESSION_TOKEN``,
    ``AWS_CREDENTIAL_EXPIRATION``, and, where they are known, ``AWS_ACCOUNT_ID``, ``AWS_REGION``
    and ``AWS_DEFAULT_REGION``.

    **A running program's environment never changes**: the program must be done before the session
    ends (``session.refresh_now()`` first gives it the longest time). For one that runs longer,
    start it with the command ``rolekeeper exec``, or give it a profile with `credential_process`.

    Args:
        source: anything that gives credentials: see `rolekeeper.adapters`.

    Raises:
        ConfigurationError: it gives none.
        Error: it has no session, and why.

    Example::

        subprocess.run(["aws", "s3", "ls"], env={**os.environ, **environment(session)})
    """
    reader = Reader(source)
    newest, region = reader.read(), reader.region
    expiration = newest.expiration
    variables = {
        "AWS_ACCESS_KEY_ID": newest.access_key,
        "AWS_SECRET_ACCESS_KEY": newest.secret_key,
        "AWS_SESSION_TOKEN": newest.token,
        "AWS_CREDENTIAL_EXPIRATION": expiration and expiration.strftime("%Y-%m-%dT%H:%M:%SZ"),
        "AWS_ACCOUNT_ID": newest.account_id,
        "AWS_REGION": region,
        "AWS_DEFAULT_REGION": region,
    }
    return {name: value for name, value in variables.items() if value}
