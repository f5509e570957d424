"""One aiobotocore client, made once, that calls STS for as long as it is told; 0: one call."""

import asyncio
import json
import sys
import time

from aiobotocore.session import get_session


async def main(seconds: float, pause: float) -> None:
    calls = failed = 0
    first_error = None
    async with get_session().create_client("sts") as sts:
        end = time.monotonic() + seconds
        while True:
            calls += 1
            try:
                await sts.get_caller_identity()
            except Exception as error:
                failed += 1
                first_error = first_error or f"{type(error).__name__}: {error}"
            if time.monotonic() + pause >= end:
                break
            await asyncio.sleep(pause)
    print(json.dumps({"calls": calls, "failed": failed, "first_error": first_error}))


asyncio.run(main(float(sys.argv[1]), float(sys.argv[2])))
