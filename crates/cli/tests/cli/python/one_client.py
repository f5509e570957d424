"""One boto3 client, made once, that calls S3 and STS for as many seconds as it is told."""

import json
import sys
import time

import boto3
from botocore.config import Config

once = Config(retries={"total_max_attempts": 1, "mode": "standard"})
session = boto3.Session()
s3 = session.client("s3", config=once)
sts = session.client("sts", config=once)

end = time.monotonic() + float(sys.argv[1])
calls, failed, keys = 0, [], set()
while time.monotonic() < end:
    for call in (s3.list_buckets, sts.get_caller_identity):
        calls += 1
        try:
            call()
        except Exception as error:  # whatever it is, the job would have ended here
            failed.append(repr(error))
    keys.add(session.get_credentials().get_frozen_credentials().access_key)
    time.sleep(0.05)
print(json.dumps({"calls": calls, "failed": failed, "keys": len(keys)}))
