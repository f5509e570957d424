"""One process of many that need the same role: started beforehand, let go by the end of its stdin.

Prints one line of JSON when it is done. Moments are those of the system-wide monotonic clock.
"""

from __future__ import annotations

import json
import sys
import time


def contender(kind: str, role: str, store: str):
    """What reads: a function that returns the key that is valid."""
    if kind == "rolekeeper":
        import rolekeeper

        kept = rolekeeper.Role(role, region_name="us-east-1", store=store)
        return lambda: kept.get_frozen_credentials().access_key
    import boto3

    if kind == "aws-assume-role-lib":
        from aws_assume_role_lib import JSONFileCache as Cache
        from aws_assume_role_lib import assume_role

        kept = assume_role(boto3.Session(region_name="us-east-1"), role, cache=Cache(store))
        return lambda: kept.get_credentials().get_frozen_credentials().access_key
    import botocore.session
    from botocore.utils import JSONFileCache

    # As the AWS CLI shares: one folder for all.
    session = botocore.session.Session(profile="bench")
    providers = session.get_component("credential_provider")
    providers.get_provider("assume-role").cache = JSONFileCache(store)
    made = boto3.Session(botocore_session=session)
    return lambda: made.get_credentials().get_frozen_credentials().access_key


def main() -> None:
    kind, role, store, seconds, pause = sys.argv[1:]
    read = contender(kind, role, store)
    print("ready", flush=True)
    sys.stdin.read()
    begin = time.monotonic()
    first = None
    keys, failed, reads, worst = [], 0, 0, 0.0
    why = ""
    while True:
        before = time.monotonic()
        try:
            key = read()
        except Exception as error:
            failed, why = failed + 1, str(error)
        else:
            if key not in keys:
                keys.append(key)
        reads += 1
        now = time.monotonic()
        worst = max(worst, now - before) if first else worst
        first = first or now
        if now - begin >= float(seconds):
            break
        time.sleep(float(pause))
    told = {"first": first, "keys": keys, "failed": failed, "reads": reads, "worst": worst}
    print(json.dumps(told | {"why": why}), flush=True)


main()
