// One client of the AWS SDK for JavaScript, made once, that calls STS for as many seconds as it is
// told; 0: one call.
import { GetCallerIdentityCommand, STSClient } from "@aws-sdk/client-sts";
import { setTimeout as sleep } from "node:timers/promises";

const [seconds, pause] = process.argv.slice(2).map((text) => Number(text) * 1000);
const sts = new STSClient();
const end = performance.now() + seconds;
let calls = 0;
let failed = 0;
let first_error = null;
for (;;) {
  calls += 1;
  try {
    await sts.send(new GetCallerIdentityCommand());
  } catch (error) {
    failed += 1;
    first_error ??= String(error);
  }
  if (performance.now() + pause >= end) break;
  await sleep(pause);
}
console.log(JSON.stringify({ calls, failed, first_error }));
