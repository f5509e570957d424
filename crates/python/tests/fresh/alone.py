"""What works with the wheel alone, and what is told to somebody who lacks boto3.

`cargo xtask test` runs it where nothing else is installed.
"""

import importlib.util
import os
from pathlib import Path

import rolekeeper
from rolekeeper.testing import Sandbox

assert "site-packages" in Path(rolekeeper.__file__).parts, rolekeeper.__file__
for package in ("boto3", "botocore", "pytest"):
    assert importlib.util.find_spec(package) is None, f"{package} is here: this shows nothing"

with Sandbox(session_lifetime=900) as sandbox:
    os.environ.update(sandbox.environment)
    with rolekeeper.Role(sandbox.role_arn("demo")) as role:
        assert role.whoami().account == "123456789012"
        assert role.get_frozen_credentials().access_key.startswith("ASIA")
    try:
        rolekeeper.Role(sandbox.role_arn("forbidden")).refresh_now()
    except rolekeeper.DeniedError as error:
        assert error.code == "AccessDenied", error
    else:
        raise AssertionError("nobody may have that role")

try:
    rolekeeper.Session  # noqa: B018  Asking for it imports boto3.
except ImportError as error:
    assert "boto3" in str(error), error
else:
    raise AssertionError("a Session without boto3?")
print("ok: the wheel alone")
