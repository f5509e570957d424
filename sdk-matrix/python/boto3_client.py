"""One boto3 client, made once, that calls STS for as many seconds as it is told; 0: one call."""

import json
import sys
import time

import boto3

seconds, pause = float(sys.argv[1]), float(sys.argv[2])
sts = boto3.client("sts")
end = time.monotonic() + seconds
calls = failed = 0
first_error = None
while True:
    calls += 1
    try:
        sts.get_caller_identity()
    except Exception as error:
        failed += 1
        first_error = first_error or f"{type(error).__name__}: {error}"
    if time.monotonic() + pause >= end:
        break
    time.sleep(pause)
print(json.dumps({"calls": calls, "failed": failed, "first_error": first_error}))
