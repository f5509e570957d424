"""Sessions so short that they are in botocore's advisory window from the first moment on."""

from __future__ import annotations

from typing import Any

from contenders import BotocoreDeferred, OursDeferred, Source, deferred
from report import Row

LIFETIME = 900
READS = 1000


class OnDemand(OursDeferred):  # type: ignore[misc, valid-type]
    refresh_mode = "on-demand"


def rows() -> list[Row]:
    ours, on_demand, botocores = map(_refreshes, (OursDeferred, OnDemand, BotocoreDeferred))
    return [
        Row(
            what=f"{LIFETIME}-second session, {READS:,} reads",
            must_be="1 refresh",
            ratios=f"refreshes: {ours}; on demand {on_demand}; botocore's {botocores:,}",
            absolute="the first fetch is counted",
            met=(ours, on_demand) == (1, 1),
        )
    ]


def _refreshes(kind: Any) -> int:
    source = Source(lifetime=LIFETIME)
    credentials = deferred(kind, source)
    for _ in range(READS):
        credentials.get_frozen_credentials()
    return source.calls
