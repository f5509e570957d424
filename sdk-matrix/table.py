"""The matrix as a page to read; written when all of it has run."""

from __future__ import annotations

import re
from pathlib import Path

from cell import Row
from clients import ALL, CLIENTS, Client

HEAD = """\
# The SDK matrix

Real clients, unchanged, each reading one role from rolekeeper through each delivery that it knows.
Each makes signed calls for more than three session lifetimes, and in the middle STS gives no
session for a while. **A call that fails, or that a service refuses, fails the test.** Written by

```console
$ cargo xtask test "SDK matrix"
```

which leaves this file alone while nothing but its counts would change.

- Sessions last {lifetime} s (STS gives none under 900 s), and the outage {outage} s from the first call
  that it refuses. Where a client can't do with little time left, they last 30 minutes on a clock
  that runs {rate} times as fast, and the outage {long_outage} minutes.
- A client has one try for each call (`AWS_MAX_ATTEMPTS=1`): a second one would hide a failure. What
  goes over the wire is counted as well: "failed" counts refusals that the client doesn't tell of,
  and "sessions" counts the keys that calls were signed with.
- *one process*: one client object, made once, a call every {pause:g} s. *a process a call*: a new one
  every few seconds. *one job*: one program, at work all the time.
- A credentials file is for programs that begin, call and end: those that go on read it once. So
  here every SDK is run as a process a call with it.

"""


def page(rows: list[Row], numbers: dict[str, float]) -> str:
    lines = [HEAD.format(**numbers)]
    lines.append(
        "| client | version | delivery | how | sessions of | calls | failed | sessions | |"
    )
    lines.append("|---|---|---|---|---|--:|--:|--:|---|")
    for row in rows:
        verdict = "holds" if row.holds else "**does not hold**"
        if row.remark:
            verdict += f": {row.remark}"
        bad = max(row.failed, row.refused)
        cells = [row.client, row.version, row.delivery, row.how, row.lifetime]
        cells += [str(row.calls), str(bad), str(row.sessions), verdict]
        lines.append(f"| {' | '.join(cells)} |")
    lines += ["", "What they do not know:", ""]
    lines += [f"- {client.name}: {unknown(client)}" for client in CLIENTS if unknown(client)]
    return "\n".join(lines) + "\n"


def unknown(client: Client) -> str:
    rest = [delivery for delivery in ALL if delivery not in client.knows]
    why = f" ({client.remark})" if client.remark else ""
    return f"{', '.join(rest)}{why}" if rest else ""


def write(path: Path, text: str) -> bool:
    """Leaves it alone if it says the same of the same clients."""
    if path.exists() and without_numbers(path.read_text()) == without_numbers(text):
        return False
    path.write_text(text)
    return True


def without_numbers(text: str) -> str:
    """Without the three counts of a row."""
    return re.sub(r"(\| \d+){3} \|", "|", text)
