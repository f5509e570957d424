"""Runs moto as a server of its own: an STS, S3, RDS and DynamoDB that others wrote, which checks
signatures, session tokens and policies.

It is the program that ``ROLEKEEPER_TEST_MOTO`` names, else the one beside this interpreter: not
every environment that is tested can have moto installed as well. Its sessions never end; for that
there is the sandbox.
"""

from __future__ import annotations

import http.client
import json
import os
import queue
import shutil
import subprocess
import sys
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any

import botocore.session
from botocore.config import Config

if TYPE_CHECKING:
    from typing_extensions import Self

ACCOUNT = "123456789012"
REGION = "us-east-1"
START_LIMIT = 60.0


class Moto:
    """A running server, with IAM enforced.

    The user whose keys `environment` has may do nothing but assume the role `role_arn`, which may
    do everything in S3, RDS, DynamoDB and STS, and assume `chained_role_arn`, which may do the
    same. Neither may do anything in SQS.
    """

    def __init__(self) -> None:
        program = os.environ.get("ROLEKEEPER_TEST_MOTO") or str(
            Path(sys.executable).parent / "moto_server"
        )
        if shutil.which(program) is None:
            raise FileNotFoundError(
                f"{program} is missing: pip install 'moto[server]', or set ROLEKEEPER_TEST_MOTO"
            )
        self._process = subprocess.Popen(
            [program, "-H", "127.0.0.1", "-p", "0"],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
        )
        try:
            self.endpoint_url = self._address()
            self.role_arn = f"arn:aws:iam::{ACCOUNT}:role/job"
            self.chained_role_arn = f"arn:aws:iam::{ACCOUNT}:role/chained"
            self.access_key_id, self.secret_access_key = self._make_world()
        except BaseException:
            self.stop()
            raise

    @property
    def environment(self) -> dict[str, str]:
        return {
            "AWS_ENDPOINT_URL": self.endpoint_url,
            "AWS_REGION": REGION,
            "AWS_DEFAULT_REGION": REGION,
            "AWS_ACCESS_KEY_ID": self.access_key_id,
            "AWS_SECRET_ACCESS_KEY": self.secret_access_key,
            "AWS_EC2_METADATA_DISABLED": "true",
        }

    def _address(self) -> str:
        stderr = self._process.stderr
        assert stderr is not None
        found: queue.SimpleQueue[str | None] = queue.SimpleQueue()

        # It goes on writing: somebody has to read.
        def read() -> None:
            said = []
            for line in stderr:
                said.append(line)
                if "Running on http://" in line:
                    found.put("http://" + line.split("Running on http://")[1].strip())
            found.put(None)

        threading.Thread(target=read, daemon=True).start()
        url = found.get(timeout=START_LIMIT)
        if url is None:
            raise RuntimeError("moto_server ended before it listened")
        return url

    def _make_world(self) -> tuple[str, str]:
        session = botocore.session.Session()
        iam: Any = session.create_client(
            "iam",
            endpoint_url=self.endpoint_url,
            region_name=REGION,
            aws_access_key_id="maker",
            aws_secret_access_key="maker",
            config=Config(proxies={}),
        )
        iam.create_user(UserName="base")
        iam.put_user_policy(
            UserName="base",
            PolicyName="may-assume",
            PolicyDocument=_policy(
                _allow("sts:AssumeRole", self.role_arn), _allow("sts:GetCallerIdentity")
            ),
        )
        trust = {"Effect": "Allow", "Principal": {"AWS": "*"}, "Action": "sts:AssumeRole"}
        for role in ("job", "chained"):
            iam.create_role(RoleName=role, AssumeRolePolicyDocument=_policy(trust))
            allowed = [_allow(f"{service}:*") for service in ("s3", "rds", "dynamodb", "sts")]
            iam.put_role_policy(RoleName=role, PolicyName="work", PolicyDocument=_policy(*allowed))
        key = iam.create_access_key(UserName="base")["AccessKey"]
        self._enforce()
        return key["AccessKeyId"], key["SecretAccessKey"]

    def _enforce(self) -> None:
        """From now on every call is checked; what came before was not."""
        connection = http.client.HTTPConnection(self.endpoint_url.removeprefix("http://"))
        connection.request("POST", "/moto-api/reset-auth", b"0", {"Content-Type": "text/plain"})
        assert connection.getresponse().status == http.client.OK
        connection.close()

    def stop(self) -> None:
        self._process.kill()
        self._process.wait()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()


def _policy(*statements: dict[str, Any]) -> str:
    return json.dumps({"Version": "2012-10-17", "Statement": statements})


def _allow(action: str, resource: str = "*") -> dict[str, Any]:
    return {"Effect": "Allow", "Action": action, "Resource": resource}
