"""The README's five lines, in the sandbox's environment.

`cargo xtask test` runs it where only the wheel and boto3 are installed.
"""

import os
from pathlib import Path

from rolekeeper.testing import Sandbox

with Sandbox() as sandbox:
    os.environ.update(sandbox.environment)

    import rolekeeper

    session = rolekeeper.Session(
        role_arn="arn:aws:iam::123456789012:role/demo", region_name="us-east-1"
    )
    db = session.client("rds")

    assert "site-packages" in Path(rolekeeper.__file__).parts, rolekeeper.__file__
    db.describe_db_instances()
    counts = sandbox.counts()
    assert (counts.ok("AssumeRole"), counts.ok("DescribeDBInstances")) == (1, 1), counts
print("ok: the five lines")
