"""The world that the guides' programs run in: users, roles, files and commands they take for granted.

Every name in it is one that the guides use, so that what they show is what runs.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import os
import stat
import sys
import time
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

import rolekeeper

if TYPE_CHECKING:
    from servers import Moto

_SEED = "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ"
_ISSUER = "https://token.actions.githubusercontent.com"
_ISSUER_SECRET = "signs-nothing-but-this-guide-s-tokens"

SANDBOX = f"""
account = "123456789012"
region = "us-east-1"

[users.alice]
access_key_id = "AKIAEXAMPLEEXAMPLE00"
secret_access_key = "a-secret-that-opens-nothing"
mfa = {{ serial = "arn:aws:iam::123456789012:mfa/alice", seed = "{_SEED}" }}

[roles.etl]
trust = ["user/alice"]
max_session_duration = 43200

[roles.reports]
trust = ["role/etl"]

[roles.partner]
trust = ["user/alice"]
external_id = "customer-7"

[roles.admin]
trust = ["user/alice"]
require_mfa = true

[roles.deploy]
trust = ["issuer/forge"]

[issuers.forge]
url = "{_ISSUER}"
audiences = ["sts.amazonaws.com"]
secret = "{_ISSUER_SECRET}"
"""

_CONFIG = """
[profile dev]
region = us-east-1
aws_access_key_id = AKIAEXAMPLEEXAMPLE00
aws_secret_access_key = a-secret-that-opens-nothing

[profile etl]
role_arn = arn:aws:iam::123456789012:role/etl
source_profile = dev
region = us-east-1
"""

# The MFA device of the next step of time, so that the code of this one is left to the person.
_YKMAN = f"""#!{sys.executable}
import sys
sys.path.insert(0, {str(Path(__file__).parent)!r})
from guide_world import mfa_code
print("AWS:alice", mfa_code(ahead=1))
"""


def furnish(folder: Path) -> dict[str, str]:
    """Puts the files and commands into ``folder``; the environment of a program that uses them."""
    config = folder / "config"
    config.write_text(_CONFIG, encoding="utf-8")
    token = folder / "token"
    token.write_text(_web_identity_token(), encoding="utf-8")
    commands = folder / "bin"
    commands.mkdir()
    ykman = commands / "ykman"
    ykman.write_text(_YKMAN, encoding="utf-8")
    ykman.chmod(ykman.stat().st_mode | stat.S_IXUSR)
    return {
        **os.environ,
        # DuckDB's extensions are looked for there, and nothing of this machine's AWS is.
        "HOME": str(_home(folder)),
        "PATH": os.pathsep.join([str(commands), os.environ["PATH"]]),
        "AWS_CONFIG_FILE": str(config),
        "AWS_WEB_IDENTITY_TOKEN_FILE": str(token),
        "PYTHONDONTWRITEBYTECODE": "1",
        # What programs within a program print is to come in order.
        "PYTHONUNBUFFERED": "1",
    }


def _home(folder: Path) -> Path:
    """With DuckDB's extension for S3, where PyPI's copy of it is installed."""
    home = folder / "home"
    home.mkdir()
    if find_spec("duckdb_extension_httpfs") is not None:
        import duckdb
        import duckdb_extension_httpfs

        with duckdb.connect() as connection:
            (platform,) = connection.execute("PRAGMA platform").fetchone()
        extensions = home / ".duckdb" / "extensions" / f"v{duckdb.__version__}" / platform
        extensions.mkdir(parents=True)
        package = Path(duckdb_extension_httpfs.__file__).parent
        (extension,) = package.rglob("httpfs.duckdb_extension")
        (extensions / extension.name).symlink_to(extension)
    return home


def mfa_code(ahead: int = 0) -> str:
    """What Alice's device shows (RFC 6238), so many steps of 30 seconds from now."""
    step = (int(time.time()) // 30 + ahead).to_bytes(8, "big")
    digest = hmac.new(base64.b32decode(_SEED), step, hashlib.sha1).digest()
    start = digest[-1] & 15
    number = int.from_bytes(digest[start : start + 4], "big") & 0x7FFFFFFF
    return f"{number % 1_000_000:06}"


def _web_identity_token() -> str:
    header = {"alg": "HS256", "typ": "JWT"}
    claims = {
        "iss": _ISSUER,
        "aud": "sts.amazonaws.com",
        "sub": "repo:example/etl",
        "exp": int(time.time()) + 3600,
    }
    signed = ".".join(_encoded(json.dumps(part).encode()) for part in (header, claims))
    signature = hmac.new(_ISSUER_SECRET.encode(), signed.encode(), hashlib.sha256).digest()
    return f"{signed}.{_encoded(signature)}"


def _encoded(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def fill_bucket(moto: Moto) -> None:
    """The bucket that the role reads, with one file in it."""
    session = rolekeeper.Session(role_arn=moto.role_arn)
    with session:
        s3 = session.client("s3")
        s3.create_bucket(Bucket="bucket")
        s3.put_object(Bucket="bucket", Key="sales.csv", Body=b"amount\n40\n2\n")
